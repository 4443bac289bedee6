// Package cli is the command line. Each command reads its flags, asks the bus or the
// cluster, and prints one value in the format that -o names.
//
// Exit codes: 0 done, 1 failed or something was found, 2 bad usage.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/spf13/cobra"
)

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// errFound means that the command worked, and found what it was to find.
var errFound = errors.New("")

// errUsage is wrapped by mistakes of the caller.
var errUsage = errors.New("usage")

// app is what commands share.
type app struct {
	getenv func(string) string
	out    io.Writer

	format       string
	natsURL      string
	natsUser     string
	passwordFile string
	kubeconfig   string
}

// Run runs one command line and returns its exit code.
func Run(ctx context.Context, args []string, getenv func(string) string, out, errs io.Writer) int {
	a := &app{getenv: getenv, out: out}
	root := a.root() //nolint:contextcheck // cobra hands each command its context when it runs
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errs)
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errFound):
		return exitFailed
	}
	fmt.Fprintln(errs, "argosy:", err)
	if errors.Is(err, errUsage) || strings.HasPrefix(err.Error(), "unknown ") {
		return exitUsage
	}
	return exitFailed
}

func (a *app) root() *cobra.Command {
	c := &cobra.Command{
		Use: "argosy", Short: "Look into the mesh, and drive it", SilenceErrors: true, SilenceUsage: true,
	}
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return fmt.Errorf("%w: %w", errUsage, err) })
	f := c.PersistentFlags()
	f.StringVarP(&a.format, "output", "o", "text", "text, json or yaml")
	f.StringVar(
		&a.natsURL, "nats-url", a.env("ARGOSY_NATS_URL", "nats://127.0.0.1:4222"),
		"servers of the bus [$ARGOSY_NATS_URL]",
	)
	f.StringVar(&a.natsUser, "nats-user", a.getenv("ARGOSY_NATS_USER"), "user on the bus [$ARGOSY_NATS_USER]")
	f.StringVar(
		&a.passwordFile, "nats-password-file", a.getenv("ARGOSY_NATS_PASSWORD_FILE"),
		"file that holds the bus password [$ARGOSY_NATS_PASSWORD_FILE]",
	)
	f.StringVar(&a.kubeconfig, "kubeconfig", a.getenv("KUBECONFIG"), "kubeconfig of the cluster [$KUBECONFIG]")
	c.PersistentPreRunE = func(*cobra.Command, []string) error {
		if _, ok := formats[a.format]; !ok {
			return fmt.Errorf("%w: --output %q is none of text, json, yaml", errUsage, a.format)
		}
		return nil
	}
	c.AddCommand(a.eventSource(), a.sensor(), a.workflow(), a.dead(), a.makeSecrets())
	return c
}

func (a *app) env(name, fallback string) string {
	if v := a.getenv(name); v != "" {
		return v
	}
	return fallback
}

// connect opens the bus; the caller closes it.
func (a *app) connect(ctx context.Context) (*bus.Bus, error) {
	password := ""
	if a.passwordFile != "" {
		raw, err := os.ReadFile(a.passwordFile)
		if err != nil {
			return nil, fmt.Errorf("--nats-password-file: %w", err)
		}
		password = strings.TrimSpace(string(raw))
	}
	b, err := bus.Connect(bus.Config{URL: a.natsURL, User: a.natsUser, Password: password, Name: "argosy cli"})
	if err != nil {
		return nil, err
	}
	if err := b.AwaitReady(ctx, connectPatience); err != nil {
		b.Close()
		return nil, fmt.Errorf("the bus at %s cannot be reached: %w", a.natsURL, err)
	}
	return b, nil
}

// exactArgs and friends say what is wrong as usage.
func args(least, most int) cobra.PositionalArgs {
	return func(c *cobra.Command, given []string) error {
		if len(given) < least || most >= 0 && len(given) > most {
			return fmt.Errorf("%w: %s", errUsage, c.UseLine())
		}
		return nil
	}
}
