package metric

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core/analysis"
)

// counters is a Prometheus whose counters grow linearly since t0, by query.
type counters struct {
	rates map[string]float64 // per second
	down  bool
}

func (c *counters) start(t *testing.T) string {
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c.down {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_ = r.ParseForm()
		rate, is := c.rates[r.Form.Get("query")]
		if r.URL.Path != "/api/v1/query_range" || !is {
			t.Errorf("asked %s %v", r.URL.Path, r.Form)
		}
		_, _ = fmt.Fprintf(
			w,
			`{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[%s,%s]}]}}`,
			counted(r.Form, "start", rate),
			counted(r.Form, "end", rate),
		)
	}))
	t.Cleanup(h.Close)
	return h.URL
}

func counted(form url.Values, key string, rate float64) string {
	at := 0.0
	_, _ = fmt.Sscan(form.Get(key), &at)
	return fmt.Sprintf(`[%s,"%d"]`, form.Get(key), int((at-float64(t0.Unix())+1000)*rate))
}

const sequentialManifest = `plugin: {argosy.dev/sequential: {prometheus: {address: ADDRESS}, duration: 10m, errors: {
  canary: {requests: cr, events: ce}, stable: {requests: sr, events: se}}}}`

// follow takes one measurement to its end and returns how it ended, and after how long.
func follow(t *testing.T, provider string, every func(now time.Time)) (Outcome, time.Duration) {
	t.Helper()
	now := t0
	q := request(t, provider)
	// Each look may be that of another process.
	processes := []*Registry{New(withClock(Options{})), New(withClock(Options{}))}
	out, err := processes[0].Run(t.Context(), q)
	m := v1alpha1.Measurement{StartedAt: new(metav1.NewTime(t0))}
	for look := 1; err == nil && out.Phase == v1alpha1.AnalysisRunning; look++ {
		if look > 200 {
			t.Fatalf("no end: %s", out.Text)
		}
		if every != nil {
			every(now)
		}
		now = out.ResumeAt
		m.Metadata, q.Now = out.Metadata, now
		out, err = processes[look%2].Resume(t.Context(), q, m)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out, now.Sub(t0)
}

func TestSequentialErrors(t *testing.T) {
	for _, c := range []struct {
		name         string
		canaryErrors float64
		want         v1alpha1.AnalysisPhase
		least, most  time.Duration
		message      string
	}{
		{"as good", 0.2, v1alpha1.AnalysisSuccessful, time.Minute, 9 * time.Minute, "the ratio is below 1.5"},
		{"four times worse", 0.8, v1alpha1.AnalysisFailed, 20 * time.Second, 3 * time.Minute, "errors: the canary has"},
		{"all fail", 20, v1alpha1.AnalysisFailed, 10 * time.Second, 30 * time.Second, "errors: the canary has"},
	} {
		p := &counters{rates: map[string]float64{"cr": 20, "ce": c.canaryErrors, "sr": 180, "se": 1.8}}
		provider := strings.ReplaceAll(sequentialManifest, "ADDRESS", p.start(t))
		out, took := follow(t, strings.Replace(provider, "duration: 10m, ", "", 1), nil)
		if c.name == "as good" {
			// At so few errors the bound takes long; the duration ends it otherwise.
			if out.Phase != c.want || !strings.Contains(out.Message, c.message) {
				t.Errorf("%s: %s %q after %s", c.name, out.Phase, out.Message, took)
			}
			continue
		}
		if out.Phase != c.want || took < c.least || took > c.most || !strings.Contains(out.Message, c.message) {
			t.Errorf("%s: %s %q after %s", c.name, out.Phase, out.Message, took)
		}
	}
}

func TestSequentialEndsByItsDuration(t *testing.T) {
	p := &counters{rates: map[string]float64{"cr": 20, "ce": 0, "sr": 180, "se": 0.01}}
	provider := strings.ReplaceAll(sequentialManifest, "ADDRESS", p.start(t))
	out, took := follow(t, provider, nil)
	if out.Phase != v1alpha1.AnalysisSuccessful || took != 10*time.Minute {
		t.Errorf("%s %q after %s", out.Phase, out.Message, took)
	}
	out, _ = follow(t, strings.Replace(provider, "duration", "undecided: Inconclusive, duration", 1), nil)
	if out.Phase != v1alpha1.AnalysisInconclusive {
		t.Errorf("undecided: %s %q", out.Phase, out.Message)
	}
	p.rates["cr"] = 0.01
	out, _ = follow(t, provider, nil)
	if out.Phase != v1alpha1.AnalysisInconclusive || !strings.Contains(out.Message, "fewer than 100") {
		t.Errorf("starved: %s %q", out.Phase, out.Message)
	}
}

// What was served while the counts could not be read is counted afterwards.
func TestSequentialGoesOnAfterAnOutage(t *testing.T) {
	p := &counters{rates: map[string]float64{"cr": 20, "ce": 0, "sr": 180, "se": 1}}
	looks := 0
	out, took := follow(t, strings.ReplaceAll(sequentialManifest, "ADDRESS", p.start(t)), func(time.Time) {
		looks++
		p.down = looks%3 == 0
	})
	result, _ := out.Result.(map[string]any)
	if out.Phase != v1alpha1.AnalysisSuccessful || looks < 4 || result["canaryRequests"] != 20*took.Seconds() {
		t.Errorf("%s %q after %s: %v", out.Phase, out.Message, took, result)
	}
}

func TestSequentialConditionsSeeTheNumbers(t *testing.T) {
	p := &counters{rates: map[string]float64{"cr": 20, "ce": 2, "sr": 180, "se": 1.8}}
	provider := strings.ReplaceAll(sequentialManifest, "ADDRESS", p.start(t))
	q := request(t, provider)
	q.Metric.FailureCondition = "result.ratio > 5 && result.errors.pValue < 0.01 && result.lower > 2 && result.eValue > 100"
	registry := New(withClock(Options{}))
	out, err := registry.Run(t.Context(), q)
	for look := 1; look < 100 && err == nil && out.Phase == v1alpha1.AnalysisRunning; look++ {
		q.Now = out.ResumeAt
		out, err = registry.Resume(t.Context(), q, v1alpha1.Measurement{Metadata: out.Metadata})
	}
	if err != nil || out.Phase != "" {
		t.Fatalf("%+v, %v", out, err)
	}
	if phase, err := analysis.Judge(q.Metric, out.Result, t0); phase != v1alpha1.AnalysisFailed {
		t.Errorf("%s, %v of %v", phase, err, out.Result)
	}
}

func TestSequentialIsTerminated(t *testing.T) {
	p := &counters{rates: map[string]float64{"cr": 20, "ce": 0, "sr": 180, "se": 1}}
	registry, q := New(
		withClock(Options{}),
	), request(
		t,
		strings.ReplaceAll(sequentialManifest, "ADDRESS", p.start(t)),
	)
	out, err := registry.Run(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	out, err = registry.Terminate(t.Context(), q, v1alpha1.Measurement{Metadata: out.Metadata})
	if err != nil || out.Phase != v1alpha1.AnalysisSuccessful {
		t.Errorf("%+v, %v", out, err)
	}
}

// buckets is a Prometheus with a latency histogram for each version.
func TestSequentialLatency(t *testing.T) {
	slow := map[string]float64{"canary": 0.3, "stable": 0.1} // share slower than 0.5 s
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		version := r.Form.Get("query")
		var series []string
		for le, share := range map[string]float64{"0.5": 1 - slow[version], "1": 1, "+Inf": 1} {
			rate := 100 * share
			series = append(series, fmt.Sprintf(`{"metric":{"le":%q},"values":[%s,%s]}`, le,
				counted(r.Form, "start", rate), counted(r.Form, "end", rate)))
		}
		_, _ = fmt.Fprintf(
			w,
			`{"status":"success","data":{"resultType":"matrix","result":[%s]}}`,
			strings.Join(series, ","),
		)
	}))
	t.Cleanup(h.Close)
	provider := fmt.Sprintf(`plugin: {argosy.dev/sequential: {prometheus: {address: %q}, duration: 5m,
  latency: {canary: canary, stable: stable, quantiles: [0.9], tolerance: 0.25}}}`, h.URL)
	out, took := follow(t, provider, nil)
	if out.Phase != v1alpha1.AnalysisFailed || took > time.Minute ||
		!strings.Contains(out.Message, "p90: the canary has") {
		t.Errorf("%s %q after %s", out.Phase, out.Message, took)
	}
	slow["canary"] = 0.1
	if out, _ = follow(t, provider, nil); out.Phase != v1alpha1.AnalysisSuccessful {
		t.Errorf("%s %q", out.Phase, out.Message)
	}
}

