package config

import (
	"io"
	"strings"
	"testing"
	"time"
)

func parse(t *testing.T, env map[string]string, args ...string) (Common, error) {
	t.Helper()
	var c Common
	f := New("test", func(k string) string { return env[k] }, io.Discard)
	f.Common(&c)
	err := f.Parse(args)
	return c, err
}

func TestFlagWinsOverEnvironmentOverDefault(t *testing.T) {
	env := map[string]string{"ARGOSY_NATS_URL": "nats://env:4222", "ARGOSY_DRAIN": "3s", "KUBECONFIG": "/k"}
	c, err := parse(t, env, "--nats-url", "nats://flag:4222")
	if err != nil {
		t.Fatal(err)
	}
	if c.NATSURL != "nats://flag:4222" || c.Drain != 3*time.Second || c.HTTPAddress != ":8080" || c.Kubeconfig != "/k" {
		t.Fatalf("got %+v", c)
	}
}

func TestAllMistakesAreReportedAtOnce(t *testing.T) {
	_, err := parse(
		t, map[string]string{"ARGOSY_DRAIN": "soon"}, "--nats-url", "nowhere", "--log-level", "loud", "extra",
	)
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"ARGOSY_DRAIN", "--nats-url", "--log-level", `"loud"`, `"extra"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not mention %s", err, want)
		}
	}
}

func TestProfilesAreServedToThisMachineOnly(t *testing.T) {
	for address, good := range map[string]bool{
		"": true, "127.0.0.1:6060": true, "[::1]:6060": true, ":6060": false, "0.0.0.0:6060": false,
		"10.0.0.1:6060": false, "127.0.0.1": false, "localhost:6060": false,
	} {
		if c, err := parse(t, nil, "--profile-address", address); (err == nil) != good || c.ProfileAddress != address {
			t.Errorf("%q: %v", address, err)
		}
	}
}

func TestNumbersStartAtZero(t *testing.T) {
	for name, c := range map[string]struct {
		env  string
		args []string
		want int // -1: refused
	}{
		"the default":         {"", nil, 7},
		"of the environment":  {"3", nil, 3},
		"of the command line": {"3", []string{"--count", "0"}, 0},
		"below zero":          {"", []string{"--count", "-1"}, -1},
		"no number":           {"many", nil, -1},
	} {
		var got int
		f := New("test", func(string) string { return c.env }, io.Discard)
		f.Number(&got, "count", 7, "how many")
		err := f.Parse(c.args)
		if (err != nil) != (c.want < 0) || err == nil && got != c.want {
			t.Errorf("%s: %d, %v", name, got, err)
		}
	}
}
