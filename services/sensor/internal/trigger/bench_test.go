package trigger

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/lineage"
	"github.com/argosy-mesh/argosy/libs/kube/secret"
	"github.com/argosy-mesh/argosy/libs/sensing"
	"github.com/argosy-mesh/argosy/libs/sensing/param"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sensor/internal/source"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/yaml"
)

const key = "0123456789abcdef0123456789"

// secrets are those of the namespace ns, all in one Secret "s".
var secrets = map[string]string{"user": "joe", "password": "s3cret", "token": "t0ken", "whisk": "id:pw", "pem": "junk"}

func world(t testing.TB) World {
	t.Helper()
	data := map[string][]byte{}
	for k, v := range secrets {
		data[k] = []byte(v)
	}
	objects := fake.NewClientBuilder().WithObjects(
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "s"}, Data: data},
		&corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "c"},
			Data:       map[string]string{"k": "v", "m": "kind: ConfigMap\nmetadata: {name: x}"},
		},
	).Build()
	values := secret.NewReader(objects, 0)
	return World{
		Values: values, Sources: source.NewFetcher(values, nil, ""), Log: slog.New(slog.DiscardHandler), Now: time.Now,
	}
}

// callOf is a firing of a trigger with one event, {"body":"hello","num":5}.
func callOf(t testing.TB, trigger string) Call {
	t.Helper()
	var spec v1alpha1.Trigger
	if err := yaml.Unmarshal([]byte(trigger), &spec); err != nil {
		t.Fatalf("%v in %s", err, trigger)
	}
	window := sensing.Window{
		"d": {
			ID:     "e1",
			Source: "hooks",
			Type:   "webhook",
			Data:   []byte(`{"body":"hello","num":5,"bad":"a\r\nBcc: x@y.z"}`),
		},
	}
	return Call{
		Sensor: &v1alpha1.Sensor{
			ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "s", UID: "u"},
			Spec:       v1alpha1.SensorSpec{Template: &v1alpha1.EventTemplate{ServiceAccountName: "builder"}},
		},
		Template: spec.Template,
		Policy:   spec.Policy,
		Firing:   sensing.Firing{Events: window},
		Fill:     param.Filler{Events: window, Cache: &param.Cache{}},
		Key:      key,
		Lineage: lineage.Lineage{
			Trace:       "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
			Correlation: "e1",
			Causation:   "e1",
		},
	}
}

// fire performs one call with a new adapter.
func fire(t testing.TB, w World, trigger string) (Result, error) {
	t.Helper()
	c := callOf(t, trigger)
	a, err := New(c.Template, w)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := a.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	return a.Fire(ctx, c)
}

// target records what a stand-in is sent, and answers.
type target struct {
	*httptest.Server
	mu      sync.Mutex
	got     []*http.Request
	bodies  []string
	status  int
	answers map[string]string // by path
}

func newTarget(t testing.TB) *target {
	x := &target{answers: map[string]string{}}
	x.Server = httptest.NewServer(x.handler())
	t.Cleanup(x.Close)
	return x
}

func (x *target) handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		x.mu.Lock()
		defer x.mu.Unlock()
		x.got, x.bodies = append(x.got, r), append(x.bodies, string(body))
		if x.status != 0 {
			w.WriteHeader(x.status)
		}
		_, _ = io.WriteString(w, x.answers[r.URL.Path])
	})
}

func fields(t testing.TB, text string) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return m
}
