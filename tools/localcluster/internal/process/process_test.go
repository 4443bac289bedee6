package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func newSet(t *testing.T) Set {
	t.Helper()
	dir := t.TempDir()
	return Set{Run: filepath.Join(dir, "run"), Logs: filepath.Join(dir, "logs")}
}

func TestStartStop(t *testing.T) {
	s := newSet(t)
	if err := s.Start(Spec{Name: "idle", Argv: []string{"sleep", "1000"}}); err != nil {
		t.Fatal(err)
	}
	pid := s.Pid("idle")
	if pid == 0 {
		t.Fatal("not running after start")
	}
	if session, _ := getsid(pid); session != pid {
		t.Errorf("session %d, want its own (%d)", session, pid)
	}
	if err := s.Stop(t.Context(), "idle", time.Minute); err != nil {
		t.Fatal(err)
	}
	if s.Pid("idle") != 0 || len(s.Names()) != 0 {
		t.Error("something is left after stop")
	}
}

func TestStopByForce(t *testing.T) {
	s := newSet(t)
	script := `trap "" TERM; echo ready; while :; do sleep 1000 & wait; done`
	if err := s.Start(Spec{Name: "deaf", Argv: []string{"sh", "-c", script}}); err != nil {
		t.Fatal(err)
	}
	group := s.Pid("deaf")
	defer func() { _ = syscall.Kill(-group, syscall.SIGKILL) }()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := Poll(ctx, time.Millisecond, func() error {
		if !strings.Contains(s.Tail("deaf", 5), "ready") {
			return errors.New("no trap yet")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(t.Context(), "deaf", 20*time.Millisecond); err != nil {
		t.Fatal(err)
	}
}

func TestPidOfSomeoneElse(t *testing.T) {
	s := newSet(t)
	if err := os.MkdirAll(s.Run, 0o755); err != nil {
		t.Fatal(err)
	}
	// Our own pid with another start time: the number was reused.
	if err := os.WriteFile(s.pidFile("old"), fmt.Appendf(nil, "%d 1\n", os.Getpid()), 0o644); err != nil {
		t.Fatal(err)
	}
	if pid := s.Pid("old"); pid != 0 {
		t.Errorf("pid %d taken for ours", pid)
	}
	if err := s.Stop(t.Context(), "old", time.Second); err != nil {
		t.Fatal(err)
	}
}

func TestTail(t *testing.T) {
	s := newSet(t)
	if err := os.MkdirAll(s.Logs, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.Log("x"), []byte("a\nb\nc\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := s.Tail("x", 2); got != "b\nc" {
		t.Errorf("tail %q", got)
	}
	if got := s.Tail("none", 2); got != "" {
		t.Errorf("tail of nothing %q", got)
	}
}

func getsid(pid int) (int, error) {
	session, _, errno := syscall.RawSyscall(syscall.SYS_GETSID, uintptr(pid), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(session), nil
}
