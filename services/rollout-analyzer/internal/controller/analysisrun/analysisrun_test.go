package analysisrun

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/kube/secret"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/facts"

	"github.com/argosy-mesh/argosy/libs/kube/object"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/yaml"

	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/metric"
)

// desk is a reconciler with a clock that tests move, a provider that says what they want, and a memory of facts.
type desk struct {
	*Reconciler
	t     *testing.T
	now   time.Time
	asked []string
	value any
	err   error
	facts []string
	long  bool // measurements go on

	collected []int
}

// Run implements [metric.Provider].
func (d *desk) Run(_ context.Context, q metric.Request) (metric.Outcome, error) {
	url := q.Metric.Provider.Web.URL
	d.asked = append(d.asked, url)
	if d.long {
		return metric.Outcome{
			Phase: v1alpha1.AnalysisRunning, ResumeAt: d.now.Add(time.Minute), Metadata: map[string]string{"id": "7"},
		}, nil
	}
	return metric.Outcome{
		Result: d.value, Text: q.Hidden.Text("asked " + url), Metadata: map[string]string{"url": q.Hidden.Text(url)},
	}, d.err
}

// Resume implements [metric.Provider].
func (d *desk) Resume(_ context.Context, q metric.Request, m v1alpha1.Measurement) (metric.Outcome, error) {
	d.asked = append(d.asked, fmt.Sprintf("resume %d of %s", q.Number, m.Metadata["id"]))
	return metric.Outcome{Phase: v1alpha1.AnalysisSuccessful, Text: "good", Metadata: m.Metadata}, d.err
}

// Terminate implements [metric.Provider].
func (d *desk) Terminate(_ context.Context, q metric.Request, m v1alpha1.Measurement) (metric.Outcome, error) {
	d.asked = append(d.asked, fmt.Sprintf("stop %d of %s", q.Number, m.Metadata["id"]))
	return metric.Outcome{Phase: v1alpha1.AnalysisInconclusive, Message: "stopped"}, d.err
}

// Collect implements [metric.Provider].
func (d *desk) Collect(_ context.Context, _ metric.Request, keep int) error {
	d.collected = append(d.collected, keep)
	return nil
}

func (d *desk) Tell(_ context.Context, f facts.Fact) error {
	data := events.NewFact(f.About, f.Body)
	id := data.Object.UID + "/" + f.Body.Fact()
	if m, is := f.Body.(events.AnalysisMeasured); is {
		id += fmt.Sprintf("/%s/%d", m.Metric, m.Number)
	}
	if f.ID != bus.Key(id) {
		id = "another id"
	}
	d.facts = append(
		d.facts, id+" "+f.Body.Fact()+" "+data.Phase+" "+data.Attributes["rollout"]+" "+f.Lineage.Correlation,
	)
	return nil
}

const run = `
apiVersion: argoproj.io/v1alpha1
kind: AnalysisRun
metadata:
  name: run
  namespace: ns
  uid: u1
  annotations: {argosy.dev/correlationid: chain}
  labels: {rollouts-pod-template-hash: abc}
  ownerReferences: [{apiVersion: argoproj.io/v1alpha1, kind: Rollout, name: shop, uid: u0, controller: true}]
spec:
  args:
    - {name: host, value: example}
    - {name: token, valueFrom: {secretKeyRef: {name: keys, key: token}}}
  metrics:
    - name: ok
      interval: 10s
      count: 2
      successCondition: result == 1
      provider: {web: {url: "http://{{args.host}}/{{ args.token }}"}}
`

func newDesk(t *testing.T, manifest string, more ...client.Object) *desk {
	t.Helper()
	scheme := runtime.NewScheme()
	// The kinds of the group stay unregistered, so that a run that cannot be decoded can be kept.
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	u := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(manifest), &u.Object); err != nil {
		t.Fatal(err)
	}
	stored := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "keys"},
		Data:       map[string][]byte{"token": []byte("s3cr3t")},
	}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(append(more, u, stored)...).Build()
	d := &desk{t: t, now: time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC), value: 1}
	d.Reconciler = New(c, secret.NewReader(c, 0), d, d, prometheus.NewRegistry())
	d.Now = func() time.Time { return d.now }
	return d
}

// pass reconciles once and returns the status and when to look again.
func (d *desk) pass() (v1alpha1.AnalysisRunStatus, time.Duration) {
	d.t.Helper()
	key := types.NamespacedName{Namespace: "ns", Name: "run"}
	result, err := d.Reconcile(context.Background(), reconcile.Request{NamespacedName: key})
	if err != nil {
		d.t.Fatal(err)
	}
	u := object.New("AnalysisRun")
	if err := d.Client.Get(context.Background(), key, u); err != nil {
		return v1alpha1.AnalysisRunStatus{}, result.RequeueAfter
	}
	got, _, _ := v1alpha1.DecodeTolerant[v1alpha1.AnalysisRun](u.Object)
	return got.Status, result.RequeueAfter
}

