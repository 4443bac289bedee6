package executor

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// member is a container of a set: it waits for others to end well, and leaves its own end where they look for it.
type member struct {
	name  string // empty: no set
	after []string
	dir   string // where ends are left, shared by the set
}

// lookEvery is how often a waiting container looks for the ends of others.
const lookEvery = 50 * time.Millisecond

// memberOf reads the flags before the command.
func memberOf(args []string, staging string) (m member, command []string, ok bool) {
	m.dir = filepath.Join(staging, "ended")
	for len(args) > 1 {
		switch args[0] {
		case "--":
			return m, args[1:], true
		case "--name":
			m.name = args[1]
		case "--after":
			m.after = append(m.after, args[1])
		default:
			return m, nil, false
		}
		args = args[2:]
	}
	return m, nil, false
}

// await returns 0 when all that this container comes after ended well, and the exit code of the first that did not.
func (m member) await(ctx context.Context, std Streams) int {
	for _, name := range m.after {
		code, err := m.endOf(ctx, name)
		if err != nil {
			fmt.Fprintf(std.Err, "executor: wait for container %s: %v\n", name, err)
			return 1
		}
		if code != 0 {
			fmt.Fprintf(std.Err, "executor: container %s ended with exit code %d\n", name, code)
			return code
		}
	}
	return 0
}

func (m member) endOf(ctx context.Context, name string) (int, error) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		text, err := os.ReadFile(filepath.Join(m.dir, filepath.Base(name)))
		if err == nil {
			return strconv.Atoi(strings.TrimSpace(string(text)))
		}
		if !os.IsNotExist(err) {
			return 0, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}

// end leaves the exit code for those that come after. The file appears whole: others read it at any moment.
func (m member) end(code int, std Streams) int {
	if m.name == "" {
		return code
	}
	err := os.MkdirAll(m.dir, 0o777)
	if err == nil {
		_ = os.Chmod(m.dir, 0o777)
		file := filepath.Join(m.dir, "."+filepath.Base(m.name))
		if err = os.WriteFile(file, []byte(strconv.Itoa(code)), 0o644); err == nil {
			err = os.Rename(file, filepath.Join(m.dir, filepath.Base(m.name)))
		}
	}
	if err != nil {
		fmt.Fprintln(std.Err, "executor: leave the exit code:", err)
		return max(code, exitCollecting)
	}
	return code
}
