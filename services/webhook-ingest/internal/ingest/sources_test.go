package ingest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/webhook-ingest/internal/secret"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
)

func clocks(interval string) *v1alpha1.EventSource {
	return &v1alpha1.EventSource{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "es"},
		Spec: v1alpha1.EventSourceSpec{Calendar: map[string]v1alpha1.CalendarEventSource{
			"in": {Interval: interval}, "bad": {Interval: "1ms"}, "filtered": {Interval: "1s", Filter: &v1alpha1.EventSourceFilter{Expression: "("}},
		}, File: map[string]v1alpha1.FileEventSource{"file": {}}},
	}
}

func TestTwoReplicasReadASourceAndOneEventResults(t *testing.T) {
	a := start(t)
	b := startOn(t, a.bus, a.bus.Connect("other"), t.TempDir())
	for i, d := range []*door{a, b} {
		s := newSources(d.sink, secret.Reader{}, nil, func(string) bool { return i == 0 })
		t.Cleanup(func() { s.remove("ns/es") })
		s.set(t.Context(), clocks("1s"))
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
	s := newSources(d.sink, secret.Reader{}, nil, func(string) bool { return owner })
	t.Cleanup(func() { s.remove("ns/es") })
	news := make(chan string, 100)
	s.changed = func(key string) { news <- key }
	s.set(t.Context(), clocks("1h"))
	text := ""
	deadline := time.After(time.Minute)
	for !strings.Contains(text, "in:Reading") || !strings.Contains(text, "bad:Broken") || !strings.Contains(text, "filtered:Broken") || !strings.Contains(text, "file:Broken") {
		select {
		case <-news:
		case <-deadline:
			t.Fatal(text)
		}
		text = ""
		for _, st := range s.set(t.Context(), clocks("1h")) {
			text += st.event + ":" + st.condition().Reason + " "
		}
	}
	owner = false
	text = ""
	for _, st := range s.set(t.Context(), clocks("1h")) {
		text += st.event + ":" + st.condition().Reason + " "
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
			_, _ = io.WriteString(w, `[{"id":1,"type":"gitea","active":true,"events":["push"],"config":{"url":"https://h/in","content_type":"json"}}]`)
			return
		}
		_, _ = io.WriteString(w, `[]`)
	}))
	t.Cleanup(api.Close)
	ref := &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "s"}, Key: "k"}
	stored := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "s"}, Data: map[string][]byte{"k": []byte("v")}}
	es := &v1alpha1.EventSource{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "es"}, Spec: v1alpha1.EventSourceSpec{
		EventSourceKinds: v1alpha1.EventSourceKinds{Gitea: map[string]v1alpha1.GiteaEventSource{"g": {
			BaseURL: api.URL, AccessToken: ref, Events: []string{"push"}, Organizations: []string{"o"}, DeleteHookOnFinish: true, Webhook: &v1alpha1.WebhookContext{URL: "https://h", Endpoint: "/in"},
		}}},
	}}
	owner := false
	news := make(chan string, 10)
	s := newUpkeep(d.sink, secret.Reader{Client: fake.NewClientBuilder().WithObjects(stored).Build()}, func(string) bool { return owner })
	s.changed = func(key string) { news <- key }
	if got := s.set(t.Context(), es)[0].condition(); got.Type != "Hook.g" || got.Reason != "ReadElsewhere" || len(calls) != 0 {
		t.Errorf("%+v, %v", got, calls)
	}
	owner = true
	s.set(t.Context(), es)
	select {
	case <-news:
	case <-time.After(time.Minute):
		t.Fatal("the hook was never made")
	}
	if got := s.set(t.Context(), es)[0].condition(); got.Status != "True" || got.Reason != "Kept" {
		t.Errorf("%+v", got)
	}
	s.halt("ns/es") // the manifest cannot be read for a while
	s.busy.Wait()
	if got := strings.Join(calls, " "); got != "GET POST" {
		t.Errorf("%s", got)
	}
	s.set(t.Context(), es)
	<-news
	s.remove("ns/es")
	s.busy.Wait()
	if got := strings.Join(calls, " "); !strings.HasSuffix(got, "DELETE") {
		t.Errorf("%s: the hook goes with its event", got)
	}
}
