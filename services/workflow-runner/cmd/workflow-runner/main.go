// Command workflow-runner runs Argo Workflows manifests.
package main

import (
	"github.com/argosy-mesh/argosy/libs/service"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/runner"
)

func main() { service.Main("workflow-runner", runner.Run) }
