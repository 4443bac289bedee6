// Command load keeps the demo's app busy and counts its answers.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/life"
	"github.com/argosy-mesh/argosy/tools/demo/internal/load"
)

func main() {
	url := flag.String("url", "", "where to send requests")
	rate := flag.Int("rate", 50, "requests per second, 1 to 1000")
	addr := flag.String("listen", ":8080", "address of /stats and /reset")
	flag.Parse()
	if *url == "" || *rate < 1 || *rate > 1000 {
		fmt.Fprintln(os.Stderr, "load: --url is needed, and --rate from 1 to 1000")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	g := load.New(*url, *rate)
	serve := func(ctx context.Context) error { return g.Serve(ctx, *addr) }
	if err := life.Run(ctx, 10*time.Second, life.Of("stats", serve), life.Of("load", g.Run)); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}