func TestARunFromBeginningToEnd(t *testing.T) {
	d := newDesk(t, run)
	if st, again := d.pass(); st.Phase != v1alpha1.AnalysisRunning || st.StartedAt == nil ||
		again != time.Millisecond ||
		len(d.asked) != 0 {
		t.Fatalf("begin: %+v after %s, asked %v", st, again, d.asked)
	}
	if st, again := d.pass(); st.Phase != v1alpha1.AnalysisRunning || again != 10*time.Second {
		t.Fatalf("first: %+v after %s", st, again)
	}
	if _, again := d.pass(); len(d.asked) != 1 || again != 10*time.Second {
		t.Fatalf("measured too early: %v, after %s", d.asked, again)
	}
	d.now = d.now.Add(10 * time.Second)
	st, again := d.pass()
	if st.Phase != v1alpha1.AnalysisSuccessful || again != 0 {
		t.Fatalf("second: %+v after %s", st, again)
	}
	if diff := cmp.Diff([]string{"http://example/s3cr3t", "http://example/s3cr3t"}, d.asked); diff != "" {
		t.Error(diff)
	}
	m := st.MetricResults[0].Measurements[0]
	if m.Value != "asked http://example/*****" || m.Metadata["url"] != "http://example/*****" {
		t.Errorf("a secret was shown: %+v", m)
	}
	want := []string{
		"u1/analysis.started analysis.started Running shop chain",
		"u1/analysis.measured/ok/1 analysis.measured Successful shop chain",
		"u1/analysis.measured/ok/2 analysis.measured Successful shop chain",
		"u1/analysis.finished analysis.finished Successful shop chain",
	}
	if diff := cmp.Diff(want, d.facts); diff != "" {
		t.Error(diff)
	}
}

func TestErrorsAreMeasurements(t *testing.T) {
	d := newDesk(t, run)
	d.err = errors.New("refused by s3cr3t")
	d.pass()
	st, again := d.pass()
	if m := st.MetricResults[0].Measurements[0]; m.Phase != v1alpha1.AnalysisError ||
		m.Message != "refused by *****" ||
		again != 10*time.Second {
		t.Fatalf("%+v after %s", m, again)
	}
	d.err, d.value = nil, 2
	d.now = d.now.Add(10 * time.Second)
	if st, _ := d.pass(); st.Phase != v1alpha1.AnalysisFailed {
		t.Fatalf("a value that is not wanted: %+v", st)
	}
}

func TestMissingSecretIsAnError(t *testing.T) {
	d := newDesk(t, strings.Replace(run, "key: token", "key: other", 1))
	d.pass()
	st, _ := d.pass()
	if m := st.MetricResults[0].Measurements[0]; !strings.Contains(m.Message, "no key other") || len(d.asked) != 0 {
		t.Fatalf("%+v, asked %v", m, d.asked)
	}
}

func TestUnreadableRunEnds(t *testing.T) {
	d := newDesk(t, strings.Replace(run, "metrics:", "terminate: perhaps\n  metrics:", 1))
	if st, _ := d.pass(); st.Phase != v1alpha1.AnalysisError || !strings.Contains(st.Message, "spec.terminate") {
		t.Fatalf("%+v", st)
	}
}

func TestTerminateEnds(t *testing.T) {
	d := newDesk(t, strings.Replace(run, "metrics:", "terminate: true\n  metrics:", 1))
	d.pass()
	if st, _ := d.pass(); st.Phase != v1alpha1.AnalysisSuccessful || len(d.asked) != 0 {
		t.Fatalf("%+v, asked %v", st, d.asked)
	}
}

func TestOldRunsAreDeleted(t *testing.T) {
	d := newDesk(t, strings.Replace(run, "metrics:", "ttlStrategy: {secondsAfterCompletion: 60}\n  metrics:", 1)+`
status: {phase: Successful, completedAt: "2026-11-23T09:59:30Z"}
`)
	if st, again := d.pass(); st.Phase == "" || again != 30*time.Second {
		t.Fatalf("%+v after %s", st, again)
	}
	d.now = d.now.Add(30 * time.Second)
	if st, _ := d.pass(); st.Phase != "" {
		t.Fatalf("kept: %+v", st)
	}
}

func TestALongMeasurementIsResumed(t *testing.T) {
	d := newDesk(t, strings.Replace(run, "count: 2", "count: 1", 1))
	d.long = true
	d.pass()
	if st, again := d.pass(); st.Phase != v1alpha1.AnalysisRunning || again != time.Minute ||
		st.MetricResults[0].Measurements[0].Metadata["id"] != "7" {
		t.Fatalf("%+v after %s", st, again)
	}
	d.now = d.now.Add(time.Minute)
	st, _ := d.pass()
	if m := st.MetricResults[0].Measurements; st.Phase != v1alpha1.AnalysisSuccessful || len(m) != 1 ||
		m[0].Value != "good" || m[0].StartedAt.Time.Equal(m[0].FinishedAt.Time) || m[0].ResumeAt != nil {
		t.Fatalf("%+v", st)
	}
	if diff := cmp.Diff([]string{"http://example/s3cr3t", "resume 1 of 7"}, d.asked); diff != "" {
		t.Error(diff)
	}
}

