package remote

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"context"
	"errors"

	"github.com/argosy-mesh/argosy/libs/kube/secret"
	"github.com/argosy-mesh/argosy/services/webhook-ingest/internal/pull"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// environment is what keepers work with; it has the secret "s" with some values.
func environment(values map[string]string) (pull.Env, client.Client) {
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "s"}, Data: map[string][]byte{}}
	for k, v := range values {
		s.Data[k] = []byte(v)
	}
	c := fake.NewClientBuilder().WithObjects(s).Build()
	return pull.Env{
		Namespace: "ns", EventSource: "es", Event: "e", Log: slog.New(slog.DiscardHandler),
		Secrets: secret.NewReader(c, 0), Up: func() {},
	}, c
}

func ref(key string) *corev1.SecretKeySelector {
	return &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "s"}, Key: key}
}

func listening() *v1alpha1.WebhookContext {
	return &v1alpha1.WebhookContext{URL: "https://hooks.example/", Endpoint: "/in"}
}

func TestMissedAreThoseThatNeverArrived(t *testing.T) {
	got := missed([]attempt{
		{
			id: 6, delivery: "c",
		},
		{id: 5, delivery: "a", arrived: true},
		{id: 4, delivery: "c"},
		{id: 3, delivery: "b"},
		{id: 2, delivery: "a"},
		{id: 1, delivery: "d", arrived: true},
	})
	if len(got) != 2 || got[0].id != 3 || got[1].id != 6 {
		t.Errorf("%+v: the newest attempt of each, the oldest delivery first", got)
	}
}

func TestTheAddressIsURLAndEndpoint(t *testing.T) {
	for _, c := range []struct{ url, endpoint, want string }{
		{"https://h", "/in", "https://h/in"}, {"https://h/", "in/", "https://h/in"}, {"https://h/x", "", "https://h/x"},
		{"", "/in", ""},
	} {
		if got := address(&v1alpha1.WebhookContext{URL: c.url, Endpoint: c.endpoint}); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
	if address(nil) != "" {
		t.Error("no webhook")
	}
}

// broken is a place that fails.
type broken struct{ place }

var errPlace = errors.New("no such place")

func (broken) name() string                         { return "broken" }
func (broken) list(context.Context) ([]hook, error) { return nil, errPlace }

func TestOnePlaceThatFailsDoesNotStopTheOthers(t *testing.T) {
	env, _ := environment(nil)
	good := &shelf{}
	k := newHookReconciler(
		false,
		func(context.Context, pull.Env) (site, error) { return site{places: []place{broken{}, good}}, nil },
	)
	if err := k.reconcile(t.Context(), env); !errors.Is(err, errPlace) || len(good.hooks) != 1 {
		t.Errorf("%v, %v", err, good.hooks)
	}
}

// shelf is a place in memory whose deliveries never arrive.
type shelf struct {
	hooks []hook
	asked []int64
	since []time.Time
	log   []attempt
	edits int
}

func (*shelf) name() string                           { return "shelf" }
func (s *shelf) list(context.Context) ([]hook, error) { return s.hooks, nil }
func (s *shelf) create(context.Context) error {
	s.hooks = append(s.hooks, hook{id: "1", same: true})
	return nil
}
func (s *shelf) update(context.Context, string) error { s.edits++; return nil }
func (s *shelf) remove(_ context.Context, id string) error {
	for i, h := range s.hooks {
		if h.id == id {
			s.hooks = append(s.hooks[:i:i], s.hooks[i+1:]...)
			return nil
		}
	}
	return errPlace
}

func (s *shelf) recall(_ context.Context, _ string, since time.Time) ([]attempt, error) {
	s.since = append(s.since, since)
	return s.log, nil
}

func (s *shelf) again(_ context.Context, _ string, id int64) error {
	s.asked = append(s.asked, id)
	return nil
}

func TestALookEveryTenMinutesAndARefusedDeliveryFiveTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		env, _ := environment(nil)
		s := &shelf{hooks: []hook{{id: "1", same: true}}, log: []attempt{{id: 7, delivery: "d"}}}
		k := newHookReconciler(
			false,
			func(context.Context, pull.Env) (site, error) { return site{places: []place{s}, secrets: "x"}, nil },
		)
		ctx, cancel := context.WithTimeout(t.Context(), 95*time.Minute)
		defer cancel()
		began := time.Now()
		if err := k.run(ctx, env); err != nil {
			t.Fatal(err)
		}
		if len(s.since) != 10 || len(s.asked) != maxTries || s.edits != 1 {
			t.Errorf("%d looks, asked %v, %d edits", len(s.since), s.asked, s.edits)
		}
		if !s.since[0].Equal(began.Add(-horizon)) || !s.since[1].Equal(began.Add(-overlap)) {
			t.Errorf("looked back to %v", s.since[:2])
		}
	})
}

func TestALookAsksForAHundredAndTheNextGoesOn(t *testing.T) {
	env, _ := environment(nil)
	s := &shelf{hooks: []hook{{id: "1", same: true}, {id: "2", same: true}}}
	for i := range int64(150) {
		s.log = append(s.log, attempt{id: 150 - i, delivery: string(rune('a' + i))})
	}
	k := newHookReconciler(true, func(context.Context, pull.Env) (site, error) { return site{places: []place{s}}, nil })
	if err := k.reconcile(t.Context(), env); err != nil || len(s.asked) != maxAgain || len(s.hooks) != 1 {
		t.Fatalf("%v: asked for %d, %d hooks", err, len(s.asked), len(s.hooks))
	}
	s.log = s.log[:50]
	if err := k.reconcile(t.Context(), env); err != nil || len(s.asked) != 150 {
		t.Errorf("%v: asked for %d", err, len(s.asked))
	}
	if time.Since(s.since[1]) < horizon {
		t.Errorf("the second look began at %s, though the first did not end", s.since[1])
	}
	if err := k.removeAll(t.Context(), env); err != nil || len(s.hooks) != 0 {
		t.Errorf("%v: %v is left", err, s.hooks)
	}
}
