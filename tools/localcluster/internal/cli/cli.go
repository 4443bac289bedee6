// Package cli is the command line of localcluster.
package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/argosy-mesh/argosy/tools/localcluster/internal/cluster"
	"github.com/argosy-mesh/argosy/tools/localcluster/internal/node"
	"github.com/argosy-mesh/argosy/tools/localcluster/internal/state"
	"github.com/argosy-mesh/argosy/tools/localcluster/internal/toolchain"
)

// Run runs the command and returns its exit code.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot() //nolint:contextcheck // cobra hands the context to each command itself
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(stderr, "localcluster:", err)
		return 1
	}
	return 0
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "localcluster",
		Short: "A real Kubernetes on this machine, without any download of images",
		Long: `localcluster runs a real Kubernetes on one Linux machine: etcd, the API server and,
unless told otherwise, a node that runs pods with containerd and runc.

Everything of a cluster is in one directory (--dir). Several control planes may run
side by side; of full nodes a machine has one.`,
		SilenceUsage: true, SilenceErrors: true,
	}
	var dir string
	root.PersistentFlags().StringVar(&dir, "dir", defaultDir(), "directory of the cluster (env ARGOSY_CLUSTER_DIR)")
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		absolute, err := filepath.Abs(dir)
		dir = absolute
		return err
	}
	root.AddCommand(
		newBuild(), newUp(&dir), newDown(&dir), newKubeconfig(&dir), newLoad(&dir), newStatus(&dir), newKubectl(&dir),
		newHold(),
	)
	return root
}

func defaultDir() string {
	if dir := os.Getenv("ARGOSY_CLUSTER_DIR"); dir != "" {
		return dir
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	return filepath.Join(cache, "argosy", "cluster")
}

func newUp(dir *string) *cobra.Command {
	o := cluster.Options{Mode: state.Full}
	var bare bool
	command := &cobra.Command{
		Use:   "up",
		Short: "Start the cluster, or whatever of it is dead; returns when it works",
		Args:  cobra.NoArgs,
		Example: `  localcluster up                                    # a full node; needs root
  localcluster up --control-plane-only --dir /tmp/cp  # API server and etcd in seconds, without root`,
		RunE: func(command *cobra.Command, _ []string) error {
			if bare {
				o.Mode, o.Registries, o.Aliases = state.ControlPlane, nil, nil
			}
			o.Dir, o.Progress = *dir, command.ErrOrStderr()
			o.Find = toolchain.Finder{Dirs: beside(o.Kube), Progress: o.Progress}
			return cluster.Up(command.Context(), o)
		},
	}
	flags := command.Flags()
	flags.BoolVar(&bare, "control-plane-only", false, "only etcd and the API server: no pods, no root")
	flags.BoolVar(
		&o.Controllers, "controllers", false,
		"with --control-plane-only: run kube-controller-manager too (garbage collection, namespaces, service accounts)",
	)
	flags.StringVar(&o.Name, "name", "argosy", "name of the cluster, its node and its kubeconfig context")
	flags.StringVar(
		&o.Kube, "kube", os.Getenv("ARGOSY_KUBE"),
		"the kube binary; built when it is neither given nor beside this one (env ARGOSY_KUBE)",
	)
	flags.StringToStringVar(
		&o.Registries, "registry", map[string]string{"registry.local:5000": "http://127.0.0.1:30500"},
		"HOST=URL: the node pulls images named HOST/... from URL, plain HTTP allowed",
	)
	flags.StringToStringVar(
		&o.Aliases, "alias", map[string]string{"registry.local": "registry.argosy-demo.svc.cluster.local"},
		"NAME=DNSNAME: in pods NAME resolves as DNSNAME",
	)
	flags.BoolVar(
		&o.AlwaysPull, "always-pull", false,
		"keep imagePullPolicy Always as written; otherwise only images of a --registry are always pulled, others when absent",
	)
	return command
}

// newBuild makes what up would make, so that several that come up at once do not
// all begin to build.
func newBuild() *cobra.Command {
	kube := os.Getenv("ARGOSY_KUBE")
	command := &cobra.Command{
		Use:   "build",
		Short: "Build the programs of a cluster that are missing",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			find := toolchain.Finder{Dirs: beside(kube), Progress: command.ErrOrStderr()}
			for _, p := range []toolchain.Program{toolchain.Kube, toolchain.CoreDNS, toolchain.Pause} {
				if _, err := find.Find(command.Context(), p); err != nil {
					return err
				}
			}
			return nil
		},
	}
	command.Flags().StringVar(&kube, "kube", kube, "the kube binary, when it is elsewhere (env ARGOSY_KUBE)")
	return command
}

