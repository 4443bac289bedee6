package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/argosy-mesh/argosy/services/sync-agent/internal/render"
)

// processArgs has the program be the service, so that it can be killed.
const processArgs = "ARGOSY_TEST_SERVICE_ARGS"

// The program that renders is the one that runs, here that of the tests.
func TestMain(m *testing.M) {
	if render.IsWorker(os.Args) {
		os.Exit(render.Work(os.Args, os.Stdin, os.Stdout))
	}
	if text := os.Getenv(processArgs); text != "" {
		var args []string
		err := json.Unmarshal([]byte(text), &args)
		if err == nil {
			err = Run(context.Background(), args, func(string) string { return "" }, os.Stderr)
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}
