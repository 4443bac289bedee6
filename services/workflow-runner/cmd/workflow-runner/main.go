// Command workflow-runner runs Argo Workflows manifests.
package main

import (
	"github.com/argosy-mesh/argosy/libs/service"

	_ "golang.org/x/crypto/x509roots/fallback" // who vouches for stores, where the image has nobody

	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/runner"
)

func main() { service.Main("workflow-runner", runner.Run) }
