package pull

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/kube/secret"
	"github.com/tidwall/gjson"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
)

// memory keeps positions as the bus would.
type memory struct {
	mu   sync.Mutex
	kept map[string][]byte
}

func (m *memory) Load(_ context.Context, name string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.kept[name], nil
}

func (m *memory) Save(_ context.Context, name string, position []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kept[name] = position
	return nil
}

// told is one event that a reader emitted.
type told struct{ id, data string }

func (e told) get(path string) string { return gjson.Get(e.data, path).String() }

// rig runs a reader, and knows what it emitted.
type rig struct {
	t      *testing.T
	env    Env
	events chan told
	up     chan struct{}
	refuse func(told) bool // events that cannot be made durable
}

func newRig(t *testing.T) *rig {
	secrets := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "s"}, Data: map[string][]byte{}}
	for k, v := range secretData {
		secrets.Data[k] = []byte(v)
	}
	r := &rig{t: t, events: make(chan told, 1000), up: make(chan struct{}, 100)}
	r.env = Env{
		Namespace:   "ns",
		EventSource: "es",
		Event:       t.Name(),
		Log:         slog.New(slog.DiscardHandler),
		Positions:   &memory{kept: map[string][]byte{}},
		Secrets:     secret.NewReader(fake.NewClientBuilder().WithObjects(secrets).Build(), 0),
		Up: func() {
			select {
			case r.up <- struct{}{}:
			default:
			}
		},
	}
	return r
}

// secretData is what the secret "s" holds.
var secretData = map[string]string{"user": "guest", "password": "guest", "empty": " "}

func ref(key string) *corev1.SecretKeySelector {
	return &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "s"}, Key: key}
}

// start runs the reader until the returned function is called, which gives its
// error.
func (r *rig) start(reader Reader) (stop func() error) {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- reader.Run(ctx, r.env, r.emit) }()
	select {
	case <-r.up:
	case err := <-ended:
		cancel()
		r.t.Fatalf("the reader ended: %v", err)
	case <-time.After(time.Minute):
		cancel()
		r.t.Fatal("the reader never came up")
	}
	stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	r.t.Cleanup(func() { _ = stop() })
	return stop
}

func (r *rig) emit(ctx context.Context, id string, data any) error {
	text, err := json.Marshal(data)
	if err != nil {
		r.t.Errorf("the data cannot be encoded: %v", err)
	}
	e := told{id, string(text)}
	if r.refuse != nil && r.refuse(e) {
		return context.Canceled
	}
	select {
	case r.events <- e:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *rig) next() told {
	r.t.Helper()
	select {
	case e := <-r.events:
		return e
	case <-time.After(time.Minute):
		r.t.Fatal("no event")
		return told{}
	}
}

// quiet fails when an event is there that nobody expects.
func (r *rig) quiet() {
	r.t.Helper()
	select {
	case e := <-r.events:
		r.t.Errorf("an event too many: %+v", e)
	default:
	}
}

// program runs a server of a Debian package until the test ends; a machine without
// it skips the test.
func program(t *testing.T, name string, args ...string) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if path = "/usr/sbin/" + name; !exists(path) {
			t.Skipf("%s is not installed; make deps installs it", name)
		}
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = t.TempDir()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// port finds one that is free.
func port(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, p, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// eventually repeats what a server needs time for.
func eventually(t *testing.T, what string, try func() error) {
	t.Helper()
	deadline := time.After(60 * time.Second)
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("%s: %v", what, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func answering(t *testing.T, address string) {
	t.Helper()
	eventually(t, "wait for "+address, func() error {
		c, err := net.DialTimeout("tcp", address, time.Second)
		if err != nil {
			return fmt.Errorf("dial: %w", err)
		}
		return c.Close()
	})
}

// serve lets a stand-in answer each connection until the test ends, and returns
// where it listens.
func serve(t *testing.T, answer func(net.Conn)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go answer(conn)
		}
	}()
	return l.Addr().String()
}

// stoppedAtItsEvent runs a reader that is stopped right when its first event is durable.
func stoppedAtItsEvent(t *testing.T, reader Reader, env Env) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	told := false
	err := reader.Run(ctx, env, func(context.Context, string, any) error {
		told = true
		cancel()
		return nil
	})
	if !told {
		t.Fatalf("no event: %v", err)
	}
	return err
}
