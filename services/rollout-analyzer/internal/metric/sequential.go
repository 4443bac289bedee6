package metric

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"

	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core/sequential"
)

// SequentialKey is the plugin that compares a canary with its stable.
const SequentialKey = "argosy.dev/sequential"

const (
	// sequentialTick is the time between two looks when the template does not say; shorterTick the shortest.
	sequentialTick = 10 * time.Second
	shortestTick   = time.Second
	// sequentialState and sequentialSince are where the measurement remembers what it knows, and up to when.
	sequentialState = "state"
	sequentialSince = "since"
	// maxFailures is how many ticks in a row may fail to be counted, as consecutiveErrorLimit is by default.
	maxFailures = 4
	// maxQuantiles bounds the quantiles, each of which is a test of its own.
	maxQuantiles = 5
)

// sequentialSpec is the configuration of the plugin; docs/analysis.md says what each field means.
type sequentialSpec struct {
	Prometheus v1alpha1.PrometheusMetric `json:"prometheus"`
	Errors     *struct {
		Canary    eventQueries `json:"canary"`
		Stable    eventQueries `json:"stable"`
		Tolerance float64      `json:"tolerance"`
	} `json:"errors"`
	// Traffic has errors counted by events instead.
	Traffic *struct {
		Canary    string  `json:"canary"`
		Stable    string  `json:"stable"`
		Tolerance float64 `json:"tolerance"`
	} `json:"traffic"`
	Latency *struct {
		Canary    string    `json:"canary"`
		Stable    string    `json:"stable"`
		Quantiles []float64 `json:"quantiles"`
		Tolerance float64   `json:"tolerance"`
	} `json:"latency"`
	Alpha          float64                 `json:"alpha"`
	PromoteBelow   float64                 `json:"promoteBelow"`
	EarlyPromotion *bool                   `json:"earlyPromotion"`
	MinEvents      float64                 `json:"minEvents"`
	MinRequests    float64                 `json:"minRequests"`
	Independent    bool                    `json:"independent"`
	Tick           v1alpha1.DurationString `json:"tick"`
	Duration       v1alpha1.DurationString `json:"duration"`
	Undecided      v1alpha1.AnalysisPhase  `json:"undecided"`

	tick, duration time.Duration
}

// eventQueries count, by series, what a version has done since it began.
type eventQueries struct {
	Requests string `json:"requests"`
	Events   string `json:"events"`
}

// test is one comparison of a template.
type test struct {
	name     string
	design   sequential.Design
	quantile float64 // of a latency; 0 for events
}

// progress is what a measurement knows, by test.
type progress struct {
	States     map[string]sequential.State `json:"states"`
	Thresholds map[string]float64          `json:"thresholds,omitempty"`
	// Failures are the ticks in a row that could not be counted.
	Failures int `json:"failures,omitempty"`
}

func newSequential(t *tools) Provider {
	return sequentialTest{source: prometheus{fallback: t.PrometheusAddress, http: t.http}, traffic: t.Traffic}
}

// sequentialTest is one long measurement: each tick it counts, and ends with the first verdict. All it knows is in
// the measurement. A tick that cannot be counted is counted with the next one; after too many in a row the
// measurement is an error, and the next one begins anew.
type sequentialTest struct {
	source  prometheus
	traffic Traffic
}

// Run implements [Provider].
func (s sequentialTest) Run(_ context.Context, r Request) (Outcome, error) {
	spec, tests, err := sequentialOf(r.Metric)
	if err != nil {
		return Outcome{}, err
	}
	return s.wait(r, spec, tests, progress{}, r.Now)
}

