// Command web is the app that the demo delivers.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/argosy-mesh/argosy/tools/demo/internal/web"
)

func main() {
	settings := flag.String("settings", "/app/settings.json", "settings file")
	check := flag.Bool("check", false, "check the settings and exit")
	addr := flag.String("listen", ":8080", "address to serve on")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *settings, *addr, *check); err != nil {
		fmt.Fprintln(os.Stderr, "web:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, settings, addr string, check bool) error {
	s, err := web.Load(settings)
	if err != nil || check {
		return err
	}
	return web.Serve(ctx, addr, os.Getenv("POD_TEMPLATE_HASH"), s)
}
