// Command demo sets the whole chain up on a cluster and plays its two acts.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/argosy-mesh/argosy/tools/demo/demo"
	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	c := demo.Config{Out: os.Stdout}
	root := &cobra.Command{
		Use: "demo", Short: "From a Git push to a promoted pod", SilenceUsage: true, SilenceErrors: true,
	}
	f := root.PersistentFlags()
	f.StringVar(&c.Root, "root", ".", "the repository")
	f.StringVar(&c.Bin, "bin", "bin", "folder of the built tools")
	f.StringVar(&c.Images, "images", ".cache/images", "folder of the image archives")
	f.StringVar(&c.Kubeconfig, "kubeconfig", os.Getenv("KUBECONFIG"), "kubeconfig [$KUBECONFIG]")
	f.StringVar(&c.GatewayCRDs, "gateway-crds", "", "folder of the Gateway API's definitions")
	f.StringVar(&c.Node, "node", "127.0.0.1", "address at which the node's ports are reached")
	f.StringVar(
		&c.Registry, "registry", "",
		"registry and prefix that our images were pushed to; empty means that the node has them",
	)
	root.AddCommand(
		&cobra.Command{Use: "up", Short: "Bring everything up and wait until it works", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error { return demo.Up(cmd.Context(), c) }},
		&cobra.Command{
			Use:   "run",
			Short: "Push a good commit, then a bad one, and show what happens",
			Args:  cobra.NoArgs,
			RunE:  func(cmd *cobra.Command, _ []string) error { return demo.Run(cmd.Context(), c) },
		},
	)
	return root
}
