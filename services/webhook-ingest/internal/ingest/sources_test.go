package ingest

import (
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/webhook-ingest/internal/secret"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	deadline := time.After(20 * time.Second)
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
