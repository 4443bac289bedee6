// Command artifact-bridge runs in the pods of artifact drivers; users never call it.
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/argosy-mesh/argosy/libs/flow/protocol"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/bridge"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "artifact-bridge:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", ":"+strconv.Itoa(protocol.BridgePort))
	if err != nil {
		return err
	}
	return bridge.Serve(ctx, l, bridge.InPod(os.Getenv))
}
