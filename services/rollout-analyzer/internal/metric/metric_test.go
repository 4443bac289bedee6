package metric

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/google/go-cmp/cmp"
)

// answering starts a server that says the same each time and remembers what it was asked.
func answering(t *testing.T, status int, body string) (address string, asked *http.Request, form *string) {
	t.Helper()
	asked, form = new(http.Request), new(string)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		*asked, *form = *r, string(text)
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(server.Close)
	return server.URL, asked, form
}

func TestPrometheus(t *testing.T) {
	for _, c := range []struct {
		name, body string
		want       any
		text       string
	}{
		{"scalar", `{"status":"success","data":{"resultType":"scalar","result":[1,"0.5"]}}`, 0.5, "0.5"},
		{
			"vector",
			`{"status":"success","data":{"resultType":"vector","result":[{"value":[1,"1"]},{"value":[1,"2.5"]}]}}`,
			[]float64{1, 2.5}, "[1,2.5]",
		},
		{"empty", `{"status":"success","data":{"resultType":"vector","result":[]}}`, []float64{}, "[]"},
		{
			"matrix", `{"status":"success","data":{"resultType":"matrix","result":[{"values":[[1,"1"],[2,"2"]]}]}}`,
			[]float64{1, 2}, "[1,2]",
		},
	} {
		address, asked, form := answering(t, 200, c.body)
		m := v1alpha1.Metric{
			Provider: v1alpha1.MetricProvider{Prometheus: &v1alpha1.PrometheusMetric{
				Address: address + "/",
				Query:   "up",
				Headers: []v1alpha1.WebMetricHeader{{Key: "X-Org", Value: "1"}},
				Authentication: v1alpha1.Authentication{
					BasicAuth: v1alpha1.ProviderBasicAuth{Username: "u", Password: "p"},
				},
			}},
		}
		got, err := New("").Measure(context.Background(), m)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if diff := cmp.Diff(c.want, got.Result); diff != "" || got.Text != c.text {
			t.Errorf("%s: %q %s", c.name, got.Text, diff)
		}
		user, _, _ := asked.BasicAuth()
		if asked.URL.Path != "/api/v1/query" || *form != "query=up" || asked.Header.Get("X-Org") != "1" || user != "u" {
			t.Errorf("%s: asked %s %s %v", c.name, asked.URL, *form, asked.Header)
		}
	}
}

func TestPrometheusRange(t *testing.T) {
	address, asked, form := answering(
		t, 200, `{"status":"success","warnings":["slow"],"data":{"resultType":"matrix","result":[]}}`,
	)
	m := v1alpha1.Metric{Provider: v1alpha1.MetricProvider{Prometheus: &v1alpha1.PrometheusMetric{Query: "up",
		RangeQuery: &v1alpha1.PrometheusRangeQueryArgs{Start: `now() - duration("5m")`, End: "now()", Step: "1m"}}}}
	got, err := New(address).Measure(context.Background(), m)
	if err != nil {
		t.Fatal(err)
	}
	if asked.URL.Path != "/api/v1/query_range" || !strings.Contains(*form, "step=60") ||
		got.Metadata["warnings"] != "slow" {
		t.Errorf("asked %s %s, got %+v", asked.URL, *form, got)
	}
}

func TestPrometheusRefuses(t *testing.T) {
	for want, c := range map[string]struct {
		status int
		body   string
	}{
		"bad_data: parse error": {400, `{"status":"error","errorType":"bad_data","error":"parse error"}`},
		"not that of":           {502, `<html>`},
		`type "string"`:         {200, `{"status":"success","data":{"resultType":"string","result":[1,"x"]}}`},
	} {
		address, _, _ := answering(t, c.status, c.body)
		m := v1alpha1.Metric{
			Provider: v1alpha1.MetricProvider{Prometheus: &v1alpha1.PrometheusMetric{Address: address, Query: "up"}},
		}
		if _, err := New("").Measure(context.Background(), m); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	m := v1alpha1.Metric{Provider: v1alpha1.MetricProvider{Prometheus: &v1alpha1.PrometheusMetric{Query: "up"}}}
	if _, err := New("").Measure(context.Background(), m); err == nil {
		t.Error("no address was taken")
	}
}

func TestWeb(t *testing.T) {
	for _, c := range []struct {
		name, body, path string
		want             any
		text             string
	}{
		{"whole", `{"ok":true}`, "", map[string]any{"ok": true}, `{"ok":true}`},
		{"path", `{"data":{"n":3}}`, "{$.data.n}", 3.0, "3"},
		{"text in JSON", `{"state":"up"}`, "{$.state}", "up", "up"},
		{"no JSON", `fine`, "{$.x}", "fine", "fine"},
		{"null", `{"x":null}`, "{$.x}", nil, "null"},
	} {
		address, asked, form := answering(t, 200, c.body)
		m := v1alpha1.Metric{
			Provider: v1alpha1.MetricProvider{
				Web: &v1alpha1.WebMetric{
					URL: address, Method: "POST", JSONPath: c.path, JSONBody: json.RawMessage(`{"a":1}`),
				},
			},
		}
		got, err := New("").Measure(context.Background(), m)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if diff := cmp.Diff(c.want, got.Result); diff != "" || got.Text != c.text {
			t.Errorf("%s: %q %s", c.name, got.Text, diff)
		}
		if asked.Method != http.MethodPost || *form != `{"a":1}` ||
			asked.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: asked %s %s", c.name, asked.Method, *form)
		}
	}
}

func TestWebRefuses(t *testing.T) {
	for want, c := range map[string]struct {
		status     int
		body, path string
	}{
		"status 500: broken": {500, "broken", ""},
		"finds nothing":      {200, `{"list":[]}`, "{$.list[*]}"},
		"jsonPath":           {200, `{}`, "{$.x"},
	} {
		address, _, _ := answering(t, c.status, c.body)
		m := v1alpha1.Metric{
			Provider: v1alpha1.MetricProvider{Web: &v1alpha1.WebMetric{URL: address, JSONPath: c.path}},
		}
		if _, err := New("").Measure(context.Background(), m); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

func TestAnswersAreBounded(t *testing.T) {
	address, _, _ := answering(t, 200, strings.Repeat("x", maxBody+1))
	m := v1alpha1.Metric{Provider: v1alpha1.MetricProvider{Web: &v1alpha1.WebMetric{URL: address}}}
	if _, err := New("").Measure(context.Background(), m); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v", err)
	}
}

func TestSilenceEnds(t *testing.T) {
	server := httptest.NewServer(
		http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }),
	)
	t.Cleanup(server.Close)
	m := v1alpha1.Metric{
		Provider: v1alpha1.MetricProvider{Web: &v1alpha1.WebMetric{URL: server.URL, TimeoutSeconds: 1}},
	}
	if _, err := New("").Measure(context.Background(), m); err == nil ||
		!strings.Contains(err.Error(), "no answer within 1s") {
		t.Errorf("got %v", err)
	}
}

func TestUnknownProvider(t *testing.T) {
	m := v1alpha1.Metric{Name: "m", Provider: v1alpha1.MetricProvider{Datadog: &v1alpha1.DatadogMetric{}}}
	if _, err := New("").Measure(context.Background(), m); !errors.Is(err, ErrUnknown) {
		t.Errorf("got %v", err)
	}
}