// Resume implements [Provider].
func (s sequentialTest) Resume(ctx context.Context, r Request, m v1alpha1.Measurement) (Outcome, error) {
	spec, tests, err := sequentialOf(r.Metric)
	if err != nil {
		return Outcome{}, err
	}
	p, since, err := progressOf(m)
	if err != nil {
		return Outcome{}, err
	}
	if r.Now.Sub(since) < shortestTick {
		return s.wait(r, spec, tests, p, since)
	}
	ctx, cancel := within(ctx, 0, prometheusTime)
	defer cancel()
	next, err := s.count(ctx, r, spec, tests, p, since)
	if err != nil {
		if p.Failures++; p.Failures > maxFailures {
			return Outcome{}, fmt.Errorf("%d times in a row: %w", p.Failures, err)
		}
		out, unwritten := s.wait(r, spec, tests, p, since)
		out.Message = r.Hidden.Error(err).Error()
		return out, unwritten
	}
	p = next
	out, err := s.wait(r, spec, tests, p, r.Now)
	if err != nil {
		return out, err
	}
	if phase, why := verdictOf(spec, tests, p, r, m); phase != "" {
		out.Phase, out.Message, out.ResumeAt = phase, why, time.Time{}
		if r.Metric.SuccessCondition != "" || r.Metric.FailureCondition != "" {
			out.Phase = "" // the template wants to judge by itself
		}
	}
	return out, nil
}

// Terminate implements [Provider]: nothing was found against the canary so far.
func (s sequentialTest) Terminate(_ context.Context, r Request, m v1alpha1.Measurement) (Outcome, error) {
	spec, tests, err := sequentialOf(r.Metric)
	if err != nil {
		return Outcome{}, err
	}
	p, since, err := progressOf(m)
	if err != nil {
		return Outcome{}, err
	}
	out, err := s.wait(r, spec, tests, p, since)
	out.Phase, out.Message, out.ResumeAt = v1alpha1.AnalysisSuccessful, "ended before a verdict", time.Time{}
	return out, err
}

// Collect implements [Provider].
func (sequentialTest) Collect(context.Context, Request, int) error { return nil }

// wait is a measurement that goes on, with what is known so far.
func (sequentialTest) wait(
	r Request, spec sequentialSpec, tests []test, p progress, since time.Time,
) (Outcome, error) {
	state, err := written(p)
	if err != nil {
		return Outcome{}, err
	}
	readings, result := map[string]any{}, map[string]any{}
	for _, t := range tests {
		one := readingOf(t, p.States[t.name])
		readings[t.name], result[t.name] = one, one
		if len(tests) == 1 {
			maps.Copy(result, one)
		}
	}
	text, err := written(readings)
	return Outcome{
		Result: result, Text: text, Phase: v1alpha1.AnalysisRunning, ResumeAt: r.Now.Add(spec.tick),
		Metadata: map[string]string{sequentialState: state, sequentialSince: since.UTC().Format(time.RFC3339Nano)},
	}, err
}

// readingOf is what conditions and people see of a test. Bounds that are open are left out: JSON has no infinity.
func readingOf(t test, s sequential.State) map[string]any {
	r := t.design.Read(s)
	out := map[string]any{
		"eValue": rounded(
			r.Worse,
		),
		"pValue":         rounded(r.PValue()),
		"ratio":          rounded(r.Ratio),
		"lower":          rounded(r.Lower),
		"scatter":        rounded(r.Scatter),
		"ticks":          s.Ticks,
		"canaryRequests": rounded(s.Total.CanaryRequests),
		"canaryEvents":   rounded(s.Total.CanaryEvents),
		"stableRequests": rounded(s.Total.StableRequests),
		"stableEvents":   rounded(s.Total.StableEvents),
	}
	if !math.IsInf(r.Upper, 0) {
		out["upper"] = rounded(r.Upper)
	}
	return out
}

// rounded keeps four digits that count.
func rounded(v float64) float64 {
	out, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 4, 64), 64)
	if err != nil {
		return v
	}
	return out
}

