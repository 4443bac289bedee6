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
	"strconv"
	"strings"
	"syscall"
	"time"

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
	c := bench.Config{Out: progress, Peers: bench.Peers{Connections: []int{1, 16}}}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(progress)
	f.StringVar(&c.Kubeconfig, "kubeconfig", os.Getenv("KUBECONFIG"), "kubeconfig of the cluster")
	f.StringVar(&c.Node, "node", "127.0.0.1", "address of the node, for its ports; loopback or private")
	f.StringVar(&c.Image, "image", "argosy/ci:dev", "image of the pods; it must be on the node and know echo")
	f.IntVar(&c.Runs, "runs", 3, "repetitions of the pod jobs")
	f.IntVar(&c.Wide, "wide", 3000, "pods of the wide workflow, up to 100000: a machine with two cores does some tens a second")
	f.StringVar(&c.Peers.Program, "peer", "", "part peers: argo-events of tools/peers; empty leaves it out")
	f.StringVar(&c.Peers.NATS, "nats-server", "bin/nats-server", "part peers: the bus of each")
	f.StringVar(&c.Peers.Localcluster, "localcluster", "bin/localcluster", "part peers: makes an API server")
	f.StringVar(&c.Peers.Kubeconfig, "api", "", "part peers: kubeconfig of an API server without services that is there; empty makes one")
	f.IntVar(&c.Peers.Rounds, "rounds", 3, "part peers: turns of each")
	f.DurationVar(&c.Peers.Time, "turn", 4*time.Second, "part peers: time of a turn")
	f.Func("connections", "part peers: how many send at once, comma separated (default 1,16)", func(text string) (err error) {
		c.Peers.Connections = nil
		for one := range strings.SplitSeq(text, ",") {
			n, bad := strconv.Atoi(one)
			c.Peers.Connections, err = append(c.Peers.Connections, n), errors.Join(err, bad)
		}
		return err
	})
	f.Func("build", "part peers: NAME=PATH of a build of webhook-ingest (again for others)", func(text string) error {
		name, path, ok := strings.Cut(text, "=")
		if !ok {
			return fmt.Errorf("%q is not NAME=PATH", text)
		}
		c.Peers.Builds = append(c.Peers.Builds, bench.Build{Name: name, Path: path})
		return nil
	})
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
