package node

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
)

// Members are the processes in a cgroup of the node and all below it.
func Members(name string) []int {
	parents, err := mounted()
	if err != nil {
		return nil
	}
	var pids []int
	for _, parent := range parents {
		_ = filepath.WalkDir(filepath.Join(parent, name), func(path string, entry os.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				pids = append(pids, members(path)...)
			}
			return nil
		})
	}
	return pids
}

// Reaped says which of some processes are dead and still listed, because init has not asked for their end yet.
func Reaped(pids []int) error {
	left := 0
	for _, pid := range pids {
		// "pid (name) state ...", where a name may hold anything. Source: proc_pid_stat(5).
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if end := bytes.LastIndexByte(stat, ')'); err == nil && end >= 0 && bytes.HasPrefix(stat[end:], []byte(") Z")) {
			left++
		}
	}
	if left > 0 {
		return fmt.Errorf("%d dead processes are still listed", left)
	}
	return nil
}
