// Command gitserver serves the demo's Git repositories and sends signed hooks.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/argosy-mesh/argosy/libs/obs"
	"github.com/argosy-mesh/argosy/tools/demo/internal/gitserver"
)

func main() {
	s := &gitserver.Server{Log: slog.New(slog.NewJSONHandler(os.Stderr, nil))}
	flag.StringVar(&s.Root, "root", "/data", "folder of the repositories")
	flag.StringVar(&s.Backend, "backend", "/usr/lib/git-core/git-http-backend", "path of git-http-backend")
	flag.StringVar(&s.BaseURL, "base-url", "http://git.argosy-demo.svc:8080", "how clients reach this server")
	flag.StringVar(&s.Hook, "hook", "", "where push hooks go; empty sends none")
	secret := flag.String("secret-file", "", "file of the secret that signs hooks")
	addr := flag.String("listen", ":8080", "address to serve on")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, s, *secret, *addr); err != nil {
		fmt.Fprintln(os.Stderr, "gitserver:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, s *gitserver.Server, secret, addr string) error {
	if secret != "" {
		raw, err := os.ReadFile(secret)
		if err != nil {
			return err
		}
		s.Secret = strings.TrimSpace(string(raw))
	}
	return obs.Serve(ctx, addr, s)
}
