package metric

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/kube/secret"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

var t0 = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

// server is a metric system: it answers each path with what was recorded, and remembers what it was asked.
type server struct {
	t       *testing.T
	url     string
	answers map[string]string // by "METHOD /path"
	status  int
	asked   []asked
}

type asked struct {
	line   string // METHOD /path
	query  url.Values
	header http.Header
	body   string
}

func newServer(t *testing.T, answers map[string]string) *server {
	t.Helper()
	s := &server{t: t, answers: answers, status: http.StatusOK}
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	s.url = h.URL
	return s
}

// ServeHTTP implements [http.Handler].
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	line := r.Method + " " + r.URL.Path
	s.asked = append(s.asked, asked{line: line, query: r.URL.Query(), header: r.Header, body: string(body)})
	answer, is := s.answers[line]
	if !is {
		s.t.Errorf("asked for %s", line)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(s.status)
	_, _ = fmt.Fprint(w, answer)
}

func (s *server) last() asked {
	s.t.Helper()
	if len(s.asked) == 0 {
		s.t.Fatal("nothing was asked")
	}
	return s.asked[len(s.asked)-1]
}

// vault are Secrets: namespace/name/key.
type vault map[string]string

// Value implements [Secrets].
func (v vault) Value(_ context.Context, namespace string, s *corev1.SecretKeySelector) (string, error) {
	if text, is := v[namespace+"/"+s.Name+"/"+s.Key]; is {
		return text, nil
	}
	return "", &secret.MissingError{Kind: "secret", Namespace: namespace, Name: s.Name, Key: s.Key}
}

// ask takes one measurement of a metric whose provider is written as in a manifest.
func ask(t *testing.T, o Options, provider string) (Outcome, error) {
	t.Helper()
	return New(withClock(o)).Run(t.Context(), request(t, provider))
}

func withClock(o Options) Options {
	if o.Now == nil {
		o.Now = func() time.Time { return t0 }
	}
	if o.Namespace == "" {
		o.Namespace = "argo"
	}
	return o
}

func request(t *testing.T, provider string) Request {
	t.Helper()
	m := v1alpha1.Metric{Name: "m"}
	if err := yaml.UnmarshalStrict([]byte(provider), &m.Provider); err != nil {
		t.Fatalf("%s: %v", provider, err)
	}
	run := &v1alpha1.AnalysisRun{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "run", UID: "u1"}}
	run.Status.StartedAt = new(metav1.NewTime(t0.Add(-time.Minute)))
	return Request{Metric: m, Run: run, Number: 1, Now: t0, Hidden: &Redactor{}}
}

// wantError checks that an error says what it should and nothing that it should not.
func wantError(t *testing.T, name string, err error, want string, not ...string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%s: want %q, got %v", name, want, err)
		return
	}
	for _, secret := range not {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %q is shown in %q", name, secret, err)
		}
	}
}
