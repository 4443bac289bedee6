package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/argosy-mesh/argosy/tools/localcluster/internal/process"
)

// hierarchies are where cgroups are mounted: one place per controller in
// version 1, one in version 2, and both on hybrid machines.
func hierarchies(mountinfo string) []string {
	var dirs []string
	for line := range strings.Lines(mountinfo) {
		before, after, found := strings.Cut(line, " - ")
		if !found || !strings.HasPrefix(after, "cgroup") {
			continue
		}
		if fields := strings.Fields(before); len(fields) > 4 {
			dirs = append(dirs, fields[4])
		}
	}
	return dirs
}

func mounted() ([]string, error) {
	raw, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("read mounts: %w", err)
	}
	return hierarchies(string(raw)), nil
}

// MakeCgroup makes the cgroup in every hierarchy, ready for children.
func MakeCgroup(name string) error {
	parents, err := mounted()
	if err != nil {
		return err
	}
	for _, parent := range parents {
		dir := filepath.Join(parent, name)
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("make cgroup: %w", err)
		}
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} { // version 1: empty means none, not all
			if raw, err := os.ReadFile(filepath.Join(parent, file)); err == nil {
				_ = os.WriteFile(filepath.Join(dir, file), raw, 0o644)
			}
		}
		if err := errors.Join(delegate(parent, dir), weigh(dir)); err != nil {
			return err
		}
	}
	return nil
}

// threadsPerProcessor is how many busy threads of other programs the pods hold their
// own against, for each processor.
const threadsPerProcessor = 4

// weigh gives the cgroup its share of a busy machine. The kernel weighs a thread that
// is in no cgroup like a whole cgroup, so that all pods together would get as much time
// as one thread of a compiler, whatever they request.
func weigh(dir string) error {
	threads := threadsPerProcessor * runtime.NumCPU()
	for file, weight := range map[string]int{"cpu.shares": 1024 * threads, "cpu.weight": min(100*threads, 10_000)} {
		path := filepath.Join(dir, file)
		if _, err := os.Stat(path); err != nil {
			continue // another controller, or the other version
		}
		if err := os.WriteFile(path, []byte(strconv.Itoa(weight)), 0o644); err != nil {
			return fmt.Errorf("weigh cgroup: %w", err)
		}
	}
	return nil
}

// delegate turns every controller of a version 2 cgroup on for its children.
func delegate(parent, dir string) error {
	raw, err := os.ReadFile(filepath.Join(parent, "cgroup.controllers"))
	if err != nil {
		return nil // version 1
	}
	for controller := range strings.FieldsSeq(string(raw)) {
		for _, d := range []string{parent, dir} {
			err := os.WriteFile(filepath.Join(d, "cgroup.subtree_control"), []byte("+"+controller), 0o644)
			if err != nil {
				return fmt.Errorf("delegate cgroup controller %s: %w", controller, err)
			}
		}
	}
	return nil
}

// RemoveCgroup kills every process under the cgroup and removes it.
func RemoveCgroup(ctx context.Context, name string) error {
	parents, err := mounted()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	return process.Poll(ctx, 20*time.Millisecond, func() error {
		var left error
		for _, parent := range parents {
			if err := removeTree(filepath.Join(parent, name)); err != nil {
				left = err
			}
		}
		return left
	})
}

// removeTree kills what is in the tree and removes its directories, deepest
// first. A killed process may need a moment; the caller tries again.
func removeTree(root string) error {
	var dirs []string
	_ = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			dirs = append(dirs, path)
		}
		return nil
	})
	var left error
	for _, dir := range slices.Backward(dirs) {
		for _, pid := range members(dir) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		if err := syscall.Rmdir(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			left = fmt.Errorf("remove cgroup %s: %w", dir, err)
		}
	}
	return left
}

func members(dir string) []int {
	raw, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	var pids []int
	for word := range strings.FieldsSeq(string(raw)) {
		if pid, err := strconv.Atoi(word); err == nil && pid > 1 {
			pids = append(pids, pid)
		}
	}
	return pids
}
