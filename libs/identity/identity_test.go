package identity

import (
	"io"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/libs/core/config"
	"github.com/argosy-mesh/argosy/libs/core/fault"
)

func TestOnlyNamedNamespacesMayUseTheServicesIdentity(t *testing.T) {
	none := func(string) string { return "" }
	for name, c := range map[string]struct {
		args []string
		env  func(string) string
		may  string // of argosy, ci, team
	}{
		"by default the one of the services": {nil, none, "argosy"},
		"named":                              {[]string{"--identity-namespaces=ci, team"}, none, "ci team"},
		"all":                                {[]string{"--identity-namespaces=*"}, none, "argosy ci team"},
		"none":                               {[]string{"--identity-namespaces="}, none, ""},
		"by the environment": {nil, func(name string) string {
			return map[string]string{"ARGOSY_IDENTITY_NAMESPACES": "team"}[name]
		}, "team"},
	} {
		f := config.New("test", c.env, io.Discard)
		var o Own
		Declare(f, &o)
		if err := f.Parse(c.args); err != nil {
			t.Fatal(name, err)
		}
		var may []string
		for _, namespace := range []string{"argosy", "ci", "team"} {
			err := o.Allow(namespace, "s3.useSDKCreds", "accessKeySecret")
			if err == nil {
				may = append(may, namespace)
				continue
			}
			for _, part := range []string{"s3.useSDKCreds", "accessKeySecret", namespace, "--identity-namespaces"} {
				if fault.Of(err) != fault.Poison || !strings.Contains(err.Error(), part) {
					t.Errorf("%s: %s: %v, which lacks %q", name, namespace, err, part)
				}
			}
		}
		if got := strings.Join(may, " "); got != c.may {
			t.Errorf("%s: %q may, want %q", name, got, c.may)
		}
	}
	if (Own{}).May("") || (Own{}).May("argosy") {
		t.Error("the zero value names nobody")
	}
}
