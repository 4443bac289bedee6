package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	corev1 "k8s.io/api/core/v1"
)

// runtimes are the programs that speak the command line of Docker, the first that is found wins.
var runtimes = []string{"docker", "podman", "nerdctl"}

// FindRuntime returns the first local container runtime, or "".
func FindRuntime() string {
	for _, name := range runtimes {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// scriptPath is where the source of a script lies in its container.
const scriptPath = "/argosy-script"

// cleanPatience is how long removing a container may take.
const cleanPatience = 30 * time.Second

// Containers runs steps as containers of a local runtime.
type Containers struct {
	Program string // such as docker
	Dir     string // for the sources of scripts and what is copied out
}

// Run runs one step.
func (c Containers) Run(ctx context.Context, job Job) (flow.Pod, error) {
	name := "argosy-" + job.Name
	create, err := c.arguments(name, job)
	if err != nil {
		return flow.Pod{}, err
	}
	if err := c.call(ctx, create...); err != nil {
		return flow.Pod{}, err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanPatience)
		defer cancel()
		_ = c.call(ctx, "rm", "-f", name) // what cannot be removed is only litter
	}()
	if err := c.fill(ctx, name, job); err != nil {
		return flow.Pod{}, err
	}
	result := &tail{}
	cmd := exec.CommandContext(ctx, c.Program, "start", "-a", name)
	cmd.Stdout, cmd.Stderr = io.MultiWriter(job.Out, result), job.Out
	code, err := exitCode(cmd.Run())
	if err != nil {
		return flow.Pod{}, err
	}
	pod := podOf(code, result.String())
	collect(&pod, job, func(from string) (string, error) { return c.read(ctx, name, from) },
		func(from, to string) error { return c.call(ctx, "cp", name+":"+from, to) })
	return pod, nil
}

// arguments are those that create the container of a step.
func (c Containers) arguments(name string, job Job) ([]string, error) {
	var box corev1.Container
	var argv []string
	switch t := job.Template; {
	case t.Script != nil:
		box, argv = t.Script.Container, scriptLine(*t.Script, scriptPath)
	case t.Container != nil:
		box, argv = *t.Container, append(slices.Clone(t.Container.Command), t.Container.Args...)
	default:
		return nil, errors.New("only container and script steps run without a cluster")
	}
	args := []string{"create", "--name", name}
	for _, v := range box.Env {
		if v.ValueFrom != nil {
			return nil, fmt.Errorf("env %s: valueFrom needs a cluster; give it a value", v.Name)
		}
		args = append(args, "--env", v.Name+"="+v.Value)
	}
	if box.WorkingDir != "" {
		args = append(args, "--workdir", box.WorkingDir)
	}
	if len(box.Command) > 0 {
		args = append(args, "--entrypoint", argv[0])
		argv = argv[1:]
	}
	return append(append(args, box.Image), argv...), nil
}

// scriptLine is what runs a script whose source lies in a file: without a source there is none. Source: Argo Workflows.
func scriptLine(s v1alpha1.ScriptTemplate, source string) []string {
	line := slices.Concat(s.Command, s.Args)
	if s.Source != "" {
		line = append(line, source)
	}
	return line
}

// fill copies the script and the input artifacts in.
func (c Containers) fill(ctx context.Context, name string, job Job) error {
	if s := job.Template.Script; s != nil && s.Source != "" {
		source := filepath.Join(c.Dir, job.Name)
		if err := os.WriteFile(source, []byte(job.Template.Script.Source), 0o644); err != nil {
			return err
		}
		if err := c.call(ctx, "cp", source, name+":"+scriptPath); err != nil {
			return err
		}
	}
	for artifact, from := range job.Inputs {
		to := pathOf(job.Template.Inputs.Artifacts, artifact)
		if to == "" {
			return fmt.Errorf("input artifact %q: path is missing", artifact)
		}
		if err := c.call(ctx, "cp", from, name+":"+to); err != nil {
			return fmt.Errorf("input artifact %q: %w", artifact, err)
		}
	}
	return nil
}

// read copies one file out and returns its content.
func (c Containers) read(ctx context.Context, name, from string) (string, error) {
	dir, err := os.MkdirTemp(c.Dir, "out-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	to := filepath.Join(dir, path.Base(from))
	if err := c.call(ctx, "cp", name+":"+from, to); err != nil {
		return "", err
	}
	return readFile(to)
}

// call runs the runtime's own command line.
func (c Containers) call(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, c.Program, args...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", filepath.Base(c.Program), args[0], err, strings.TrimSpace(errs.String()))
	}
	return nil
}
