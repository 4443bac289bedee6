package bus

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
)

// impatient is a bus whose library gives up after an instant what has no deadline of its own.
func impatient(t *testing.T) (*Bus, context.Context) {
	t.Helper()
	s, err := server.NewServer(
		&server.Options{
			Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoLog: true,
			NoSigs: true,
		},
	)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	b, err := Connect(Config{URL: s.ClientURL(), Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	if err := b.AwaitDeclared(t.Context(), DefaultLimits()); err != nil {
		t.Fatal(err)
	}
	const library = 100 * time.Millisecond
	if b.js, err = jetstream.New(b.nc, jetstream.WithDefaultTimeout(library)); err != nil {
		t.Fatal(err)
	}
	over, cancel := context.WithTimeout(t.Context(), 2*library)
	t.Cleanup(cancel)
	return b, over
}

// A download may take longer than the library gives one request.
func TestASlowReaderGetsTheWholeObject(t *testing.T) {
	b, over := impatient(t)
	body := bytes.Repeat([]byte("0123456789abcdef"), 1<<18)
	if err := b.Objects(ArtifactsBucket).Put(t.Context(), "a", bytes.NewReader(body)); err != nil {
		t.Fatal(err)
	}
	r, err := b.Objects(ArtifactsBucket).Open(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	first := make([]byte, 1)
	if _, err := io.ReadFull(r, first); err != nil {
		t.Fatal(err)
	}
	<-over.Done()
	rest, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(slices.Concat(first, rest), body) {
		t.Errorf("%d bytes, %v", len(rest), err)
	}
}

func TestADownloadEndsWithItsContext(t *testing.T) {
	b, _ := impatient(t)
	if err := b.Objects(ArtifactsBucket).Put(t.Context(), "a", bytes.NewReader(make([]byte, 8<<20))); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r, err := b.Objects(ArtifactsBucket).Open(ctx, "a")
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := io.ReadAll(r); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of its context: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// silence is a body of which nothing comes.
type silence struct{ reads int }

func (s *silence) Read([]byte) (int, error) { s.reads++; return 0, nil }
func (s *silence) Close() error             { return nil }

func TestASilentServerEndsADownload(t *testing.T) {
	s := &silence{}
	d := &download{ctx: t.Context(), body: s, stop: func() {}}
	if _, err := d.Read(make([]byte, 1)); !errors.Is(err, errSilent) || s.reads != int(objectSilence/objectGlance) {
		t.Errorf("after %d glances: %v", s.reads, err)
	}
}
