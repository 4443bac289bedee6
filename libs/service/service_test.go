package service_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus/bustest"
	"github.com/argosy-mesh/argosy/libs/core/config"
	"github.com/argosy-mesh/argosy/libs/core/life"
	"github.com/argosy-mesh/argosy/libs/service"
)

func TestAServiceStartsServesAndStops(t *testing.T) {
	server := bustest.Start(t)
	cfg := config.Common{NATSURL: server.URL(), HTTPAddress: "127.0.0.1:0", Drain: 10 * time.Second, LogLevel: "error", Instance: "i"}
	base, err := service.Boot(t.Context(), "svc", cfg, func(string) string { return "" }, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if err := base.AwaitBus(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ran := false
	err = base.Run(ctx, life.Of("work", func(ctx context.Context) error {
		ran = true
		cancel()
		<-ctx.Done()
		return nil
	}))
	if err != nil || !ran {
		t.Fatalf("ran %v: %v", ran, err)
	}
	if base.Bus.Ready() == nil {
		t.Error("the connection stayed open")
	}
}

func TestAFailingPartEndsTheService(t *testing.T) {
	server := bustest.Start(t)
	cfg := config.Common{NATSURL: server.URL(), HTTPAddress: "127.0.0.1:0", Drain: 10 * time.Second, LogLevel: "error", Instance: "i"}
	base, err := service.Boot(t.Context(), "svc", cfg, func(string) string { return "" }, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	boom := errors.New("boom")
	if err := base.Run(t.Context(), life.Of("work", func(context.Context) error { return boom })); !errors.Is(err, boom) {
		t.Fatalf("got %v", err)
	}
}
