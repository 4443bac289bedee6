package node

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
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

// Only the decision is tested: a mistake in Hold itself would mount over the
// machine that runs the test.
func TestMayMount(t *testing.T) {
	if err := mayMount("mnt:[2]", "mnt:[1]", nil); err != nil {
		t.Errorf("own namespace: %v", err)
	}
	for name, err := range map[string]error{
		"the parent's":   mayMount("mnt:[1]", "mnt:[1]", nil),
		"an unknown one": mayMount("mnt:[1]", "", errors.New("permission denied")),
	} {
		if err == nil || !strings.Contains(err.Error(), "refusing") {
			t.Errorf("namespace is %s: error %v, want a refusal", name, err)
		}
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

func TestPodsWeighMoreThanOneThread(t *testing.T) {
	dir := t.TempDir()
	if err := weigh(dir); err != nil {
		t.Errorf("a controller without weights: %v", err)
	}
	for file, one := range map[string]int{"cpu.shares": 1024, "cpu.weight": 100} {
		path := filepath.Join(dir, file)
		if err := os.WriteFile(path, []byte(strconv.Itoa(one)), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := weigh(dir); err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := strconv.Atoi(string(raw)); got <= one*runtime.NumCPU() {
			t.Errorf("%s is %s: busy threads on every processor leave the pods less than half", file, raw)
		}
	}
}
