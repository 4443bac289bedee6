package ingest

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/kube/secret"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/webhook-ingest/internal/pull"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
)

func clocks(interval string) *v1alpha1.EventSource {
	return &v1alpha1.EventSource{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "es"},
		Spec: v1alpha1.EventSourceSpec{Calendar: map[string]v1alpha1.CalendarEventSource{
			"in": {
				Interval: interval,
			},
			"bad":      {Interval: "1ms"},
			"filtered": {Interval: "1s", Filter: &v1alpha1.EventSourceFilter{Expression: "("}},
		}, File: map[string]v1alpha1.FileEventSource{"file": {}}},
	}
}

func TestTwoReplicasReadASourceAndOneEventResults(t *testing.T) {
	a := start(t)
	b := startOn(t, a.bus, a.bus.Connect("other"), t.TempDir())
	for i, d := range []*door{a, b} {
		s := newSources(d.sink, secret.NewReader(nil, 0), nil, func(string) bool { return i == 0 })
		t.Cleanup(func() { s.Remove("ns/es") })
		s.Set(t.Context(), clocks("1s"))
	}
	began := time.Now()
	for len(a.stored(t)) < 3 && time.Since(began) < 20*time.Second {
		<-time.After(20 * time.Millisecond)
	}
	ids := a.stored(t)
	once := map[string]bool{}
	for _, id := range ids {
		if once[id] {
			t.Errorf("%s came twice", id)
		}
		once[id] = true
	}
	if took := time.Since(began); len(ids) < 3 || float64(len(ids)) > took.Seconds()+1 {
		t.Errorf("%d events in %s", len(ids), took)
	}
}

func TestTheStatusSaysHowSourcesAre(t *testing.T) {
	d := start(t)
	owner := true
	s := newSources(d.sink, secret.NewReader(nil, 0), nil, func(string) bool { return owner })
	t.Cleanup(func() { s.Remove("ns/es") })
	news := make(chan string, 100)
	s.changed = func(key string) { news <- key }
	s.Set(t.Context(), clocks("1h"))
	text := ""
	deadline := time.After(time.Minute)
	for !strings.Contains(text, "in:Reading") || !strings.Contains(text, "bad:Broken") ||
		!strings.Contains(text, "filtered:Broken") || !strings.Contains(text, "file:Broken") {
		select {
		case <-news:
		case <-deadline:
			t.Fatal(text)
		}
		text = ""
		for _, st := range s.Set(t.Context(), clocks("1h")) {
			text += st.Event + ":" + st.Condition().Reason + " "
		}
	}
	owner = false
	text = ""
	for _, st := range s.Set(t.Context(), clocks("1h")) {
		text += st.Event + ":" + st.Condition().Reason + " "
	}
	if !strings.Contains(text, "file:ReadElsewhere") || !strings.Contains(text, "in:Reading") {
		t.Errorf("a clock runs on every replica, a folder on its owner's: %s", text)
	}
}

