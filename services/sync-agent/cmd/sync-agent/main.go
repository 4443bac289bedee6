// Command sync-agent makes the cluster what Git says.
package main

import (
	"os"

	"github.com/argosy-mesh/argosy/libs/service"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/agent"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/render"
)

func main() {
	// What charts and kustomizations of others compute runs in processes of this program's own.
	if render.IsWorker(os.Args) {
		os.Exit(render.Work(os.Args, os.Stdin, os.Stdout))
	}
	service.Main("sync-agent", agent.Run)
}
