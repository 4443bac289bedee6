// Command sync-agent makes the cluster what Git says.
//
//	sync-agent [flags]             the service
//	sync-agent health FILE...      tells how objects of files are
package main

import (
	"os"

	"github.com/argosy-mesh/argosy/libs/service"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/agent"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/healthcmd"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "health" {
		os.Exit(healthcmd.Run(os.Args[2:], healthcmd.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
	}
	service.Main("sync-agent", agent.Run)
}
