// Command rollout-analyzer replaces the pods of Rollouts step by step and judges them by metrics.
package main

import (
	"github.com/argosy-mesh/argosy/libs/service"
	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/analyzer"
)

func main() { service.Main("rollout-analyzer", analyzer.Run) }
