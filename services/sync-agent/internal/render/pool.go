package render

import (
	"bytes"
	"context"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Limits are those of the processes that render.
type Limits struct {
	Workers int           // at once
	Time    time.Duration // that one render may compute; what it waits for does not count
	Memory  int64         // of one worker, in bytes
	Renders int           // after which a worker is replaced
	Idle    time.Duration // after which an idle worker ends
}

// DefaultLimits are enough for large charts, and within what the container of the service may have.
func DefaultLimits() Limits {
	l := Limits{Workers: 2, Time: time.Minute, Memory: 1 << 30, Renders: 100, Idle: 20 * time.Second}
	if text, err := os.ReadFile("/sys/fs/cgroup/memory.max"); err == nil {
		if most, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil {
			l.Memory = max(min(l.Memory, most*3/4), 128<<20)
			if most < 1<<30 {
				l.Workers = 1
			}
		}
	}
	return l
}

// lean is the memory in bytes above which a worker is not used again.
const lean = 256 << 20

// Pool runs renders in a few processes of their own: what a manifest does to one of them, however long it computes or
// whatever memory it takes, is an error of its Application alone. Safe for concurrent use.
type Pool struct {
	program string
	limits  Limits
	room    chan struct{}

	mu     sync.Mutex
	idle   []*worker
	closed bool
}

// NewPool returns a pool whose workers are this very program, which must call Work when IsWorker says so.
func NewPool(limits Limits) (*Pool, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find the program that renders: %w", err)
	}
	return &Pool{program: program, limits: limits, room: make(chan struct{}, limits.Workers)}, nil
}

// Close ends the idle workers; those that render end when they are done.
func (p *Pool) Close() {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.closed = nil, true
	p.mu.Unlock()
	for _, w := range idle {
		w.end()
	}
}

// worker is one process. It has one render at a time.
type worker struct {
	cmd     *exec.Cmd
	stdin   io.WriteCloser
	out     *gob.Encoder
	in      *gob.Decoder
	problem bytes.Buffer // what it wrote to stderr, cut
	renders int
	retire  *time.Timer
	gone    chan struct{} // closed when the process is no more
}

// errWorker is wrapped by errors about a worker that is gone, errIdled by those about one that had nothing to do.
var (
	errWorker = errors.New("the process that renders ended")
	errIdled  = errors.New("the process that renders ended before")
)

// run renders in a worker.
func (p *Pool) run(ctx context.Context, job *Job, asker Asker) ([]*unstructured.Unstructured, []Read, error) {
	text, err := json.Marshal(job)
	if err != nil {
		return nil, nil, fmt.Errorf("encode a render: %w", err)
	}
	told, err := p.do(ctx, toWorker{Job: text}, asker)
	if err != nil {
		return nil, nil, err
	}
	return told.read()
}

// do has a worker do one thing.
func (p *Pool) do(ctx context.Context, what toWorker, asker Asker) (*toldResult, error) {
	select {
	case p.room <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-p.room }()
	for {
		w, err := p.take() //nolint:contextcheck // a worker outlives the render that it is started for
		if err != nil {
			return nil, err
		}
		used := w.renders > 0
		answer, err := p.drive(ctx, w, what, asker)
		if err == nil {
			p.give(w, answer.Memory)
			return answer, nil
		}
		w.kill()
		// A worker that went away while it was idle says nothing about this job.
		if !used || !errors.Is(err, errIdled) {
			return nil, err
		}
	}
}

// take returns an idle worker or starts one.
func (p *Pool) take() (*worker, error) {
	p.mu.Lock()
	for len(p.idle) > 0 {
		w := p.idle[len(p.idle)-1]
		p.idle = p.idle[:len(p.idle)-1]
		if w.retire.Stop() {
			p.mu.Unlock()
			return w, nil
		}
	}
	p.mu.Unlock()
	return p.start()
}

