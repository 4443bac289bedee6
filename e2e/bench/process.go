package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// stopPatience is how long a program may take to end when it is asked to.
const stopPatience = 20 * time.Second

// process is a program that runs beside this one.
type process struct {
	name string
	cmd  *exec.Cmd
	log  string // where its output goes
	gone chan struct{}
}

// spawn starts a program whose output goes to a file of a folder.
func spawn(dir, name, program string, env []string, args ...string) (*process, error) {
	p := &process{name: name, log: filepath.Join(dir, name+".log"), gone: make(chan struct{})}
	out, err := os.Create(p.log)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p.cmd = exec.Command(program, args...) //nolint:noctx // ended by stop
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", name, err), out.Close())
	}
	go func() {
		defer close(p.gone)
		_ = p.cmd.Wait() // its log says why
		_ = out.Close()
	}()
	return p, nil
}

// stop asks it to end, and ends it when it does not.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.gone:
	case <-time.After(stopPatience):
		_ = p.cmd.Process.Kill()
		<-p.gone
	}
}

// usage is what a process took and holds.
type usage struct {
	cpu   time.Duration // since it was started
	bytes int64         // resident
}

// ticks are those of /proc, a second. Source: proc(5); Linux has 100 for programs wherever Go runs.
const ticks = 100

// usage reads /proc.
func (p *process) usage() (usage, error) {
	pid := p.cmd.Process.Pid
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return usage{}, fmt.Errorf("what %s takes: %w", p.name, err)
	}
	// The name in brackets may hold spaces. Behind it utime is the 12th field and stime the 13th.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 22 {
		return usage{}, fmt.Errorf("what %s takes: /proc/%d/stat has %d fields", p.name, pid, len(fields))
	}
	var numbers [3]int64
	for i, field := range []int{11, 12, 21} {
		if numbers[i], err = strconv.ParseInt(fields[field], 10, 64); err != nil {
			return usage{}, fmt.Errorf("what %s takes: %w", p.name, err)
		}
	}
	return usage{
		cpu:   time.Duration(numbers[0]+numbers[1]) * time.Second / ticks,
		bytes: numbers[2] * int64(os.Getpagesize()),
	}, nil
}

// freeAddress is a loopback address that nobody listens on now.
func freeAddress(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return l.Addr().String(), l.Close()
}
