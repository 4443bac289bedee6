// Package bustest runs a real NATS server inside a test process.
package bustest

import (
	"context"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Server is a NATS server with JetStream that can be stopped and started again
// on the same port and directory.
type Server struct {
	t       testing.TB
	options server.Options
	running *server.Server
}

// Start runs a server on a free port until the test ends.
func Start(t testing.TB) *Server {
	t.Helper()
	return StartConfigured(t)
}

// URL is where clients connect, the same after each Resume.
func (s *Server) URL() string { return s.running.ClientURL() }

// Stop ends the server; what it acknowledged stays in its directory.
func (s *Server) Stop() {
	s.running.Shutdown()
	s.running.WaitForShutdown()
}

// Resume starts the server, again if it ran before.
func (s *Server) Resume() {
	s.t.Helper()
	options := s.options
	running, err := server.NewServer(&options)
	if err != nil {
		s.t.Fatalf("make a bus server: %v", err)
	}
	running.Start()
	if !running.ReadyForConnections(10 * time.Second) {
		s.t.Fatal("the bus server did not come up in 10 s")
	}
	s.options.Port, s.options.LeafNode.Port = options.Port, options.LeafNode.Port
	s.running = running
}

// LimitConsumers lets a stream have at most n consumers.
func (s *Server) LimitConsumers(stream string, n int) {
	s.t.Helper()
	s.manage(func(ctx context.Context, js jetstream.JetStream) error {
		there, err := js.Stream(ctx, stream)
		if err != nil {
			return err
		}
		cfg := there.CachedInfo().Config
		cfg.MaxConsumers = n
		_, err = js.UpdateStream(ctx, cfg)
		return err
	})
}

// Consumers lists the names of a stream's consumers.
func (s *Server) Consumers(stream string) []string {
	s.t.Helper()
	var names []string
	s.manage(func(ctx context.Context, js jetstream.JetStream) error {
		there, err := js.Stream(ctx, stream)
		if err != nil {
			return err
		}
		list := there.ConsumerNames(ctx)
		for name := range list.Name() {
			names = append(names, name)
		}
		return list.Err()
	})
	return names
}

func (s *Server) manage(do func(context.Context, jetstream.JetStream) error) {
	s.t.Helper()
	nc, err := nats.Connect(s.URL())
	if err != nil {
		s.t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := do(ctx, js); err != nil {
		s.t.Fatal(err)
	}
}

// Connect opens a client with the topology declared.
func (s *Server) Connect(name string) *bus.Bus {
	s.t.Helper()
	b, err := bus.Connect(bus.Config{URL: s.URL(), Name: name})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(b.Close)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := b.AwaitDeclared(ctx, bus.DefaultLimits()); err != nil {
		s.t.Fatal(err)
	}
	return b
}