// beside are the directories that may hold the other programs.
func beside(kube string) []string {
	var dirs []string
	if self, err := os.Executable(); err == nil {
		dirs = append(dirs, filepath.Dir(self))
	}
	if kube != "" {
		dirs = append(dirs, filepath.Dir(kube))
	}
	return dirs
}

func newDown(dir *string) *cobra.Command {
	return &cobra.Command{
		Use:   "down",
		Short: "End the cluster and remove everything of it but its logs",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return cluster.Down(command.Context(), *dir, command.ErrOrStderr())
		},
	}
}

func newKubeconfig(dir *string) *cobra.Command {
	var content bool
	command := &cobra.Command{
		Use:     "kubeconfig",
		Short:   "Print the path of the administrator's kubeconfig",
		Args:    cobra.NoArgs,
		Example: `  export KUBECONFIG=$(localcluster kubeconfig)`,
		RunE: func(command *cobra.Command, _ []string) error {
			path, err := cluster.Kubeconfig(*dir)
			if err != nil {
				return err
			}
			if !content {
				fmt.Fprintln(command.OutOrStdout(), path)
				return nil
			}
			raw, err := os.ReadFile(path)
			if err != nil {
				return fmt.Errorf("read kubeconfig: %w", err)
			}
			_, err = command.OutOrStdout().Write(raw)
			return err
		},
	}
	command.Flags().BoolVar(&content, "content", false, "print the file instead of its path")
	return command
}

func newLoad(dir *string) *cobra.Command {
	return &cobra.Command{
		Use:   "load IMAGE.tar...",
		Short: "Import image archives (docker or OCI) into the node",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(command *cobra.Command, archives []string) error {
			return cluster.Load(command.Context(), *dir, archives, command.ErrOrStderr())
		},
	}
}

func newStatus(dir *string) *cobra.Command {
	var output string
	command := &cobra.Command{
		Use:   "status",
		Short: "Show every program of the cluster; fails when one does not work",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			status, err := cluster.Inspect(command.Context(), *dir)
			if err != nil {
				return err
			}
			if err := printStatus(command.OutOrStdout(), status, output); err != nil {
				return err
			}
			if !status.Up {
				return fmt.Errorf("not everything works; restart what is dead with: localcluster up --dir %s", *dir)
			}
			return nil
		},
	}
	command.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	return command
}

func printStatus(w io.Writer, status cluster.Status, output string) error {
	switch output {
	case "json":
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(status)
	case "text":
		fmt.Fprintf(w, "%s (%s) at %s\nkubeconfig %s\n", status.Name, status.Mode, status.APIServer, status.Kubeconfig)
		for _, p := range status.Programs {
			reason := p.Reason
			if reason == "" {
				reason = "ok"
			}
			fmt.Fprintf(w, "  %-24s pid %-8d %s\n", p.Name, p.Pid, reason)
		}
		return nil
	default:
		return fmt.Errorf("unknown output %q: use text or json", output)
	}
}

func newKubectl(dir *string) *cobra.Command {
	var kube string
	command := &cobra.Command{
		Use:     "kubectl -- ARGS...",
		Short:   "Run kubectl against the cluster",
		Example: `  localcluster kubectl -- get pods --all-namespaces`,
		RunE: func(command *cobra.Command, args []string) error {
			config, err := cluster.Kubeconfig(*dir)
			if err != nil {
				return err
			}
			if kube == "" {
				find := toolchain.Finder{Dirs: beside(""), Progress: command.ErrOrStderr()}
				if kube, err = find.Find(command.Context(), toolchain.Kube); err != nil {
					return err
				}
			}
			if kube, err = exec.LookPath(kube); err != nil {
				return fmt.Errorf("the kube binary: %w", err)
			}
			return syscall.Exec(kube, append([]string{"kubectl"}, args...), append(os.Environ(), "KUBECONFIG="+config))
		},
	}
	command.Flags().StringVar(&kube, "kube", os.Getenv("ARGOSY_KUBE"), "the kube binary (env ARGOSY_KUBE)")
	return command
}

// newHold is what up runs to keep the node's mount namespace.
func newHold() *cobra.Command {
	return &cobra.Command{
		Use: "hold KUBELET-DIR", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return node.Hold(args[0]) },
	}
}