func TestALongMeasurementIsStopped(t *testing.T) {
	d := newDesk(t, run)
	d.long = true
	d.pass()
	d.pass()
	u := object.New("AnalysisRun")
	key := types.NamespacedName{Namespace: "ns", Name: "run"}
	if err := d.Client.Get(t.Context(), key, u); err != nil {
		t.Fatal(err)
	}
	if err := unstructured.SetNestedField(u.Object, true, "spec", "terminate"); err != nil {
		t.Fatal(err)
	}
	if err := d.Client.Update(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	st, _ := d.pass()
	if st.Phase != v1alpha1.AnalysisInconclusive || st.MetricResults[0].Measurements[0].Message != "stopped" {
		t.Fatalf("%+v", st)
	}
}

func TestWhatOldMeasurementsLeftIsCollected(t *testing.T) {
	manifest := strings.Replace(run, "count: 2", "count: 3", 1)
	manifest = strings.Replace(
		manifest,
		"metrics:",
		"measurementRetention: [{metricName: ok, limit: 1}]\n  metrics:",
		1,
	)
	d := newDesk(t, manifest)
	for range 4 {
		d.pass()
		d.now = d.now.Add(10 * time.Second)
	}
	if diff := cmp.Diff([]int{1, 1}, d.collected); diff != "" {
		t.Error(diff)
	}
}

// A verdict comes with what it is based on.
func TestVerdictsAreEvents(t *testing.T) {
	d := newDesk(t, run)
	recorder := record.NewFakeRecorder(10)
	d.Events, d.value = recorder, 2
	d.pass()
	d.pass()
	close(recorder.Events)
	var got []string
	for e := range recorder.Events {
		got = append(got, e)
	}
	want := []string{
		"Warning MetricFailed Metric 'ok' Completed. Result: Failed. failed (1) > failureLimit (0); " +
			"last value asked http://example/*****",
		"Warning AnalysisRunFailed Analysis Completed. Result: Failed. " +
			`Metric "ok" assessed Failed due to failed (1) > failureLimit (0)`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Dashboards of Argo Rollouts find what they look for.
func TestMetricsHaveTheNamesThatAreKnown(t *testing.T) {
	d := newDesk(t, run)
	d.pass()
	d.pass()
	state := State{Runs: d.Client, Owns: func(key string) bool { return key == "ns/run" }}
	want := `
# HELP analysis_run_info Information about analysis run.
# TYPE analysis_run_info gauge
analysis_run_info{name="run",namespace="ns",phase="Running"} 1
# HELP analysis_run_metric_type Information on the type of a specific metric in the Analysis Runs.
# TYPE analysis_run_metric_type gauge
analysis_run_metric_type{metric="ok",name="run",namespace="ns",type="web"} 1
`
	err := testutil.CollectAndCompare(state, strings.NewReader(want), "analysis_run_info", "analysis_run_metric_type")
	if err != nil {
		t.Error(err)
	}
	if n := testutil.CollectAndCount(state, "analysis_run_phase", "analysis_run_metric_phase"); n != 12 {
		t.Errorf("%d phases", n)
	}
	state.Owns = func(string) bool { return false }
	if n := testutil.CollectAndCount(state); n != 0 {
		t.Errorf("%d metrics of runs of others", n)
	}
	if n := testutil.CollectAndCount(d.took); n != 1 {
		t.Errorf("%d namespaces were timed", n)
	}
}

// A Secret that cannot be read now ends no measurement, and does not keep a run from ending.
func TestWhatGoesOnWaitsForItsSecret(t *testing.T) {
	d := newDesk(t, run)
	d.long = true
	d.pass()
	d.pass()
	gone := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "keys"}}
	if err := d.Client.Delete(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	d.now = d.now.Add(time.Minute)
	st, again := d.pass()
	if m := st.MetricResults[0].Measurements[0]; st.Phase != v1alpha1.AnalysisRunning || again != 10*time.Second ||
		!strings.Contains(m.Message, "no key token") || m.Metadata["id"] != "7" {
		t.Fatalf("%+v after %s", st, again)
	}
	u := object.New("AnalysisRun")
	if err := d.Client.Get(t.Context(), types.NamespacedName{Namespace: "ns", Name: "run"}, u); err != nil {
		t.Fatal(err)
	}
	if err := unstructured.SetNestedField(u.Object, true, "spec", "terminate"); err != nil {
		t.Fatal(err)
	}
	if err := d.Client.Update(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	if st, _ := d.pass(); st.Phase != v1alpha1.AnalysisInconclusive {
		t.Fatalf("%+v", st)
	}
	if diff := cmp.Diff([]string{"http://example/s3cr3t", "stop 1 of 7"}, d.asked); diff != "" {
		t.Error(diff)
	}
}
