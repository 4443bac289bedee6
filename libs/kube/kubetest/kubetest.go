// Package kubetest gives tests a real kube-apiserver, without nodes.
package kubetest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Start runs a control plane until the test ends and returns how to reach it as
// an administrator. The localcluster tool is found in the repository's bin
// folder, or where ARGOSY_LOCALCLUSTER says.
func Start(t testing.TB) *rest.Config {
	t.Helper()
	return Load(t, StartPath(t))
}

// StartPath is Start for processes that want a kubeconfig file.
func StartPath(t testing.TB) string {
	t.Helper()
	tool := find(t)
	dir := t.TempDir()
	t.Cleanup(func() { localcluster(t, tool, "down", "--dir", dir) })
	localcluster(t, tool, "up", "--control-plane-only", "--dir", dir)
	return filepath.Join(dir, "kubeconfig")
}

// Load reads a kubeconfig file.
func Load(t testing.TB, path string) *rest.Config {
	t.Helper()
	cfg, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		t.Fatal(err)
	}
	cfg.QPS = -1
	return cfg
}

func localcluster(t testing.TB, tool string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, tool, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("localcluster %v: %v\n%s", args, err, out)
	}
}

func find(t testing.TB) string {
	t.Helper()
	if tool := os.Getenv("ARGOSY_LOCALCLUSTER"); tool != "" {
		return tool
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		tool := filepath.Join(dir, "bin", "localcluster")
		if _, err := os.Stat(tool); err == nil {
			return tool
		}
	}
	t.Fatal("bin/localcluster is not built: run `make cluster-tools` at the top of the repository, or set ARGOSY_LOCALCLUSTER")
	panic("unreachable")
}
