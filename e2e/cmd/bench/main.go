// Command bench prints what the product takes on a running cluster, beside what
// the machine itself takes.
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

	"github.com/argosy-mesh/argosy/e2e/bench"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, progress io.Writer) error {
	c := bench.Config{Out: progress}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(progress)
	f.StringVar(&c.Kubeconfig, "kubeconfig", os.Getenv("KUBECONFIG"), "kubeconfig of the cluster")
	f.StringVar(&c.Node, "node", "127.0.0.1", "address of the node, for its ports; loopback or private")
	f.StringVar(&c.Image, "image", "argosy/ci:dev", "image of the pods; it must be on the node and know echo")
	f.IntVar(&c.Runs, "runs", 3, "repetitions of the pod jobs")
	f.IntVar(&c.Wide, "wide", 3000, "pods of the wide workflow, up to 100000: a machine with two cores does some tens a second")
	only := f.String("only", "", "comma separated parts: "+strings.Join(bench.Parts(), ", ")+" (default all)")
	format := f.String("o", "text", "text or json")
	if err := f.Parse(args); err != nil {
		return err
	}
	if *format != "text" && *format != "json" {
		return fmt.Errorf("unknown format %q: use text or json", *format)
	}
	if *only != "" {
		c.Only = strings.Split(*only, ",")
	}
	figures, err := bench.Run(ctx, c)
	return errors.Join(err, bench.Write(out, *format, figures))
}
