package metric

import (
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
)

const smoke = `job: {metadata: {labels: {team: a}}, spec: {backoffLimit: 0, template: {spec: {restartPolicy: Never,
  containers: [{name: main, image: busybox, command: [sh, -c, exit 0]}]}}}}`

func jobRig(t *testing.T) (*Registry, client.WithWatch, Request) {
	t.Helper()
	c := fake.NewClientBuilder().Build()
	q := request(t, smoke)
	q.Run.Annotations = map[string]string{"argosy.dev/correlationid": "chain"}
	return New(withClock(Options{Objects: c, Live: c})), c, q
}

func TestJob(t *testing.T) {
	for _, c := range []struct {
		name string
		end  batchv1.JobConditionType
		want v1alpha1.AnalysisPhase
	}{
		{"complete", batchv1.JobComplete, v1alpha1.AnalysisSuccessful},
		{"failed", batchv1.JobFailed, v1alpha1.AnalysisFailed},
	} {
		registry, objects, q := jobRig(t)
		out, err := registry.Run(t.Context(), q)
		if err != nil || out.Phase != v1alpha1.AnalysisRunning || out.Metadata[jobName] != "u1.m.1" {
			t.Fatalf("%+v, %v", out, err)
		}
		// A process that ended before it wrote of its Job finds it again.
		if out, err = registry.Run(t.Context(), q); err != nil || out.Metadata[jobName] != "u1.m.1" {
			t.Fatalf("again: %+v, %v", out, err)
		}
		var made batchv1.Job
		if err := objects.Get(t.Context(), client.ObjectKey{Namespace: "ns", Name: "u1.m.1"}, &made); err != nil {
			t.Fatal(err)
		}
		if !metav1.IsControlledBy(&made, q.Run) || made.Labels["team"] != "a" || made.Labels[JobRunUID] != "u1" ||
			made.Annotations["argosy.dev/correlationid"] != "chain" {
			t.Errorf("made %+v", made.ObjectMeta)
		}
		m := v1alpha1.Measurement{
			Metadata: out.Metadata, StartedAt: new(metav1.NewTime(t0)),
			ResumeAt: new(metav1.NewTime(t0.Add(time.Second))),
		}
		q.Now = t0.Add(50 * time.Second)
		out, err = registry.Resume(t.Context(), q, m)
		if err != nil || out.Phase != v1alpha1.AnalysisRunning || !out.ResumeAt.Equal(t0.Add(60*time.Second)) {
			t.Errorf("at work: %+v, %v", out, err)
		}
		q.Now = t0 // woken before its time: nothing changes
		if out, err = registry.Resume(t.Context(), q, m); err != nil || !out.ResumeAt.Equal(m.ResumeAt.Time) {
			t.Errorf("woken: %+v, %v", out, err)
		}
		made.Status.Conditions = []batchv1.JobCondition{
			{Type: batchv1.JobFailureTarget, Status: corev1.ConditionTrue},
			{Type: c.end, Status: corev1.ConditionTrue, Reason: "BackoffLimitExceeded"},
		}
		if err := objects.Status().Update(t.Context(), &made); err != nil {
			if err = objects.Update(t.Context(), &made); err != nil {
				t.Fatal(err)
			}
		}
		if out, err = registry.Resume(t.Context(), q, m); err != nil || out.Phase != c.want {
			t.Errorf("%s: %+v, %v", c.name, out, err)
		}
	}
}

func TestAJobWhoseImageDoesNotComeIsInconclusive(t *testing.T) {
	registry, objects, q := jobRig(t)
	out, err := registry.Run(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "ns", Name: "p", Labels: map[string]string{batchv1.JobNameLabel: "u1.m.1"},
		},
		Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{
			Name:  "main",
			State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff"}},
		}}},
	}
	if err := objects.Create(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	m := v1alpha1.Measurement{Metadata: out.Metadata}
	for range 2 { // a pass that is repeated, since it could not be written down, says the same
		out, err = registry.Resume(t.Context(), q, m)
		if err != nil || out.Phase != v1alpha1.AnalysisInconclusive ||
			!strings.Contains(out.Message, "ImagePullBackOff") {
			t.Fatalf("%+v, %v", out, err)
		}
	}
	q.Run.Status.Phase = v1alpha1.AnalysisInconclusive
	if err := registry.Collect(t.Context(), q, 10); err != nil {
		t.Fatal(err)
	}
	var left batchv1.JobList
	if err := objects.List(t.Context(), &left); err != nil || len(left.Items) != 0 {
		t.Errorf("%d jobs are left, %v", len(left.Items), err)
	}
}

func TestAJobIsTerminated(t *testing.T) {
	registry, objects, q := jobRig(t)
	out, err := registry.Run(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	m := v1alpha1.Measurement{Metadata: out.Metadata}
	for range 2 { // the second time it is gone
		out, err = registry.Terminate(t.Context(), q, m)
		if err != nil || out.Phase != v1alpha1.AnalysisInconclusive {
			t.Fatalf("%+v, %v", out, err)
		}
	}
	var left batchv1.JobList
	if err := objects.List(t.Context(), &left); err != nil || len(left.Items) != 0 {
		t.Errorf("%d jobs are left, %v", len(left.Items), err)
	}
	_, err = registry.Resume(t.Context(), q, m)
	wantError(t, "gone", err, "u1.m.1 is gone")
}

func TestOldJobsAreCollected(t *testing.T) {
	registry, objects, q := jobRig(t)
	for n := range 12 {
		q.Number = n + 1
		if _, err := registry.Run(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	other := q
	other.Metric.Name, other.Number = "other", 1
	if _, err := registry.Run(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	if err := registry.Collect(t.Context(), q, 2); err != nil {
		t.Fatal(err)
	}
	var left batchv1.JobList
	if err := objects.List(t.Context(), &left); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, o := range left.Items {
		names = append(names, o.Name)
	}
	if got := strings.Join(names, " "); got != "u1.m.11 u1.m.12 u1.other.1" {
		t.Errorf("left %s", got)
	}
}

func TestNamesOfJobs(t *testing.T) {
	const uid = "01234567-89ab-cdef-0123-456789abcdef"
	seen := map[string]bool{}
	for _, metric := range []string{
		"short", "a-very-long-name-of-a-metric-indeed", "a-very-long-name-of-a-metric-in-deed",
		"Upper", "upper", "a_b", "a-b", "___",
	} {
		for _, n := range []int{1, 12345} {
			name := nameOfJob(uid, metric, n)
			if len(name) > maxJobName || len(validation.IsDNS1123Subdomain(name)) > 0 || seen[name] {
				t.Errorf("%s: %s", metric, name)
			}
			seen[name] = true
		}
	}
	if got := nameOfJob(uid, "short", 1); got != uid+".short.1" {
		t.Errorf("%s", got)
	}
}

func TestAJobOfAnotherIsNotTaken(t *testing.T) {
	registry, objects, q := jobRig(t)
	other := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "u1.m.1"}}
	if err := objects.Create(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	_, err := registry.Run(t.Context(), q)
	wantError(t, "another's", err, "belongs to another")
}
