// Package service is the frame that all services share: telemetry, the bus with
// its topology, membership, probes, and the order of start and stop.
package service

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
	_ "time/tzdata" // time zones of manifests, where the image has none

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/config"
	"github.com/argosy-mesh/argosy/libs/core/life"
	"github.com/argosy-mesh/argosy/libs/obs"
)

// Base is what a service stands on.
type Base struct {
	*obs.Telemetry
	Bus     *bus.Bus
	Members *bus.Members
	Probes  *obs.Probes
	// Alone says that the bus is another installation's: this process is no member of its services.
	Alone   bool
	drain   time.Duration
	profile string // address of profiles, "" for none
}

// Boot sets up telemetry and opens the bus. It does not wait for the bus: a
// service that can do part of its work without must be able to start.
func Boot(
	ctx context.Context, name string, cfg config.Common, getenv func(string) string, out io.Writer,
) (*Base, error) {
	tel, err := obs.New(
		ctx,
		obs.Config{
			Service: name, Instance: cfg.Instance, Level: cfg.LogLevel, Endpoint: getenv("OTEL_EXPORTER_OTLP_ENDPOINT"),
			Out: out,
		},
	)
	if err != nil {
		return nil, err
	}
	tel.Log.InfoContext(
		ctx, "starting", "nats_url", cfg.NATSURL, "nats_user", cfg.NATSUser, "http_address", cfg.HTTPAddress, "drain",
		cfg.Drain,
	)
	password, err := cfg.Password()
	if err != nil {
		return nil, err
	}
	b, err := bus.Connect(
		bus.Config{
			URL: cfg.NATSURL, User: cfg.NATSUser, Password: password, Name: name + "/" + cfg.Instance, Log: tel.Log,
			Inbox: cfg.NATSInbox,
		},
	)
	if err != nil {
		return nil, err
	}
	probes := obs.NewProbes(cfg.HTTPAddress, tel.Registry)
	return &Base{
		Telemetry: tel, Bus: b, Members: b.Members(name, cfg.Instance), Probes: probes, drain: cfg.Drain,
		profile: cfg.ProfileAddress,
	}, nil
}

// AwaitBus declares the topology, waiting for the server for as long as it takes,
// and makes readiness depend on the bus.
func (b *Base) AwaitBus(ctx context.Context) error {
	b.Probes.Ready("bus", b.Bus.Ready)
	return b.Bus.AwaitDeclared(ctx, bus.DefaultLimits())
}

// Declare is a part that sees to the topology of the bus, for as long as it takes; nothing waits for it.
func (b *Base) Declare() life.Part {
	return life.Of("topology", func(ctx context.Context) error {
		if err := b.Bus.AwaitDeclared(ctx, bus.DefaultLimits()); err != nil && ctx.Err() == nil {
			return err
		}
		<-ctx.Done()
		return nil
	})
}

// Run runs the parts until ctx ends or one of them does. The probes start first
// and stop last; readiness ends before anything else stops.
func (b *Base) Run(ctx context.Context, parts ...life.Part) error {
	all := []life.Part{life.Of("probes", b.Probes.Serve)}
	if !b.Alone {
		all = append(all, life.Of("members", b.Members.Run))
	}
	if b.profile != "" {
		all = append(
			all,
			life.Of("profiles", func(ctx context.Context) error { return obs.Serve(ctx, b.profile, obs.Profiles()) }),
		)
	}
	all = append(all, parts...)
	err := life.Run(ctx, b.drain, append(all, life.Of("readiness", b.Probes.Drain))...)
	b.Bus.Close()
	return errors.Join(err, b.Flush(ctx))
}

// Main runs a service as a process: a context that ends with SIGINT or SIGTERM,
// one line on standard error and exit code 1 for failure, 2 for bad usage.
func Main(name string, run func(ctx context.Context, args []string, getenv func(string) string, out io.Writer) error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Getenv, os.Stderr)
	stop()
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return
	}
	fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
	if errors.Is(err, ErrUsage) {
		os.Exit(2)
	}
	os.Exit(1)
}

// ErrUsage is wrapped by errors in the configuration.
var ErrUsage = errors.New("configuration")
