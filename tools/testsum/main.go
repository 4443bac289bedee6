// Command testsum runs the tests of several modules and ends with one line:
// `N passed, N failed`, and how many were skipped. It shows what failed tests
// printed and nothing of the others, and says why tests were skipped.
//
//	testsum [-standalone] [-jobs N] [-last MODULE-DIR] [-flags "-race -count=1"] MODULE-DIR...
//
// A module outside of go.work runs without the workspace, as all do with
// -standalone. Modules that run at once do not mix what they print.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/argosy-mesh/argosy/tools/testsum/internal/sum"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, out io.Writer) int {
	f := flag.NewFlagSet("testsum", flag.ContinueOnError)
	f.SetOutput(out)
	standalone := f.Bool("standalone", false, "test each module without the workspace")
	jobs := f.Int("jobs", 1, "modules that are tested at once")
	last := f.String("last", "", "module that is tested alone, after all others")
	extra := f.String("flags", "", "more flags for go test, separated by spaces")
	if f.Parse(args) != nil {
		return 2
	}
	members, err := workspace(ctx)
	if err != nil {
		fmt.Fprintln(out, "testsum:", err)
		return 2
	}
	total := sum.New(out)
	var mu sync.Mutex
	test := func(dir string) {
		off := *standalone || !slices.Contains(members, absolute(dir))
		start := time.Now()
		var said bytes.Buffer
		part := sum.New(&said)
		if err := module(ctx, part, dir, off, strings.Fields(*extra)); err != nil {
			part.Broken(dir, err)
		}
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(out, "%s-- %s in %s\n", said.String(), dir, time.Since(start).Round(100*time.Millisecond))
		total.Add(part)
	}
	slots := make(chan struct{}, max(*jobs, 1))
	var testing sync.WaitGroup
	for _, dir := range f.Args() {
		slots <- struct{}{}
		testing.Go(func() {
			defer func() { <-slots }()
			test(dir)
		})
	}
	testing.Wait()
	if *last != "" {
		test(*last)
	}
	return total.End()
}

// workspace lists the folders of go.work.
func workspace(ctx context.Context) ([]string, error) {
	text, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return nil, fmt.Errorf("ask go for the modules of the workspace: %w", err)
	}
	return strings.Fields(string(text)), nil
}

func absolute(dir string) string {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return dir
	}
	return abs
}

// module tests one module. Its error is about go test itself; what failed within
// is in total.
func module(ctx context.Context, total *sum.Total, dir string, off bool, extra []string) error {
	before := total.Failed
	env := os.Environ()
	if off {
		env = append(env, "GOWORK=off")
	}
	tested, err := packages(ctx, dir, env)
	if err != nil || len(tested) == 0 {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", append(append([]string{"test", "-json"}, extra...), tested...)...)
	cmd.Dir, cmd.Env = dir, env
	// Tests start processes of their own, which hear of the end from their tests.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = time.Minute
	var trouble strings.Builder
	cmd.Stderr = &trouble
	events, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	readErr := total.Read(events)
	if err := cmd.Wait(); err != nil && total.Failed == before {
		return fmt.Errorf("go test: %w: %s", err, strings.TrimSpace(trouble.String()))
	}
	return readErr
}

// packages lists those of a module that have tests. go test compiles the others
// too, and all of Kubernetes with the race detector takes ten minutes.
func packages(ctx context.Context, dir string, env []string) ([]string, error) {
	cmd := exec.CommandContext(
		ctx, "go", "list", "-f", "{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}", "./...",
	)
	cmd.Dir, cmd.Env = dir, env
	var trouble strings.Builder
	cmd.Stderr = &trouble
	text, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list the packages of %s: %w: %s", dir, err, strings.TrimSpace(trouble.String()))
	}
	return strings.Fields(string(text)), nil
}
