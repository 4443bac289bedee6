package executor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/argosy-mesh/argosy/libs/flow/protocol"
)

// member is a container of a set: it waits for others to end well, is stopped when one ends badly, and leaves its own
// end where they look for it.
type member struct {
	name  string // empty: no set
	after []string
	dir   string // where ends are left, shared by the set
}

const (
	// lookEvery is how often a waiting container looks for the ends of others, and watchEvery how often a running one
	// does.
	lookEvery  = 50 * time.Millisecond
	watchEvery = 250 * time.Millisecond
	// stopGrace is how long a program has to stop before it is killed.
	stopGrace = 5 * time.Second
	// exitKilled is the exit code of a container that was killed together with its executor.
	exitKilled = 128 + int(syscall.SIGKILL)
)

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

// alivePrefix begins the names of files that are locked as long as their member lives: the kernel gives the lock back
// however it dies.
const alivePrefix = ".alive-"

// join says to the others that this member lives. The file stays open, and locked, until the process ends.
func (m member) join() (*os.File, error) {
	if m.name == "" {
		return nil, nil //nolint:nilnil // there is nobody to tell
	}
	if err := m.share(); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(m.dir, alivePrefix+filepath.Base(m.name)), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", f.Name(), err), f.Close())
	}
	// Only now: a file that is empty is one that is not locked yet.
	if _, err := f.WriteString(m.name); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// share makes the folder that all members write into, whoever they run as.
func (m member) share() error {
	err := os.MkdirAll(m.dir, 0o777)
	if err == nil {
		_ = os.Chmod(m.dir, 0o777)
	}
	return err
}

// otherEnd is how another member ended.
type otherEnd struct {
	name string
	code int
}

// await returns when all that this container comes after ended well, or else the one that did not, or any other of the
// set: what cannot end well is not begun.
func (m member) await(ctx context.Context) (bad otherEnd, err error) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		all, err := m.ends()
		if err != nil {
			return bad, err
		}
		if bad, is := firstBad(all, m.after); is {
			return bad, nil
		}
		if !slices.ContainsFunc(m.after, func(name string) bool { _, over := all[name]; return !over }) {
			return bad, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return bad, context.Cause(ctx)
		}
	}
}

// firstBad finds a member that ended badly, rather one of those that matter most.
func firstBad(all map[string]int, most []string) (otherEnd, bool) {
	names := slices.Clone(most)
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names[len(most):])
	for _, name := range names {
		if code := all[name]; code != 0 {
			return otherEnd{name, code}, true
		}
	}
	return otherEnd{}, false
}

// watch tells of another member that ended badly, once, until ctx ends.
func (m member) watch(ctx context.Context) <-chan otherEnd {
	news := make(chan otherEnd, 1)
	if m.name == "" {
		return news
	}
	go func() {
		tick := time.NewTicker(watchEvery)
		defer tick.Stop()
		for {
			// What cannot be looked at now is looked at again.
			if all, err := m.ends(); err == nil {
				if bad, is := firstBad(all, nil); is {
					news <- bad
					return
				}
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return news
}

// ends are the exit codes of the other members that have ended. One that is dead and left no code was killed together
// with its executor, such as for its memory.
func (m member) ends() (map[string]int, error) {
	if m.name == "" {
		return nil, nil
	}
	files, err := os.ReadDir(m.dir)
	if err != nil {
		return nil, err
	}
	out := map[string]int{}
	for _, f := range files {
		name := strings.TrimPrefix(f.Name(), alivePrefix)
		if name == m.name || strings.HasPrefix(name, ".") {
			continue
		}
		code, over, err := m.endOf(name, f.Name() != name)
		if err != nil {
			return nil, err
		}
		if over {
			out[name] = code
		}
	}
	return out, nil
}

// endOf looks for the end of a member. Its lock is looked at before its end: a member leaves that while it holds the
// lock.
func (m member) endOf(name string, locks bool) (code int, over bool, err error) {
	dead := locks && m.dead(name)
	text, err := os.ReadFile(filepath.Join(m.dir, name))
	switch {
	case err == nil:
		code, err = strconv.Atoi(strings.TrimSpace(string(text)))
		return code, err == nil, err
	case os.IsNotExist(err):
		return exitKilled, dead, nil
	}
	return 0, false, err
}

// dead reports whether nobody holds the lock of a member that has joined.
func (m member) dead(name string) bool {
	f, err := os.Open(filepath.Join(m.dir, alivePrefix+name))
	if err != nil {
		return false
	}
	defer f.Close()
	// A shared lock, and only for a moment: those that look at the same time do not take each other for the member.
	if syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) != nil {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Size() > 0
}

// end leaves the exit code for those that come after. The file appears whole: others read it at any moment.
func (m member) end(code int, std Streams) int {
	if m.name == "" {
		return code
	}
	err := m.share()
	if err == nil {
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

// perform runs the program of a container, as a member of its set where there is one.
func (m member) perform(ctx context.Context, task protocol.Task, command []string, std Streams, at Places) int {
	alive, err := m.join()
	if err != nil {
		fmt.Fprintln(std.Err, "executor: join the set:", err)
		return exitCollecting
	}
	defer alive.Close()
	bad, err := m.await(ctx)
	if err != nil {
		fmt.Fprintln(std.Err, "executor: wait for other containers:", err)
		return m.end(exitCollecting, std)
	}
	if bad.code != 0 {
		fmt.Fprintf(std.Err, "executor: container %s ended with exit code %d\n", bad.name, bad.code)
		if err := leave(ctx, task, protocol.Termination{Stopped: bad.name}, at.Termination); err != nil {
			fmt.Fprintln(std.Err, "executor:", err)
		}
		return m.end(bad.code, std)
	}
	return m.end(m.run(ctx, task, command, std, at.Termination), std)
}
