package node

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestHierarchies(t *testing.T) {
	const mountinfo = `24 1 0:21 / /proc rw - proc proc rw
30 24 0:26 / /sys/fs/cgroup/cpu rw,relatime shared:5 - cgroup cgroup rw,cpu
31 24 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
`
	want := []string{"/sys/fs/cgroup/cpu", "/sys/fs/cgroup/unified"}
	if got := hierarchies(mountinfo); !slices.Equal(got, want) {
		t.Errorf("hierarchies %v, want %v", got, want)
	}
}

func TestHoldRefusesTheMachinesNamespace(t *testing.T) {
	own, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		t.Skip("no namespaces here")
	}
	if machine, err := os.Readlink("/proc/1/ns/mnt"); err != nil || machine != own {
		t.Skip("not in the machine's namespace, or not allowed to see it")
	}
	if err := Hold(t.TempDir()); err == nil || !strings.Contains(err.Error(), "refusing") {
		t.Errorf("error %v, want a refusal", err)
	}
}

func TestEnter(t *testing.T) {
	if got := strings.Join(Enter(7, []string{"a", "b"}), " "); got != "nsenter --mount --target 7 -- a b" {
		t.Error(got)
	}
}

func TestRemoveTreeDeepestFirst(t *testing.T) {
	root := filepath.Join(t.TempDir(), "cgroup")
	if err := os.MkdirAll(filepath.Join(root, "a", "b"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := removeTree(root); err != nil {
		t.Fatal(err)
	}
	if err := removeTree(root); err != nil {
		t.Errorf("a tree that is not there: %v", err)
	}
}
