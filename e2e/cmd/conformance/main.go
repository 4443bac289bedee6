// Command conformance judges the product by data that others wrote.
//
//	conformance --kind schema|events|workflows|seed|health|rollouts|lint --dir DIR [--only NAME]
//
// It lists what does not hold with its reason and ends with "N passed, N failed". Exit code 0 means that all cases
// hold, 1 that some do not, 2 that nothing could be judged.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/argosy-mesh/argosy/e2e/conformance"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, out, problems io.Writer) int {
	var c conformance.Config
	f := flag.NewFlagSet("conformance", flag.ContinueOnError)
	f.SetOutput(problems)
	f.StringVar(&c.Kind, "kind", "", "what to judge: "+strings.Join(conformance.Kinds(), ", "))
	f.StringVar(&c.Dir, "dir", "", "folder of the data")
	f.StringVar(&c.Only, "only", "", "judge only cases whose name begins with one of these, by commas")
	f.StringVar(
		&c.Kubeconfig,
		"kubeconfig",
		os.Getenv("KUBECONFIG"),
		"kubeconfig of the running product; workflows needs it",
	)
	f.StringVar(&c.Bin, "bin", "bin", "folder of our programs")
	if err := f.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	c.Progress = problems
	report, err := conformance.Run(ctx, c)
	if err != nil {
		fmt.Fprintln(problems, "conformance:", err)
		return 2
	}
	if err := report.Write(out); err != nil {
		fmt.Fprintln(problems, "conformance:", err)
		return 2
	}
	if report.Failed() > 0 {
		return 1
	}
	return 0
}