// verdictOf is how the measurement ends, "" while it goes on.
func verdictOf(
	spec sequentialSpec, tests []test, p progress, r Request, m v1alpha1.Measurement,
) (v1alpha1.AnalysisPhase, string) {
	good := 0
	for _, t := range tests {
		s := p.States[t.name]
		switch t.design.Decide(s, len(tests)) {
		case sequential.Worse:
			x := t.design.Read(s)
			return v1alpha1.AnalysisFailed, fmt.Sprintf(
				"%s: the canary has %.3g times the rate of the stable (at least %.3g times, tolerated are %.3g): "+
					"%.0f of %.0f requests against %.0f of %.0f; e-value %.3g of %.3g",
				t.name, x.Ratio, x.Lower, 1+t.design.Tolerance, s.Total.CanaryEvents, s.Total.CanaryRequests,
				s.Total.StableEvents, s.Total.StableRequests, x.Worse, float64(len(tests))/t.design.Alpha,
			)
		case sequential.Good:
			good++
		}
	}
	if good == len(tests) && (spec.EarlyPromotion == nil || *spec.EarlyPromotion) {
		return v1alpha1.AnalysisSuccessful, fmt.Sprintf("the ratio is below %.3g", tests[0].design.PromoteBelow)
	}
	if spec.duration == 0 || m.StartedAt == nil || r.Now.Sub(m.StartedAt.Time) < spec.duration {
		return "", ""
	}
	for _, t := range tests {
		if n := p.States[t.name].Total.CanaryRequests; n < t.design.MinRequests {
			return v1alpha1.AnalysisInconclusive, fmt.Sprintf(
				"%s: the canary served %.0f requests in %s, fewer than %.0f",
				t.name,
				n,
				spec.duration,
				t.design.MinRequests,
			)
		}
	}
	return spec.Undecided, fmt.Sprintf("nothing was found against the canary in %s", spec.duration)
}

func progressOf(m v1alpha1.Measurement) (progress, time.Time, error) {
	var p progress
	if err := json.Unmarshal([]byte(m.Metadata[sequentialState]), &p); err != nil {
		return p, time.Time{}, errors.New("the measurement has lost what it knew")
	}
	since, err := time.Parse(time.RFC3339Nano, m.Metadata[sequentialSince])
	if err != nil {
		return p, time.Time{}, errors.New("the measurement has lost since when it counts")
	}
	return p, since, nil
}

// sequentialOf reads the configuration, and what it tests.
func sequentialOf(m v1alpha1.Metric) (spec sequentialSpec, tests []test, err error) {
	decoder := json.NewDecoder(bytes.NewReader(m.Provider.Plugin[SequentialKey]))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&spec); err != nil {
		return spec, nil, fmt.Errorf("configuration: %w", err)
	}
	if spec.tick, err = timeout(spec.Tick, sequentialTick); err != nil {
		return spec, nil, fmt.Errorf("tick: %w", err)
	}
	if spec.tick < shortestTick {
		return spec, nil, fmt.Errorf("tick: %s is shorter than %s", spec.tick, shortestTick)
	}
	if spec.duration, err = timeout(spec.Duration, time.Nanosecond); err != nil {
		return spec, nil, fmt.Errorf("duration: %w", err)
	}
	if spec.Duration == "" {
		spec.duration = 0
	}
	switch spec.Undecided {
	case "":
		spec.Undecided = v1alpha1.AnalysisSuccessful
	case v1alpha1.AnalysisSuccessful, v1alpha1.AnalysisInconclusive, v1alpha1.AnalysisFailed:
	default:
		return spec, nil, fmt.Errorf("undecided: %q is none of Successful, Inconclusive, Failed", spec.Undecided)
	}
	tests, err = spec.tests()
	return spec, tests, err
}

