// Command localcluster runs a real Kubernetes on this machine. See
// docs/localcluster.md.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/argosy-mesh/argosy/tools/localcluster/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
