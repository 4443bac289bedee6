// Package executor is the small program that runs inside a pod: it brings
// artifacts in before the user's program, and collects what the program left
// behind. It knows nothing of the bus or of Kubernetes; its URLs allow it one
// object each.
package executor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/wait"
	"github.com/argosy-mesh/argosy/libs/flow/protocol"
)

// Streams are the standard streams of the process.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Places are the paths that Kubernetes and the runner give the executor.
type Places struct {
	Termination string // where the kubelet looks for the last word of a container
	Staging     string // the volume that init shares with main
}

// InPod are the places inside a pod.
func InPod() Places {
	return Places{Termination: "/dev/termination-log", Staging: protocol.StagingDir}
}

// Usage errors exit with 2, a program that cannot be started with 127 or 126 as a
// shell would, anything else with 1.
const (
	exitUsage      = 2
	exitCannotRun  = 126
	exitNotFound   = 127
	exitCollecting = 1
)

// Main runs "load" or "run -- command [args]" and returns the exit code.
func Main(ctx context.Context, args []string, getenv func(string) string, std Streams, at Places) int {
	var task protocol.Task
	if err := json.Unmarshal([]byte(getenv(protocol.TaskVariable)), &task); err != nil {
		fmt.Fprintf(std.Err, "executor: $%s: %v\n", protocol.TaskVariable, err)
		return exitUsage
	}
	switch {
	case len(args) == 1 && args[0] == "load":
		if err := load(ctx, task, at.Staging); err != nil {
			fmt.Fprintln(std.Err, "executor:", err)
			return 1
		}
		return 0
	case len(args) > 2 && args[0] == "run":
		member, command, ok := memberOf(args[1:], at.Staging)
		if !ok {
			break
		}
		return member.perform(ctx, task, command, std, at)
	}
	fmt.Fprintln(std.Err, "usage: executor load | executor run [--name NAME] [--after NAME]... -- command [args]")
	return exitUsage
}

// run starts the program, passes signals on, waits, collects, and takes over the
// program's exit code.
func (m member) run(ctx context.Context, task protocol.Task, command []string, std Streams, termination string) int {
	output := &tail{limit: protocol.ResultLimit}
	closeLogs, err := keepLogs(task.Logs, &std)
	if err != nil {
		fmt.Fprintln(std.Err, "executor:", err)
		return exitCollecting
	}
	program := exec.Command(command[0], command[1:]...) //nolint:noctx // it ends by itself or by signals that are passed on
	program.Env = withoutTask(os.Environ())
	program.WaitDelay = waitForOutput
	program.Stdin, program.Stdout, program.Stderr = std.In, std.Out, std.Err
	if task.Result {
		program.Stdout = io.MultiWriter(std.Out, output)
	}
	// Before the program starts: one that is told to stop must not leave it behind.
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2,
		syscall.SIGQUIT)
	if err := program.Start(); err != nil {
		fmt.Fprintf(std.Err, "executor: start %s: %v\n", command[0], err)
		if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
			return exitNotFound
		}
		return exitCannotRun
	}
	stop := forward(signals, program.Process)
	stopped := m.stopWith(ctx, program.Process)
	err = program.Wait()
	stop()
	cause := stopped()
	code := codeOf(err)
	closeLogs()
	report := collect(ctx, task, output.text())
	report.Stopped = cause
	if err := leave(ctx, task, report, termination); err != nil {
		fmt.Fprintln(std.Err, "executor:", err)
		return max(code, exitCollecting)
	}
	return code
}

// waitForOutput is how long the output is read of what a program left running when it ended.
const waitForOutput = 2 * time.Second

// withoutTask keeps the URLs from the user's program.
func withoutTask(environ []string) []string {
	var kept []string
	for _, v := range environ {
		if !strings.HasPrefix(v, protocol.TaskVariable+"=") {
			kept = append(kept, v)
		}
	}
	return kept
}

// forward passes the signals of a stopping pod on to the program.
func forward(signals chan os.Signal, p *os.Process) (stop func()) {
	done := make(chan struct{})
	go func() {
		for {
			select {
			case s := <-signals:
				_ = p.Signal(s) // it may have ended
			case <-done:
				return
			}
		}
	}()
	return func() { signal.Stop(signals); close(done) }
}

// stopWith stops a program when another member of its set ends badly. The answer of the function is which, if any; it
// is asked when the program has ended.
func (m member) stopWith(ctx context.Context, p *os.Process) func() string {
	ctx, cancel := context.WithCancel(ctx)
	news, told := m.watch(ctx), make(chan string, 1)
	go func() {
		select {
		case bad := <-news:
			told <- bad.name
			_ = p.Signal(syscall.SIGTERM) // it may have ended
		case <-ctx.Done():
			told <- ""
			return
		}
		if wait.For(ctx, stopGrace) == nil {
			_ = p.Kill()
		}
	}()
	return func() string {
		cancel()
		return <-told
	}
}

func codeOf(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay):
		return 0
	case errors.As(err, &exit):
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			return 128 + int(status.Signal())
		}
		return exit.ExitCode()
	default:
		return 1
	}
}

// leave writes the report where the kubelet finds it; one that does not fit goes
// to its URL first.
func leave(ctx context.Context, task protocol.Task, report protocol.Termination, file string) error {
	raw, err := json.Marshal(report)
	if err != nil {
		return fmt.Errorf("encode the report: %w", err)
	}
	if len(raw) > protocol.MessageLimit {
		if err := upload(ctx, task.ReportURL, func() (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(raw)), nil
		}); err != nil {
			raw, _ = json.Marshal(errorReport(fmt.Sprintf("store a report of %d bytes: %v", len(raw), err)))
		} else {
			raw, _ = json.Marshal(protocol.Termination{Stored: true, Stopped: report.Stopped})
		}
	}
	if err := os.WriteFile(file, raw, 0o644); err != nil {
		return fmt.Errorf("leave the report: %w", err)
	}
	return nil
}

// tail keeps the last bytes that were written.
type tail struct {
	limit int
	buf   bytes.Buffer
}

func (t *tail) Write(p []byte) (int, error) {
	t.buf.Write(p)
	if over := t.buf.Len() - t.limit; over > 0 {
		t.buf.Next(over)
	}
	return len(p), nil
}

// text is what was kept, without one trailing newline. Source: Argo Workflows.
func (t *tail) text() string { return strings.TrimSuffix(t.buf.String(), "\n") }

// load makes the executor available to main and brings the inputs in.
func load(ctx context.Context, task protocol.Task, staging string) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find the executor: %w", err)
	}
	if err := install(self, filepath.Join(staging, "executor")); err != nil {
		return err
	}
	if err := makeLogs(staging); err != nil {
		return err
	}
	for _, in := range task.Inputs {
		if err := loadOne(ctx, in, filepath.Join(staging, "inputs", in.Path)); err != nil {
			return fmt.Errorf("load artifact %q: %w", in.Name, err)
		}
	}
	return nil
}

func install(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("install the executor: %w", err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o755)
	if err != nil {
		return fmt.Errorf("install the executor: %w", err)
	}
	if _, err := io.Copy(out, in); err != nil {
		return errors.Join(fmt.Errorf("install the executor: %w", err), out.Close())
	}
	return out.Close()
}