func (p *Pool) start() (*worker, error) {
	w := &worker{gone: make(chan struct{})}
	w.cmd = exec.CommandContext(context.Background(), p.program, workerArgument, fmt.Sprint(p.limits.Memory))
	// Templates see nothing of the service's environment, and the clock of no place.
	w.cmd.Env = []string{"TZ=UTC", "LC_ALL=C", "HOME=/nonexistent", "PATH="}
	w.cmd.Dir = "/"
	w.cmd.Stderr = &cut{to: &w.problem, left: 8 << 10}
	stdin, err := w.cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start a process that renders: %w", err)
	}
	stdout, err := w.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start a process that renders: %w", err)
	}
	if err := w.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a process that renders: %w", err)
	}
	go func() {
		// It closes the pipe of answers, too: a worker that ends has none to give any more.
		_ = w.cmd.Wait()
		close(w.gone)
	}()
	w.stdin, w.out, w.in = stdin, gob.NewEncoder(stdin), gob.NewDecoder(stdout)
	return w, nil
}

// give makes a worker idle, or ends it when it has done enough.
func (p *Pool) give(w *worker, memory uint64) {
	w.renders++
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || w.renders >= p.limits.Renders || memory > lean {
		w.end()
		return
	}
	w.retire = time.AfterFunc(p.limits.Idle, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		for i, idle := range p.idle {
			if idle == w {
				p.idle = append(p.idle[:i], p.idle[i+1:]...)
				break
			}
		}
		w.end()
	})
	p.idle = append(p.idle, w)
}

// end lets a worker end by itself: it does when nobody can ask it any more.
func (w *worker) end() { _ = w.stdin.Close() }

func (w *worker) kill() {
	w.end()
	_ = w.cmd.Process.Kill()
	<-w.gone
}

// drive has a worker do something and answers what it asks meanwhile.
func (p *Pool) drive(ctx context.Context, w *worker, next toWorker, asker Asker) (*toldResult, error) {
	var first error // of what was asked, that says nothing about the source
	left := p.limits.Time
	idled := w.renders > 0
	for {
		began := time.Now()
		late := time.AfterFunc(left, func() { _ = w.cmd.Process.Kill() })
		var said fromWorker
		err := w.out.Encode(next)
		if err == nil {
			err = w.in.Decode(&said)
		}
		inTime := late.Stop()
		left -= time.Since(began)
		switch {
		case !inTime || (err == nil && left <= 0):
			return nil, fmt.Errorf("%w: it took more than %s; look for a loop without end", ErrSource, p.limits.Time)
		case err != nil:
			return nil, w.lost(p.limits, idled)
		}
		idled = false
		switch {
		case said.Look != nil:
			found, err := asker.Look(ctx, *said.Look)
			next = toWorker{Looked: &found}
			next.refuse(err, &first)
		case said.Fetch != nil:
			found, err := asker.Fetch(ctx, *said.Fetch)
			next = toWorker{Fetched: &found}
			next.refuse(err, &first)
		case said.Result != nil:
			if said.Result.Transient && first != nil {
				said.Result.err = first
			}
			return said.Result, nil
		}
	}
}

// lost explains why a worker is no more.
func (w *worker) lost(limits Limits, idled bool) error {
	w.kill()
	if idled {
		return errIdled
	}
	text := w.problem.String()
	switch {
	case strings.Contains(text, "out of memory") || strings.Contains(text, "cannot allocate memory"):
		return fmt.Errorf("%w: it needs more than %d MiB of memory", ErrSource, limits.Memory>>20)
	case strings.Contains(text, "stack exceeds"):
		return fmt.Errorf("%w: it calls itself without end", ErrSource)
	}
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return fmt.Errorf("%w: %w: %s %s", ErrSource, errWorker, w.cmd.ProcessState, line)
}

// cut keeps the beginning of what is written.
type cut struct {
	to   *bytes.Buffer
	left int
}

// Write never fails.
func (c *cut) Write(p []byte) (int, error) {
	n := min(len(p), c.left)
	c.left -= n
	c.to.Write(p[:n])
	return len(p), nil
}
