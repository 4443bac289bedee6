package agent

import (
	"os"
	"testing"

	"github.com/argosy-mesh/argosy/services/sync-agent/internal/render"
)

// The program that renders is the one that runs, here that of the tests.
func TestMain(m *testing.M) {
	if render.IsWorker(os.Args) {
		os.Exit(render.Work(os.Args, os.Stdin, os.Stdout))
	}
	os.Exit(m.Run())
}
