package cli

import (
	"bytes"
	"strings"
	"testing"
)

func TestErrorsSayWhatToDo(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"kubeconfig", "--dir", dir}, "localcluster up --dir " + dir},
		{[]string{"status", "--dir", dir}, "localcluster up --dir " + dir},
		{[]string{"load", "--dir", dir, "x.tar"}, "localcluster up --dir " + dir},
		{[]string{"load", "--dir", dir}, "requires at least 1 arg"},
	} {
		var out, errs bytes.Buffer
		if code := Run(t.Context(), c.args, &out, &errs); code != 1 || !strings.Contains(errs.String(), c.want) {
			t.Errorf("%v: code %d, %q; want %q", c.args, code, errs.String(), c.want)
		}
	}
}

func TestDownWithoutCluster(t *testing.T) {
	var out, errs bytes.Buffer
	if code := Run(t.Context(), []string{"down", "--dir", t.TempDir()}, &out, &errs); code != 0 {
		t.Errorf("code %d: %s", code, errs.String())
	}
}
