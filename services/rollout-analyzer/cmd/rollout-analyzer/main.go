// Command rollout-analyzer replaces the pods of Rollouts step by step and judges them by metrics.
//
//	rollout-analyzer [flags]            the service
//	rollout-analyzer lint FILE|DIR...   says what is wrong with Rollouts of files
package main

import (
	"os"

	"github.com/argosy-mesh/argosy/libs/service"
	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/analyzer"
	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/lint"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "lint" {
		os.Exit(lint.Run(os.Args[2:], lint.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
	}
	service.Main("rollout-analyzer", analyzer.Run)
}
