// Command images makes OCI images without a registry and without Docker. See
// docs/localcluster.md.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/argosy-mesh/argosy/tools/images/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
