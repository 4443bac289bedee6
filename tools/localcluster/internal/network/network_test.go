package network

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"
)

func TestTakePrefersThenWalks(t *testing.T) {
	busy := map[int]bool{6443: true, lowest: true}
	p := &Ports{taken: map[int]bool{}, free: func(port int) bool { return !busy[port] }}
	for i, step := range []struct{ preferred, want int }{
		{2379, 2379}, {2379, lowest + 1}, {6443, lowest + 2}, {0, lowest + 3},
	} {
		got, err := p.Take(step.preferred)
		if err != nil || got != step.want {
			t.Errorf("step %d: port %d, %v; want %d", i, got, err, step.want)
		}
	}
}

func TestTakeWhenNoneIsFree(t *testing.T) {
	p := &Ports{taken: map[int]bool{}, free: func(int) bool { return false }}
	if port, err := p.Take(1); err == nil {
		t.Errorf("port %d from a full machine", port)
	}
}

func TestPodSubnetAvoidsUsed(t *testing.T) {
	prefix := netip.MustParsePrefix
	for _, c := range []struct {
		name string
		used []netip.Prefix
		want string
	}{
		{"nothing used", nil, "10.244.0.0/22"},
		{"first used", []netip.Prefix{prefix("10.244.1.0/24")}, "10.244.4.0/22"},
		{"elsewhere", []netip.Prefix{prefix("192.168.0.0/16"), prefix("fd00::/64")}, "10.244.0.0/22"},
	} {
		got, err := PodSubnet(c.used)
		if err != nil || got.String() != c.want {
			t.Errorf("%s: %v, %v; want %s", c.name, got, err, c.want)
		}
	}
	if got, err := PodSubnet([]netip.Prefix{prefix("10.0.0.0/8")}); err == nil {
		t.Errorf("subnet %v of a full range", got)
	}
}

func TestHost(t *testing.T) {
	if got := Host(netip.MustParsePrefix("10.96.0.0/16"), 10).String(); got != "10.96.0.10" {
		t.Errorf("tenth host %s", got)
	}
}

// The pairs in testdata are an iptables-save and the script made of it.
func TestTeardown(t *testing.T) {
	inputs, err := filepath.Glob("testdata/*.save")
	if err != nil || len(inputs) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, input := range inputs {
		t.Run(filepath.Base(input), func(t *testing.T) {
			saved, err := os.ReadFile(input)
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(input[:len(input)-len(".save")] + ".script")
			if err != nil {
				t.Fatal(err)
			}
			if got := Teardown(string(saved), "ARGOSY-AB12CD34", "argosy-ab12cd34"); got != string(want) {
				t.Errorf("script:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}
