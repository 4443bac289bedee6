package render

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/tools/localcluster/internal/state"
)

func input(t *testing.T) Input {
	t.Helper()
	return Input{
		Cluster: &state.Cluster{
			Dir: t.TempDir(), Name: "one", Mode: state.Full, Services: "10.96.0.0/16",
			Ports:      state.Ports{API: 6443, Kubelet: 10250, DNS: 10053, DNSHealth: 20001},
			Network:    state.Network{Bridge: "argosy-0", Pods: "10.244.0.0/22", Gateway: "10.244.0.1"},
			Registries: map[string]string{"registry.local:5000": "http://127.0.0.1:30500"},
			Aliases:    map[string]string{"registry.local": "registry.demo.svc.cluster.local"},
		},
		Nameservers: []string{"192.0.2.53"},
	}
}

func TestNodeFiles(t *testing.T) {
	in := input(t)
	if err := Node(in); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ path, want string }{
		{in.Path("config", "containerd.toml"), `address = "` + in.Path("run", "containerd.sock") + `"`},
		{in.Path("config", "containerd.toml"), `restrict_oom_score_adj = true`},
		{in.Path("config", "kubelet.yaml"), `clusterDNS: ["10.96.0.10"]`},
		{in.Path("config", "kubelet.yaml"), `cgroupRoot: "/argosy-`},
		{in.Path("config", "kube-proxy.yaml"), "clusterCIDR: 10.244.0.0/22"},
		{in.Path("config", "Corefile"), "rewrite name exact registry.local registry.demo.svc.cluster.local"},
		{in.Path("config", "Corefile"), "forward . 192.0.2.53"},
		{in.Path("config", "resolv.conf"), "nameserver 192.0.2.53\n"},
		{in.Path("cni", "conf", "10-argosy.conflist"), `"subnet": "10.244.0.0/22"`},
		{in.Path("registries", "registry.local:5000", "hosts.toml"), `server = "http://127.0.0.1:30500"`},
	} {
		raw, err := os.ReadFile(c.path)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(raw), c.want) {
			t.Errorf("%s lacks %q:\n%s", c.path, c.want, raw)
		}
	}
}

func TestCorefileWithoutNameservers(t *testing.T) {
	in := input(t)
	in.Nameservers = nil
	got, err := text("Corefile", in)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(got), "forward") {
		t.Errorf("forwards to nowhere:\n%s", got)
	}
}

func TestObjects(t *testing.T) {
	in := input(t)
	for _, c := range []struct {
		always bool
		want   int
	}{{false, 4 + 1 + volumes}, {true, 2 + 1 + volumes}} {
		in.AlwaysPull = c.always
		objects, err := Objects(in)
		if err != nil {
			t.Fatal(err)
		}
		if len(objects) != c.want {
			t.Fatalf("%d objects, want %d", len(objects), c.want)
		}
		for _, object := range objects {
			if !strings.HasPrefix(object.Path, "/api") || !strings.HasPrefix(string(object.YAML), "apiVersion:") {
				t.Errorf("object at %q:\n%s", object.Path, object.YAML)
			}
		}
	}
}

func TestNameservers(t *testing.T) {
	got := Nameservers("search x\nnameserver 127.0.0.53\nnameserver 192.0.2.1\n nameserver 2001:db8::1\nnameserver\n")
	if want := []string{"192.0.2.1", "2001:db8::1"}; !slices.Equal(got, want) {
		t.Errorf("nameservers %v, want %v", got, want)
	}
}

func TestAFileThatSaysTheSameIsNotTouched(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dir", "file")
	if err := write(path, []byte("a")); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	for text, touched := range map[string]bool{"a": false, "b": true} {
		if err := os.WriteFile(path, []byte("a"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
		if err := write(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil || info.ModTime().After(old.Add(time.Minute)) != touched {
			t.Errorf("%q over \"a\": modified %v, %v", text, info.ModTime(), err)
		}
	}
}
