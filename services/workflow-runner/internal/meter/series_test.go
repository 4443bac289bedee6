package meter

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestMetricsOfManifestsAreScraped(t *testing.T) {
	now, mine := time.Unix(1000, 0), true
	s := newSeries(func() time.Time { return now }, func(string) bool { return mine })
	registry := prometheus.NewRegistry()
	registry.MustRegister(s)
	label := func(v string) map[string]string { return map[string]string{"status": v} }
	for _, m := range []flow.Metric{
		{Name: "runs", Help: "h", Kind: flow.MetricCounter, Labels: label("Succeeded"), Value: 1},
		{Name: "runs", Help: "h", Kind: flow.MetricCounter, Labels: label("Succeeded"), Value: 2},
		{Name: "runs", Help: "h", Kind: flow.MetricCounter, Labels: label("Failed"), Value: 1},
		{Name: "level", Help: "h", Kind: flow.MetricGauge, Value: 5},
		{Name: "level", Help: "h", Kind: flow.MetricGauge, Operation: "Add", Value: 3},
		{Name: "level", Help: "h", Kind: flow.MetricGauge, Operation: "Sub", Value: 1},
		{Name: "size", Help: "h", Kind: flow.MetricHistogram, Buckets: []float64{1, 5}, Value: 3},
		{Name: "size", Help: "h", Kind: flow.MetricHistogram, Buckets: []float64{1, 5}, Value: 7},
		{Name: "took", Help: "h", Kind: flow.MetricGauge, Since: now.Add(-2 * time.Second)},
	} {
		if err := s.take("ci/wf", m); err != nil {
			t.Error(err)
		}
	}
	const fixed = `# HELP argo_workflows_level h
# TYPE argo_workflows_level gauge
argo_workflows_level 7
# HELP argo_workflows_runs h
# TYPE argo_workflows_runs counter
argo_workflows_runs{status="Failed"} 1
argo_workflows_runs{status="Succeeded"} 3
# HELP argo_workflows_size h
# TYPE argo_workflows_size histogram
argo_workflows_size_bucket{le="1"} 0
argo_workflows_size_bucket{le="5"} 1
argo_workflows_size_bucket{le="+Inf"} 2
argo_workflows_size_sum 10
argo_workflows_size_count 2
`
	took := func(v int) string {
		return fmt.Sprintf("# HELP argo_workflows_took h\n# TYPE argo_workflows_took gauge\nargo_workflows_took %d\n",
			v)
	}
	same := func(when, want string) {
		t.Helper()
		if err := testutil.GatherAndCompare(registry, strings.NewReader(want)); err != nil {
			t.Errorf("%s: %v", when, err)
		}
	}
	same("at first", fixed+took(2))
	now = now.Add(3 * time.Second)
	same("later", fixed+took(5))
	mine = false
	same("when another replica has the run", fixed)
	if err := s.take("ci/wf", flow.Metric{Name: "took", Help: "h", Kind: flow.MetricGauge,
		Since: now.Add(-9 * time.Second), Until: now}); err != nil {
		t.Error(err)
	}
	same("after its end", fixed+took(9))
	for name, m := range map[string]flow.Metric{
		"another help":        {Name: "runs", Help: "other", Kind: flow.MetricCounter},
		"another kind":        {Name: "runs", Help: "h", Kind: flow.MetricGauge},
		"a name of ours":      {Name: "total_count", Help: "h", Kind: flow.MetricCounter},
		"a part of ours":      {Name: "operation_duration_seconds_sum", Help: "h", Kind: flow.MetricCounter},
		"a part of another's": {Name: "size_count", Help: "h", Kind: flow.MetricCounter},
		"an odd value":        {Name: "odd", Help: "h", Kind: flow.MetricGauge, Labels: map[string]string{"a": "\xff"}},
	} {
		if s.take("ci/wf", m) == nil {
			t.Errorf("%s was taken", name)
		}
	}
	same("after what was refused", fixed+took(9))
}

func TestSeriesAreBounded(t *testing.T) {
	now := time.Unix(0, 0)
	s := newSeries(func() time.Time { now = now.Add(time.Second); return now }, func(string) bool { return true })
	for i := range seriesLimit + 5 {
		if err := s.take("ci/wf", flow.Metric{Name: fmt.Sprintf("m%d", i), Help: "h", Kind: flow.MetricCounter,
			Value: 1}); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.known) != seriesLimit || len(s.families) != seriesLimit {
		t.Errorf("%d series of %d names", len(s.known), len(s.families))
	}
	if _, there := s.families["m0"]; there {
		t.Error("the oldest was kept")
	}
}
