package bustest

import (
	"io"
	"net"
	"strconv"
	"sync"
	"testing"
)

// Wire is a way to a server that can be cut and mended.
type Wire struct {
	to       string
	listener net.Listener

	mu   sync.Mutex
	cut  bool
	open map[net.Conn]bool
}

// NewWire returns a way to an address, until the test ends.
func NewWire(t testing.TB, to string) *Wire {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &Wire{to: to, listener: l, open: map[net.Conn]bool{}}
	t.Cleanup(func() {
		_ = l.Close()
		w.Cut()
	})
	go w.serve()
	return w
}

// Address is where the way begins.
func (w *Wire) Address() string { return w.listener.Addr().String() }

// Cut breaks all connections and refuses new ones.
func (w *Wire) Cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = true
	for c := range w.open {
		_ = c.Close()
	}
}

// Mend lets connections through again.
func (w *Wire) Mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = false
}

func (w *Wire) serve() {
	for {
		from, err := w.listener.Accept()
		if err != nil {
			return
		}
		to, err := net.Dial("tcp", w.to) //nolint:noctx // it ends with the test
		if err != nil || !w.keep(from, to) {
			_ = from.Close()
			if to != nil {
				_ = to.Close()
			}
			continue
		}
		go w.pass(from, to)
		go w.pass(to, from)
	}
}

func (w *Wire) keep(conns ...net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cut {
		return false
	}
	for _, c := range conns {
		w.open[c] = true
	}
	return true
}

func (w *Wire) pass(from, to net.Conn) {
	_, _ = io.Copy(to, from) // one side ends both
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range []net.Conn{from, to} {
		_ = c.Close()
		delete(w.open, c)
	}
}

// Address is where the server listens.
func (s *Server) Address() string {
	return net.JoinHostPort(s.options.Host, strconv.Itoa(s.options.Port))
}
