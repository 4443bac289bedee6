package cli

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/libs/flow/stage"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/tools/argosy/internal/local"
	"github.com/spf13/cobra"
)

// runFlags are the flags of `argosy workflow run`.
type runFlags struct {
	local, processes bool
	runtime, dir     string
	entrypoint       string
	parameters       []string
}

func (a *app) workflowRun() *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:   "run --local FILE",
		Short: "Run a workflow on this machine, without a cluster",
		Args:  args(1, 1),
		Long: `Run a workflow on this machine, without a cluster. Containers need docker, podman or nerdctl; scripts run as processes where
there is none of them. Artifacts of the run are kept in --dir. What needs a cluster (volumes, secrets, resources) is an error of its step.
Exit code 1 when the workflow does not succeed.`,
		RunE: func(c *cobra.Command, names []string) error {
			if !f.local {
				return fmt.Errorf(
					"%w: only --local runs are possible; to run it in a cluster, kubectl create -f %s", errUsage,
					names[0],
				)
			}
			return a.runLocal(c.Context(), names[0], f)
		},
	}
	flags := c.Flags()
	flags.BoolVar(&f.local, "local", false, "run it here")
	flags.BoolVar(
		&f.processes, "processes", false,
		"run everything as processes of this machine, containers without their images",
	)
	flags.StringVar(
		&f.runtime, "runtime", "",
		"container runtime that speaks Docker's command line (default: the first of docker, podman, nerdctl)",
	)
	flags.StringVar(&f.dir, "dir", "", "folder for artifacts (default: a new one, removed afterwards)")
	flags.StringVar(&f.entrypoint, "entrypoint", "", "template to begin with")
	flags.StringArrayVarP(&f.parameters, "parameter", "p", nil, "NAME=VALUE of a parameter of the workflow")
	return c
}

func (a *app) runLocal(ctx context.Context, file string, f runFlags) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	parameters, err := pairs(f.parameters)
	if err != nil {
		return err
	}
	set, err := stage.Read(
		string(text), stage.Options{Now: time.Now(), Parameters: parameters, Entrypoint: f.entrypoint},
	)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	scratch, err := os.MkdirTemp("", "argosy-run-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	if f.dir == "" {
		f.dir = filepath.Join(scratch, "artifacts")
	}
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return err
	}
	report := &turns{out: a.out}
	if a.format != "text" {
		report.out = io.Discard
	}
	run, err := local.Run(ctx, local.Config{Stage: set, Runtime: chooseRuntime(f, scratch), Dir: f.dir, Out: report,
		Log: func(format string, values ...any) { fmt.Fprintf(report, format+"\n", values...) }})
	if err != nil {
		return err
	}
	if err := a.print(runVerdict(run)); err != nil {
		return err
	}
	if run.Phase != v1alpha1.WorkflowSucceeded {
		return errFound
	}
	return nil
}

// chooseRuntime prefers containers, unless processes were asked for or there is no runtime.
func chooseRuntime(f runFlags, scratch string) local.Runtime {
	program := f.runtime
	if program == "" {
		program = local.FindRuntime()
	}
	if f.processes || program == "" {
		return local.Processes{Dir: scratch, All: f.processes}
	}
	return local.Containers{Program: program, Dir: scratch}
}

func pairs(given []string) (map[string]string, error) {
	out := map[string]string{}
	for _, one := range given {
		name, value, ok := strings.Cut(one, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("%w: --parameter %q is not NAME=VALUE", errUsage, one)
		}
		out[name] = value
	}
	return out, nil
}

// turns lets steps that run side by side write one after the other.
type turns struct {
	mu  sync.Mutex
	out io.Writer
}

func (t *turns) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.out.Write(p)
}

// verdict is how a run ended.
type verdict struct {
	Phase   v1alpha1.WorkflowPhase         `json:"phase"`
	Message string                         `json:"message,omitempty"`
	Nodes   map[string]v1alpha1.NodeStatus `json:"nodes"`
}

func runVerdict(r flow.Run) verdict { return verdict{r.Phase, r.Message, r.Nodes} }

func (v verdict) text(w io.Writer) {
	fmt.Fprintf(w, "workflow %s%s\n", v.Phase, suffixed(v.Message))
	for _, id := range slices.Sorted(maps.Keys(v.Nodes)) {
		if n := v.Nodes[id]; n.Phase == v1alpha1.NodeError || n.Phase == v1alpha1.NodeFailed {
			fmt.Fprintf(w, "%s %s: %s\n", n.Name, n.Phase, printable(n.Message))
		}
	}
}