func (spec sequentialSpec) tests() ([]test, error) {
	var out []test
	add := func(name string, tolerance, quantile float64) error {
		d, err := sequential.Design{
			Alpha: spec.Alpha, Tolerance: tolerance, PromoteBelow: spec.PromoteBelow, MinEvents: spec.MinEvents,
			MinRequests: spec.MinRequests, Independent: spec.Independent,
		}.WithDefaults()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		out = append(out, test{name: name, design: d, quantile: quantile})
		return nil
	}
	if e := spec.Errors; e != nil {
		for _, q := range []string{e.Canary.Requests, e.Canary.Events, e.Stable.Requests, e.Stable.Events} {
			if strings.TrimSpace(q) == "" {
				return nil, errors.New("errors: canary and stable need requests and events")
			}
		}
		if err := add("errors", e.Tolerance, 0); err != nil {
			return nil, err
		}
	}
	if e := spec.Traffic; e != nil {
		if e.Canary == "" || e.Stable == "" {
			return nil, errors.New("traffic: canary and stable need the hashes of their pods")
		}
		if err := add("traffic", e.Tolerance, 0); err != nil {
			return nil, err
		}
	}
	if l := spec.Latency; l != nil {
		quantiles := l.Quantiles
		if len(quantiles) == 0 {
			quantiles = []float64{0.5, 0.9, 0.99}
		}
		if l.Canary == "" || l.Stable == "" || len(quantiles) > maxQuantiles {
			return nil, fmt.Errorf("latency: canary, stable and at most %d quantiles are needed", maxQuantiles)
		}
		for _, q := range quantiles {
			if q <= 0 || q >= 1 {
				return nil, fmt.Errorf("latency: quantile %v is not between 0 and 1", q)
			}
			if err := add("p"+strconv.FormatFloat(q*100, 'g', 4, 64), l.Tolerance, q); err != nil {
				return nil, err
			}
		}
	}
	if len(out) == 0 {
		return nil, errors.New("errors, traffic or latency must be given")
	}
	return out, nil
}

// count adds the counts of the time since the last look to what is known.
func (s sequentialTest) count(
	ctx context.Context, r Request, spec sequentialSpec, tests []test, p progress, since time.Time,
) (progress, error) {
	next := progress{States: maps.Clone(p.States), Thresholds: maps.Clone(p.Thresholds)}
	if next.States == nil {
		next.States = map[string]sequential.State{}
	}
	if next.Thresholds == nil {
		next.Thresholds = map[string]float64{}
	}
	if e := spec.Errors; e != nil {
		var c sequential.Counts
		for _, q := range []struct {
			into  *float64
			query string
		}{
			{&c.CanaryRequests, e.Canary.Requests}, {&c.CanaryEvents, e.Canary.Events},
			{&c.StableRequests, e.Stable.Requests}, {&c.StableEvents, e.Stable.Events},
		} {
			grown, err := s.grown(ctx, r, spec, q.query, since, "")
			if err != nil {
				return p, fmt.Errorf("errors: %w", err)
			}
			*q.into = grown[""]
		}
		next.States["errors"] = tests[0].design.Add(next.States["errors"], c)
	}
	if spec.Traffic != nil {
		c, err := s.counted(ctx, r, spec, since)
		if err != nil {
			return p, fmt.Errorf("traffic: %w", err)
		}
		at := slices.IndexFunc(tests, func(t test) bool { return t.name == "traffic" })
		next.States["traffic"] = tests[at].design.Add(next.States["traffic"], c)
	}
	if spec.Latency == nil {
		return next, nil
	}
	canary, err := s.histogram(ctx, r, spec, spec.Latency.Canary, since)
	if err != nil {
		return p, fmt.Errorf("latency: canary: %w", err)
	}
	stable, err := s.histogram(ctx, r, spec, spec.Latency.Stable, since)
	if err != nil {
		return p, fmt.Errorf("latency: stable: %w", err)
	}
	for _, t := range tests {
		if t.quantile == 0 {
			continue
		}
		// The threshold is of what the stable did before: one of this tick would fit the stable and not the canary.
		if at, is := next.Thresholds[t.name]; is {
			var c sequential.Counts
			c.CanaryEvents, c.CanaryRequests = sequential.Slower(canary, at)
			c.StableEvents, c.StableRequests = sequential.Slower(stable, at)
			next.States[t.name] = t.design.Add(next.States[t.name], c)
		} else if at, is := sequential.Threshold(stable, t.quantile); is {
			next.Thresholds[t.name] = at
		}
	}
	return next, nil
}

// trafficLag is how long events may take to be stored: the time that is looked at ends so long before now.
const trafficLag = time.Second

func (s sequentialTest) counted(
	ctx context.Context, r Request, spec sequentialSpec, since time.Time,
) (c sequential.Counts, err error) {
	if s.traffic == nil {
		return c, errors.New("counts by events cannot be read here")
	}
	since, until := since.Add(-trafficLag), r.Now.Add(-trafficLag)
	ns := r.Run.Namespace
	c.CanaryRequests, c.CanaryEvents, err = s.traffic.Counted(ctx, ns, spec.Traffic.Canary, since, until)
	if err == nil {
		c.StableRequests, c.StableEvents, err = s.traffic.Counted(ctx, ns, spec.Traffic.Stable, since, until)
	}
	return c, err
}

