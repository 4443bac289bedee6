package service_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus/bustest"
	"github.com/argosy-mesh/argosy/libs/core/config"
	"github.com/argosy-mesh/argosy/libs/core/life"
	"github.com/argosy-mesh/argosy/libs/service"
)

func TestAServiceStartsServesAndStops(t *testing.T) {
	server := bustest.Start(t)
	cfg := config.Common{
		NATSURL: server.URL(), HTTPAddress: "127.0.0.1:0", Drain: 10 * time.Second, LogLevel: "error", Instance: "i",
	}
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

func TestProfilesAreServedWhereAskedFor(t *testing.T) {
	server := bustest.Start(t)
	free, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	_ = free.Close()
	cfg := config.Common{
		NATSURL: server.URL(), HTTPAddress: "127.0.0.1:0", ProfileAddress: address, Drain: 10 * time.Second,
		LogLevel: "error", Instance: "i",
	}
	base, err := service.Boot(t.Context(), "svc", cfg, func(string) string { return "" }, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	text := ""
	err = base.Run(ctx, life.Of("work", func(ctx context.Context) error {
		defer cancel()
		for text == "" && ctx.Err() == nil {
			text, _ = get(ctx, "http://"+address+"/debug/pprof/goroutine?debug=1") // until it listens
		}
		return nil
	}))
	if err != nil || !strings.Contains(text, "goroutine profile:") {
		t.Errorf("%q: %v", text, err)
	}
}

func get(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return string(text), err
}

func TestAFailingPartEndsTheService(t *testing.T) {
	server := bustest.Start(t)
	cfg := config.Common{
		NATSURL: server.URL(), HTTPAddress: "127.0.0.1:0", Drain: 10 * time.Second, LogLevel: "error", Instance: "i",
	}
	base, err := service.Boot(t.Context(), "svc", cfg, func(string) string { return "" }, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	boom := errors.New("boom")
	if err := base.Run(t.Context(), life.Of("work", func(context.Context) error { return boom })); !errors.Is(
		err, boom,
	) {
		t.Fatalf("got %v", err)
	}
}
