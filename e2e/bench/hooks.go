package bench

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Bounds of the load: time, and messages so that a fast bus is not filled.
const (
	hookTime   = 5 * time.Second
	floorTime  = 2 * time.Second
	smallBody  = 200
	largeBody  = 10 << 10
	smallLimit = 60_000
	largeLimit = 20_000
	// judgedAt is the number of connections at which the aims are judged.
	judgedAt = 16
)

// hookPath is the event's own path, whatever endpoint its manifest names.
const hookPath = "/hooks/bench/hooks/push"

// hooks measures signed GitHub hooks. The floor is the same bytes published to the
// same bus from the same place.
func (b *bench) hooks(ctx context.Context) (figures []Figure, err error) {
	s, err := b.newSender(ctx)
	if err != nil {
		return nil, err
	}
	floor, err := b.newBusFloor(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		err = errors.Join(err, floor.purge(ctx))
		floor.close()
	}()
	for _, size := range []int{smallBody, largeBody} {
		for _, connections := range []int{1, 16, 64} {
			body := pushBody(size)
			limit := smallLimit
			if size == largeBody {
				limit = largeLimit
			}
			bare, err := drive(ctx, load{connections, floorTime, limit}, floor.publisher(body))
			if err != nil {
				return figures, err
			}
			// What others read of the floor's load must not fall on ours.
			if err := floor.purge(ctx); err != nil {
				return figures, err
			}
			post, done := s.poster(body, connections)
			ours, err := drive(ctx, load{connections, hookTime, limit}, post)
			done()
			if err != nil {
				return figures, err
			}
			// What others read from this stream must not wait behind our load.
			if err := floor.purge(ctx); err != nil {
				return figures, err
			}
			b.sayf(
				"  %d B, %d connections: %.0f/s p99 %.1f ms, bus %.0f/s p99 %.1f ms", size, connections, ours.rate(),
				ours.ms(99), bare.rate(), bare.ms(99),
			)
			figures = append(figures, hookFigures(size, connections, ours, bare)...)
		}
	}
	return figures, nil
}

func hookFigures(size, connections int, ours, bare outcome) []Figure {
	name := fmt.Sprintf("signed hooks, %d B, %d connections", size, connections)
	rate := Figure{Job: name, Unit: "/s", Value: Once(ours.rate()), Floor: Once(bare.rate())}
	p50 := Figure{Job: name + ", p50", Unit: "ms", Value: Once(ours.ms(50)), Floor: Once(bare.ms(50))}
	p99 := Figure{Job: name + ", p99", Unit: "ms", Value: Once(ours.ms(99)), Floor: Once(bare.ms(99))}
	if connections == judgedAt {
		rate.Aim, p99.Aim = AtLeast(6000, "/s"), Under(15, "ms")
	}
	if ours.refused > 0 {
		rate.Note = fmt.Sprintf("%d of %d refused", ours.refused, ours.refused+len(ours.took))
	}
	return []Figure{rate, p50, p99}
}

// pushBody is a push in GitHub's shape, padded to a size.
func pushBody(size int) []byte {
	const head, tail = `{"ref":"refs/heads/main","after":"0123456789","repository":{"full_name":"bench/none"},"padding":"`, `"}`
	return []byte(head + strings.Repeat("x", max(size-len(head)-len(tail), 0)) + tail)
}

// sender posts to our own event source.
type sender struct {
	address string
	path    string
	secret  string
	run     string
}

func (b *bench) newSender(ctx context.Context) (*sender, error) {
	var front corev1.Service
	if err := b.client.Get(ctx, client.ObjectKey{Namespace: control, Name: "webhook-ingest"}, &front); err != nil {
		return nil, fmt.Errorf("find the front door: %w", err)
	}
	s := &sender{
		address: net.JoinHostPort(front.Spec.ClusterIP, "12000"), path: hookPath, secret: rand.Text(),
		run: rand.Text()[:8],
	}
	if err := b.client.Create(ctx, hookSecret(s.secret)); err != nil {
		return nil, fmt.Errorf("make the secret of the hooks: %w", err)
	}
	if err := b.client.Create(ctx, eventSource("12000")); err != nil {
		return nil, fmt.Errorf("make the event source: %w", err)
	}
	post, done := s.poster(pushBody(smallBody), 1)
	defer done()
	return s, b.await(ctx, 20*time.Second, "the route of the hooks", func() (bool, error) { return post(ctx, 0) })
}

func hookSecret(secret string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "hooks"},
		Data:       map[string][]byte{"secret": []byte(secret)},
	}
}

// eventSource takes GitHub's pushes. Where each port is one, as at the peer, it listens on this one.
func eventSource(port string) *unstructured.Unstructured {
	o := &unstructured.Unstructured{
		Object: map[string]any{"spec": map[string]any{"github": map[string]any{"push": map[string]any{
			"owner": "bench", "repository": "none", "events": []any{"push"},
			"webhook":       map[string]any{"endpoint": "/bench", "port": port, "method": "POST", "url": ""},
			"webhookSecret": map[string]any{"name": "hooks", "key": "secret"},
		}}}},
	}
	o.SetGroupVersionKind(v1alpha1.Kind("EventSource"))
	o.SetNamespace(namespace)
	o.SetName("hooks")
	return o
}

// poster sends one body again and again, each time as a delivery of its own. The
// signature is made once: it is the receiver's work that is measured.
func (s *sender) poster(body []byte, connections int) (try attempt, done func()) {
	mac := hmac.New(sha256.New, []byte(s.secret))
	mac.Write(body)
	w := newWire(
		posting{address: s.address, path: s.path, body: body, differs: "X-Github-Delivery", header: map[string]string{
			"Content-Type": "application/json", "X-Github-Event": "push",
			"X-Hub-Signature-256": "sha256=" + hex.EncodeToString(mac.Sum(nil)),
		}},
		connections,
	)
	batch := s.run + "-" + rand.Text()[:8]
	return func(ctx context.Context, n int64) (bool, error) {
		status, err := w.post(ctx, fmt.Sprintf("%s-%d", batch, n))
		return status == http.StatusOK, err
	}, w.close
}
