package git

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

// objectsIdle is how long the process that reads objects is kept when nobody asks.
const objectsIdle = 20 * time.Second

// objects reads objects of a mirror through one git process, which is started when somebody asks and ends when nobody
// does: to start one for each question costs more than the answers. Safe for concurrent use, one at a time.
type objects struct {
	mu      sync.Mutex
	process *objectProcess
	idle    *time.Timer
}

type objectProcess struct {
	command *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	killed  sync.Once
}

// object is one answer. Data is nil when only what it is was asked for.
type object struct {
	ID   string
	Kind string // "" when there is no such object
	Size int
	Data []byte
}

// read asks for objects by name, their contents or only what they are, and returns answers in the same order. A
// question that fails is asked once more of a new process: the first one may be of a time before a fetch.
func (o *objects) read(ctx context.Context, g command, contents bool, names []string) ([]object, error) {
	for _, name := range names {
		if strings.ContainsAny(name, "\n\x00") {
			return nil, fmt.Errorf("git cat-file: %q holds a line break", name)
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	fresh := o.process == nil
	out, err := o.ask(ctx, g, contents, names)
	if err != nil && !fresh && ctx.Err() == nil {
		out, err = o.ask(ctx, g, contents, names)
	}
	if err != nil {
		return nil, fmt.Errorf("git cat-file: %w", err)
	}
	return out, nil
}

// ask does one round of questions. What goes wrong ends the process. The caller holds mu.
func (o *objects) ask(ctx context.Context, g command, contents bool, names []string) ([]object, error) {
	if o.process == nil {
		p, err := g.openObjects()
		if err != nil {
			return nil, err
		}
		o.process = p
		o.idle = time.AfterFunc(objectsIdle, o.end)
	}
	o.idle.Reset(objectsIdle)
	p := o.process
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	defer context.AfterFunc(ctx, p.kill)() // which ends every read and write below
	verb := "info "
	if contents {
		verb = "contents "
	}
	written := make(chan error, 1)
	go func() { // git answers while it is asked, and waits until answers are read
		var all bytes.Buffer
		for _, name := range names {
			all.WriteString(verb + name + "\n")
		}
		_, err := p.in.Write(all.Bytes())
		written <- err
	}()
	out := make([]object, 0, len(names))
	var err error
	for range names {
		var one object
		if one, err = p.next(contents); err != nil {
			break
		}
		out = append(out, one)
	}
	if err == nil {
		err = <-written
	}
	if err != nil {
		p.kill()
		o.process = nil
		return nil, errors.Join(err, ctx.Err())
	}
	return out, nil
}

func (p *objectProcess) next(contents bool) (object, error) {
	header, err := p.out.ReadString('\n')
	if err != nil {
		return object{}, err
	}
	fields := strings.Fields(header)
	if len(fields) != 3 {
		return object{}, nil // missing, or ambiguous
	}
	size, err := strconv.Atoi(fields[2])
	if err != nil {
		return object{}, fmt.Errorf("answer %q: %w", strings.TrimSpace(header), err)
	}
	o := object{ID: fields[0], Kind: fields[1], Size: size}
	if !contents {
		return o, nil
	}
	if size > MaxBytes {
		return object{}, fmt.Errorf("%w: object %s has %d bytes", ErrLimit, o.ID, size)
	}
	o.Data = make([]byte, size+1)
	if _, err := io.ReadFull(p.out, o.Data); err != nil {
		return object{}, err
	}
	o.Data = o.Data[:size]
	return o, nil
}

// openObjects starts the process; it outlives the request that it is started for.
func (g command) openObjects() (*objectProcess, error) {
	cmd := exec.Command("git", "cat-file", "--batch-command") //nolint:noctx // ended when idle
	cmd.Dir = g.dir
	cmd.Env = g.environment()
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &objectProcess{command: cmd, in: in, out: bufio.NewReaderSize(out, 64<<10)}, nil
}

// kill ends the process; a deadline and what failed because of it may both want that.
func (p *objectProcess) kill() {
	p.killed.Do(func() {
		_ = p.in.Close()
		_ = p.command.Process.Kill()
		go func() { _ = p.command.Wait() }() // how a process ended that was killed says nothing
	})
}

// end ends the process where nobody is asking; it holds nothing that could be lost.
func (o *objects) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.process != nil {
		o.process.kill()
		o.process = nil
	}
}
