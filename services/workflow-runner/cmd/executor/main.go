// Command executor runs inside the pods of workflows; users never call it.
package main

import (
	"context"
	"os"

	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/executor"
	_ "golang.org/x/crypto/x509roots/fallback" // who vouches for stores, where the image has nobody
)

func main() {
	std := executor.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}
	os.Exit(executor.Main(context.Background(), os.Args[1:], os.Getenv, std, executor.InPod()))
}
