// Package process starts programs that outlive their starter and finds them
// again. A program is known by its pid and the time it started, so that a pid
// the kernel has given to someone else is never mistaken for it.
package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Set is the programs of one cluster: their pid files in Run, their output in Logs.
type Set struct {
	Run  string
	Logs string
}

// Spec is a program to start. It leads a session of its own. Env is added to
// the environment of the starter.
type Spec struct {
	Name       string
	Argv       []string
	Env        []string
	Cloneflags uintptr
}

// Start starts the program and writes down its pid.
func (s Set) Start(spec Spec) error {
	for _, dir := range []string{s.Run, s.Logs} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make directory: %w", err)
		}
	}
	log, err := os.OpenFile(s.Log(spec.Name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("open log of %s: %w", spec.Name, err)
	}
	defer log.Close()
	command := exec.Command(spec.Argv[0], spec.Argv[1:]...) //nolint:noctx // it outlives whoever starts it
	command.Stdout, command.Stderr = log, log
	command.Env = append(os.Environ(), spec.Env...)
	command.Dir = "/"
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Cloneflags: spec.Cloneflags}
	if err := command.Start(); err != nil {
		return fmt.Errorf("start %s: %w", spec.Name, err)
	}
	pid := command.Process.Pid
	// Reaped here while this process lives; afterwards init does it.
	go func() { _ = command.Wait() }()
	started, _ := startTime(pid)
	return os.WriteFile(s.pidFile(spec.Name), fmt.Appendf(nil, "%d %s\n", pid, started), 0o644)
}

// Pid is the program's pid, or 0 when it does not run.
func (s Set) Pid(name string) int {
	raw, err := os.ReadFile(s.pidFile(name))
	if err != nil {
		return 0
	}
	pidText, started, _ := strings.Cut(strings.TrimSpace(string(raw)), " ")
	pid, err := strconv.Atoi(pidText)
	if err != nil {
		return 0
	}
	now, running := startTime(pid)
	if !running || now != started {
		return 0
	}
	return pid
}

// Names lists the programs that have been started, running or not.
func (s Set) Names() []string {
	files, _ := filepath.Glob(filepath.Join(s.Run, "*.pid"))
	names := make([]string, len(files))
	for i, file := range files {
		names[i] = strings.TrimSuffix(filepath.Base(file), ".pid")
	}
	return names
}

// Stop ends the program: politely, and after grace by force. A program that
// does not run is stopped already.
func (s Set) Stop(ctx context.Context, name string, grace time.Duration) error {
	pid := s.Pid(name)
	if pid != 0 {
		_ = syscall.Kill(pid, syscall.SIGTERM)
		if !s.gone(ctx, name, grace) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			if !s.gone(ctx, name, 10*time.Second) {
				return fmt.Errorf("%s (pid %d) does not end", name, pid)
			}
		}
	}
	if err := os.Remove(s.pidFile(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove pid file of %s: %w", name, err)
	}
	return nil
}

func (s Set) gone(ctx context.Context, name string, within time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	return Poll(ctx, 10*time.Millisecond, func() error {
		if s.Pid(name) != 0 {
			return errors.New("runs")
		}
		return nil
	}) == nil
}

// Log is the path of a program's output.
func (s Set) Log(name string) string { return filepath.Join(s.Logs, name+".log") }

// Tail returns the last lines of a program's output.
func (s Set) Tail(name string, lines int) string {
	const most = 64 << 10
	file, err := os.Open(s.Log(name))
	if err != nil {
		return ""
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil && info.Size() > most {
		_, _ = file.Seek(-most, io.SeekEnd)
	}
	raw, _ := io.ReadAll(io.LimitReader(file, most))
	all := strings.Split(strings.TrimRight(string(raw), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

func (s Set) pidFile(name string) string { return filepath.Join(s.Run, name+".pid") }

// Poll calls check until it returns nil or ctx ends; then it returns the last
// reason.
func Poll(ctx context.Context, every time.Duration, check func() error) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-ticker.C:
		}
	}
}

// startTime is when a process started, in ticks since boot; a zombie does not
// run.
func startTime(pid int) (ticks string, running bool) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", false
	}
	// The command, in parentheses, may hold anything; count from its end.
	fields := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))
	if len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return "", false
	}
	return fields[19], true
}