// served are counts that come as events: requests and errors per second by hash.
type served map[string][2]float64

// Counted implements [Traffic].
func (s served) Counted(_ context.Context, ns, hash string, since, until time.Time) (float64, float64, error) {
	if ns != "ns" {
		return 0, 0, fmt.Errorf("asked for namespace %s", ns)
	}
	d := until.Sub(since).Seconds()
	return math.Floor(s[hash][0] * d), math.Floor(s[hash][1] * d), nil
}

func TestSequentialTraffic(t *testing.T) {
	const provider = `plugin: {argosy.dev/sequential: {tick: 1s, duration: 5m, traffic: {canary: new, stable: old}}}`
	for want, rates := range map[v1alpha1.AnalysisPhase]served{
		v1alpha1.AnalysisFailed:     {"new": {100, 20}, "old": {900, 9}},
		v1alpha1.AnalysisSuccessful: {"new": {100, 1}, "old": {900, 9}},
	} {
		registry, q := New(withClock(Options{Traffic: rates})), request(t, provider)
		out, err := registry.Run(t.Context(), q)
		looks := 0
		for ; looks < 400 && err == nil && out.Phase == v1alpha1.AnalysisRunning; looks++ {
			q.Now = out.ResumeAt
			out, err = registry.Resume(t.Context(), q, v1alpha1.Measurement{Metadata: out.Metadata})
		}
		if err != nil || out.Phase != want || want == v1alpha1.AnalysisFailed && looks > 5 {
			t.Errorf("%s: %s %q after %d looks, %v", want, out.Phase, out.Message, looks, err)
		}
	}
	registry, q := New(withClock(Options{})), request(t, provider)
	out, err := registry.Run(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	q.Now = out.ResumeAt
	out, err = registry.Resume(t.Context(), q, v1alpha1.Measurement{Metadata: out.Metadata})
	if err != nil || !strings.Contains(out.Message, "cannot be read here") {
		t.Errorf("no traffic: %+v, %v", out, err)
	}
}

func TestSequentialRefuses(t *testing.T) {
	const errs = `errors: {canary: {requests: a, events: b}, stable: {requests: c, events: d}}`
	for text, want := range map[string]string{
		`{}`:                                "errors, traffic or latency must be given",
		`{error: {}}`:                       `unknown field "error"`,
		`{errors: {canary: {requests: a}}}`: "need requests and events",
		`{latency: {canary: a, stable: b, quantiles: [2]}}`: "quantile 2",
		`{tick: 1ms, ` + errs + `}`:                         "shorter than",
		`{tick: x, ` + errs + `}`:                           `tick: "x"`,
		`{duration: x, ` + errs + `}`:                       `duration: "x"`,
		`{alpha: 0.9, ` + errs + `}`:                        "alpha: 0.9",
		`{undecided: Maybe, ` + errs + `}`:                  `"Maybe" is none`,
	} {
		_, err := ask(t, Options{}, `plugin: {argosy.dev/sequential: `+text+`}`)
		wantError(t, text, err, want)
	}
	p := &counters{rates: map[string]float64{}, down: true}
	registry, q := New(
		withClock(Options{}),
	), request(
		t,
		strings.ReplaceAll(sequentialManifest, "ADDRESS", p.start(t)),
	)
	out, err := registry.Run(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	for range maxFailures {
		q.Now = out.ResumeAt
		out, err = registry.Resume(t.Context(), q, v1alpha1.Measurement{Metadata: out.Metadata})
		if err != nil || out.Phase != v1alpha1.AnalysisRunning || !strings.Contains(out.Message, "status 503") {
			t.Fatalf("%+v, %v", out, err)
		}
	}
	_, err = registry.Resume(t.Context(), q, v1alpha1.Measurement{Metadata: out.Metadata})
	wantError(t, "down", err, "5 times in a row: errors: 127.0.0.1")
	_, err = registry.Resume(t.Context(), q, v1alpha1.Measurement{})
	wantError(t, "lost", err, "has lost what it knew")
}

func TestGrowth(t *testing.T) {
	at := func(text string) []point {
		var out []point
		for part := range strings.FieldsSeq(text) {
			when, value, _ := strings.Cut(part, "=")
			out = append(out, point{[]byte(when), []byte(`"` + value + `"`)})
		}
		return out
	}
	since := time.Unix(100, 0)
	for text, want := range map[string]float64{
		"100=5 110=9": 4, "110=3": 3, "100=5": 0, "100=9 110=2": 0, "": 0, "100=NaN 110=3": 0, "100=5 110=5": 0,
	} {
		if got, err := growthOf(at(text), since, since.Add(10*time.Second)); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}
