// Command sync-agent makes the cluster what Git says.
package main

import (
	"github.com/argosy-mesh/argosy/libs/service"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/agent"
)

func main() { service.Main("sync-agent", agent.Run) }
