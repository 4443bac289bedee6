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
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/render"
)

func main() {
	// What charts and kustomizations of others compute runs in processes of this program's own.
	if render.IsWorker(os.Args) {
		os.Exit(render.Work(os.Args, os.Stdin, os.Stdout))
	}
	if len(os.Args) > 1 && os.Args[1] == "health" {
		os.Exit(healthcmd.Run(os.Args[2:], healthcmd.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
	}
	service.Main("sync-agent", agent.Run)
}