func (s sequentialTest) histogram(
	ctx context.Context, r Request, spec sequentialSpec, query string, since time.Time,
) ([]sequential.Bucket, error) {
	grown, err := s.grown(ctx, r, spec, query, since, "le")
	if err != nil {
		return nil, err
	}
	var out []sequential.Bucket
	for _, le := range slices.Sorted(maps.Keys(grown)) {
		most, err := strconv.ParseFloat(le, 64)
		if err != nil {
			return nil, fmt.Errorf(
				"a series has the label le=%q: ask for buckets, as by sum by (le, pod) (..._bucket)",
				le,
			)
		}
		out = append(out, sequential.Bucket{Most: most, Count: grown[le]})
	}
	return out, nil
}

// grown is by how much the counters of a query have grown since a time, summed by a label. It looks at each series at
// both times, and does without functions that extrapolate: counts must be counts. A series that appears counts from
// zero; one that shrank, since its process began anew or a pod went, is left out for this tick.
func (s sequentialTest) grown(
	ctx context.Context, r Request, spec sequentialSpec, query string, since time.Time, by string,
) (map[string]float64, error) {
	c, err := s.source.call(&v1alpha1.PrometheusMetric{
		Address: spec.Prometheus.Address, Headers: spec.Prometheus.Headers, Insecure: spec.Prometheus.Insecure,
		Authentication: spec.Prometheus.Authentication,
	}, r.Now)
	if err != nil {
		return nil, err
	}
	c.url = strings.TrimSuffix(c.url, "/query") + "/query_range"
	c.method = http.MethodPost
	c.body = []byte(url.Values{
		"query": {query}, "start": {seconds(since)}, "end": {seconds(r.Now)},
		"step": {strconv.FormatFloat(float64(r.Now.UnixMilli()-since.UnixMilli())/1000, 'f', -1, 64)},
	}.Encode())
	var a prometheusAnswer
	if err := s.source.http.fetch(ctx, r.Hidden, c, &a); err != nil {
		return nil, err
	}
	if a.Status != "success" || a.Data.ResultType != "matrix" {
		return nil, fmt.Errorf("%s: %s: %s", hostOf(c.url), a.ErrorType, excerpt([]byte(a.Error)))
	}
	var series []struct {
		Metric     map[string]string `json:"metric"`
		Values     []point           `json:"values"`
		Histograms json.RawMessage   `json:"histograms"`
	}
	if err := json.Unmarshal(a.Data.Result, &series); err != nil {
		return nil, fmt.Errorf("read a matrix: %w", err)
	}
	if len(series) > maxValues {
		return nil, fmt.Errorf("the query gives more than %d series", maxValues)
	}
	out := map[string]float64{}
	for _, one := range series {
		if len(one.Histograms) > 0 {
			return nil, errors.New("a series is a native histogram: ask for a counter")
		}
		growth, err := growthOf(one.Values, since, r.Now)
		if err != nil {
			return nil, err
		}
		label := ""
		if by != "" {
			label = one.Metric[by]
		}
		out[label] += growth
	}
	return out, nil
}

// growthOf is by how much one series has grown. Its points are at since and at now, or at one of both.
func growthOf(points []point, since, now time.Time) (float64, error) {
	middle := float64(since.UnixMilli()+now.UnixMilli()) / 2000
	var first, last float64
	seen := false
	for _, p := range points {
		v, err := p.number()
		if err != nil {
			return 0, err
		}
		var at float64
		if err := json.Unmarshal(p[0], &at); err != nil {
			return 0, fmt.Errorf("read a time: %w", err)
		}
		if at < middle {
			first = v
		} else {
			last, seen = v, true
		}
	}
	if !seen || math.IsNaN(last) || math.IsNaN(first) || last < first {
		return 0, nil
	}
	return last - first, nil
}