func TestHooksAreKeptByTheOwnerAndGoWithTheirEvent(t *testing.T) {
	d := start(t)
	var mu sync.Mutex
	var calls []string
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		calls = append(calls, r.Method)
		if r.Method == http.MethodGet && len(calls) > 2 {
			_, _ = io.WriteString(
				w,
				`[{"id":1,"type":"gitea","active":true,"events":["push"],"config":{"url":"https://h/in","content_type":"json"}}]`,
			)
			return
		}
		_, _ = io.WriteString(w, `[]`)
	}))
	t.Cleanup(api.Close)
	ref := &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "s"}, Key: "k"}
	stored := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "s"}, Data: map[string][]byte{"k": []byte("v")},
	}
	es := &v1alpha1.EventSource{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "es"},
		Spec: v1alpha1.EventSourceSpec{
			EventSourceKinds: v1alpha1.EventSourceKinds{Gitea: map[string]v1alpha1.GiteaEventSource{"g": {
				BaseURL:            api.URL,
				AccessToken:        ref,
				Events:             []string{"push"},
				Organizations:      []string{"o"},
				DeleteHookOnFinish: true,
				Webhook:            &v1alpha1.WebhookContext{URL: "https://h", Endpoint: "/in"},
			}}},
		},
	}
	owner := false
	news := make(chan string, 10)
	s := newHooks(
		d.sink,
		secret.NewReader(fake.NewClientBuilder().WithObjects(stored).Build(), 0),
		func(string) bool { return owner },
	)
	s.changed = func(key string) { news <- key }
	if got := s.Set(t.Context(), es)[0].Condition(); got.Type != "Hook.g" || got.Reason != "ReadElsewhere" ||
		len(calls) != 0 {
		t.Errorf("%+v, %v", got, calls)
	}
	owner = true
	s.Set(t.Context(), es)
	select {
	case <-news:
	case <-time.After(time.Minute):
		t.Fatal("the hook was never made")
	}
	if got := s.Set(t.Context(), es)[0].Condition(); got.Status != "True" || got.Reason != "Kept" {
		t.Errorf("%+v", got)
	}
	s.Halt("ns/es") // the manifest cannot be read for a while
	s.busy.Wait()
	if got := strings.Join(calls, " "); got != "GET POST" {
		t.Errorf("%s", got)
	}
	s.Set(t.Context(), es)
	<-news
	s.Remove("ns/es")
	s.busy.Wait()
	if got := strings.Join(calls, " "); !strings.HasSuffix(got, "DELETE") {
		t.Errorf("%s: the hook goes with its event", got)
	}
}

// A broker that does not let go of its reader holds neither other EventSources nor the reconciler; the next reader of
// the same event begins when the one before it has ended, and only the newest does.
func TestASlowReaderHoldsNobody(t *testing.T) {
	d := start(t)
	s := newSources(d.sink, secret.NewReader(nil, 0), nil, func(string) bool { return true })
	begun, release := make(chan string, 10), make(chan struct{})
	var at sync.Mutex
	reading := 0
	s.kinds = map[string]func(*v1alpha1.EventSourceSpec) map[string]pull.Reader{
		"calendar": func(spec *v1alpha1.EventSourceSpec) map[string]pull.Reader {
			out := map[string]pull.Reader{}
			for name, c := range spec.Calendar {
				out[name] = pull.Reader{Run: func(ctx context.Context, _ pull.Env, _ pull.Emit) error {
					if at.Lock(); name == "slow" {
						if reading++; reading > 1 {
							t.Error("two read side by side")
						}
					}
					at.Unlock()
					begun <- name + c.Interval
					<-ctx.Done()
					if name == "slow" {
						<-release
					}
					if at.Lock(); name == "slow" {
						reading--
					}
					at.Unlock()
					return nil
				}}
			}
			return out
		},
	}
	es := func(name, event, interval string) *v1alpha1.EventSource {
		return &v1alpha1.EventSource{
			ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name},
			Spec: v1alpha1.EventSourceSpec{
				Calendar: map[string]v1alpha1.CalendarEventSource{event: {Interval: interval}},
			},
		}
	}
	expect := func(want string) {
		t.Helper()
		select {
		case got := <-begun:
			if got != want {
				t.Fatalf("%s began, want %s", got, want)
			}
		case <-time.After(time.Minute):
			t.Fatalf("%s does not begin", want)
		}
	}
	s.Set(t.Context(), es("a", "slow", "1h"))
	expect("slow1h")
	for _, interval := range []string{"2h", "3h", "4h"} {
		s.Set(t.Context(), es("a", "slow", interval)) // each would wait for ever
	}
	s.Halt("ns/a")
	s.Set(t.Context(), es("a", "slow", "5h"))
	s.Set(t.Context(), es("b", "fast", "1h"))
	expect("fast1h")
	s.Remove("ns/b")
	if len(begun) > 0 {
		t.Fatalf("%s began beside the slow one", <-begun)
	}
	close(release)
	expect("slow5h")
	s.Remove("ns/a")
	s.busy.Wait()
	if len(s.last) > 0 || len(begun) > 0 {
		t.Errorf("%d readers are remembered, %d more began", len(s.last), len(begun))
	}
}
