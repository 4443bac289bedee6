package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/libs/flow/protocol"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	corev1 "k8s.io/api/core/v1"
)

// resultLimit is how much of the end of the standard output becomes the result, as in the cluster.
const resultLimit = protocol.ResultLimit

// killAfter is how long a process that was told to stop may take.
const killAfter = 10 * time.Second

// Processes runs scripts, and where All says so containers too, as processes of this
// machine. Paths of outputs and of input artifacts are those of this machine.
type Processes struct {
	Dir string // for the sources of scripts
	All bool   // run the commands of containers too, without their images
}

// Run runs one step.
func (p Processes) Run(ctx context.Context, job Job) (flow.Pod, error) {
	c, argv, err := p.command(job)
	if err != nil {
		return flow.Pod{}, err
	}
	for name, from := range job.Inputs {
		if err := lay(from, pathOf(job.Template.Inputs.Artifacts, name)); err != nil {
			return flow.Pod{}, fmt.Errorf("input artifact %q: %w", name, err)
		}
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Cancel, cmd.WaitDelay = func() error { return cmd.Process.Signal(syscall.SIGTERM) }, killAfter
	cmd.Dir = c.WorkingDir
	if cmd.Env, err = environment(c.Env); err != nil {
		return flow.Pod{}, err
	}
	result := &tail{}
	cmd.Stdout, cmd.Stderr = io.MultiWriter(job.Out, result), job.Out
	code, err := exitCode(cmd.Run())
	if err != nil {
		return flow.Pod{}, err
	}
	pod := podOf(code, result.String())
	collect(&pod, job, readFile, func(from, to string) error { return copyTree(to, from) })
	return pod, nil
}

// command returns the container of a step and what it runs.
func (p Processes) command(job Job) (*corev1.Container, []string, error) {
	switch t := job.Template; {
	case t.Script != nil:
		source := filepath.Join(p.Dir, job.Name)
		if err := os.WriteFile(source, []byte(t.Script.Source), 0o600); err != nil {
			return nil, nil, err
		}
		if len(t.Script.Command) == 0 {
			return nil, nil, errors.New(
				"script.command is missing: without a container there is no entrypoint of an image",
			)
		}
		return &t.Script.Container, scriptLine(*t.Script, source), nil
	case t.Container != nil && !p.All:
		return nil, nil, errors.New(
			"it is a container, and no local runtime was found: install docker, podman or nerdctl, or run its command on this machine with --processes",
		)
	case t.Container != nil && len(t.Container.Command) > 0:
		return t.Container, append(slices.Clone(t.Container.Command), t.Container.Args...), nil
	case t.Container != nil:
		return nil, nil, errors.New("container.command is missing: without its image there is no entrypoint")
	}
	return nil, nil, errors.New("only container and script steps run without a cluster")
}

func environment(vars []corev1.EnvVar) ([]string, error) {
	out := os.Environ()
	for _, v := range vars {
		if v.ValueFrom != nil {
			return nil, fmt.Errorf("env %s: valueFrom needs a cluster; give it a value", v.Name)
		}
		out = append(out, v.Name+"="+v.Value)
	}
	return out, nil
}

// exitCode tells how a process ended from that it could not run.
func exitCode(err error) (int32, error) {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0, nil
	case errors.As(err, &exit) && exit.ExitCode() >= 0:
		return int32(exit.ExitCode()), nil
	}
	return 0, err
}

func podOf(code int32, result string) flow.Pod {
	pod := flow.Pod{
		Phase:    flow.PodSucceeded,
		ExitCode: &code,
		Report:   &protocol.Report{Result: &result, Parameters: map[string]string{}},
	}
	if code != 0 {
		pod.Phase, pod.Message = flow.PodFailed, fmt.Sprintf("Error (exit code %d)", code)
	}
	return pod
}

// collect takes in what a step leaves behind.
func collect(pod *flow.Pod, job Job, read func(path string) (string, error), save func(from, to string) error) {
	out := job.Template.Outputs
	if out == nil {
		return
	}
	var problems []string
	for _, p := range out.Parameters {
		if p.ValueFrom == nil || p.ValueFrom.Path == "" {
			continue
		}
		value, err := read(p.ValueFrom.Path)
		if err != nil && p.ValueFrom.Default == nil {
			problems = append(problems, fmt.Sprintf("output parameter %q: %v", p.Name, err))
		} else if err == nil {
			pod.Report.Parameters[p.Name] = strings.TrimSuffix(value, "\n")
		}
	}
	for _, a := range out.Artifacts {
		if err := save(a.Path, job.Outputs[a.Name]); err != nil && !a.Optional {
			problems = append(problems, fmt.Sprintf("output artifact %q: %v", a.Name, err))
		} else if err == nil {
			pod.Report.Artifacts = append(pod.Report.Artifacts, a.Name)
		}
	}
	pod.Report.Error = strings.Join(problems, "; ")
}

// parameterLimit is how large a file that becomes a parameter may be, as in the cluster.
const parameterLimit = 256 << 10

func readFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, parameterLimit+1))
	if err == nil && len(raw) > parameterLimit {
		err = fmt.Errorf("%s is over %d bytes; use an artifact", path, parameterLimit)
	}
	return string(raw), err
}

func pathOf(artifacts []v1alpha1.Artifact, name string) string {
	for _, a := range artifacts {
		if a.Name == name {
			return a.Path
		}
	}
	return ""
}

// lay puts an artifact where a step wants it. A folder that is there is not replaced: it may be anything of this
// machine.
func lay(from, to string) error {
	if to == "" {
		return errors.New("path is missing")
	}
	if info, err := os.Stat(to); err == nil && info.IsDir() {
		return fmt.Errorf("its path %s is a folder of this machine", to)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return copyTree(to, from)
}

// copyTree copies a file or a folder.
func copyTree(to, from string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return os.CopyFS(to, os.DirFS(from))
	}
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, info.Mode().Perm())
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}

// tail keeps the end of what is written.
type tail struct{ kept []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p...)
	if len(t.kept) > 2*resultLimit {
		t.kept = slices.Clone(t.kept[len(t.kept)-resultLimit:])
	}
	return len(p), nil
}

func (t *tail) String() string {
	return strings.TrimSuffix(string(t.kept[max(len(t.kept)-resultLimit, 0):]), "\n")
}
