package state

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

func TestSaveThenLoad(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "cluster")
	want := &Cluster{
		Dir:      dir,
		Name:     "one",
		Mode:     Full,
		Services: "10.96.0.0/16",
		Ports:    Ports{API: 6443, Etcd: 2379},
		Network: Network{
			Bridge: "br", Pods: "10.244.0.0/22", Gateway: "10.244.0.1", Sysctls: map[string]string{"a": "0"},
		},
		Registries: map[string]string{"registry.local:5000": "http://127.0.0.1:30500"},
	}
	if err := want.Save(); err != nil {
		t.Fatal(err)
	}
	got, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("loaded %+v, want %+v", got, want)
	}
}

func TestLoadWithoutCluster(t *testing.T) {
	if _, err := Load(t.TempDir()); !errors.Is(err, ErrNone) {
		t.Errorf("error %v, want ErrNone", err)
	}
}

func TestLoadBroken(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, file), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir); err == nil || errors.Is(err, ErrNone) {
		t.Errorf("error %v, want a parse error", err)
	}
}

func TestIDDiffersByDirectory(t *testing.T) {
	a, b := &Cluster{Dir: "/a"}, &Cluster{Dir: "/b"}
	if a.ID() == b.ID() || len(a.ID()) != 8 {
		t.Errorf("ids %q and %q", a.ID(), b.ID())
	}
}
