package workflow

import (
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestAWorkflowLivesAsLongAsItsStrategySays(t *testing.T) {
	end := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := metav1.NewTime(end)
	for name, c := range map[string]struct {
		ttl     *v1alpha1.TTLStrategy
		phase   v1alpha1.WorkflowPhase
		left    time.Duration
		expires bool
	}{
		"none": {nil, v1alpha1.WorkflowSucceeded, 0, false},
		"completion": {&v1alpha1.TTLStrategy{SecondsAfterCompletion: new(int64(10))}, v1alpha1.WorkflowFailed,
			5 * time.Second, true},
		"success wins": {&v1alpha1.TTLStrategy{SecondsAfterCompletion: new(int64(99)),
			SecondsAfterSuccess: new(int64(6))}, v1alpha1.WorkflowSucceeded, time.Second, true},
		"failure wins": {&v1alpha1.TTLStrategy{SecondsAfterCompletion: new(int64(99)),
			SecondsAfterFailure: new(int64(0))}, v1alpha1.WorkflowError, 0, true},
		"only the other phase": {&v1alpha1.TTLStrategy{SecondsAfterFailure: new(int64(0))}, v1alpha1.WorkflowSucceeded,
			0,
			false},
	} {
		wf := &v1alpha1.Workflow{Spec: v1alpha1.WorkflowSpec{TTLStrategy: c.ttl},
			Status: v1alpha1.WorkflowStatus{Phase: c.phase, FinishedAt: &at}}
		left, expires := timeToLive(wf, end.Add(5*time.Second))
		if left != c.left || expires != c.expires {
			t.Errorf("%s: %s, %v", name, left, expires)
		}
	}
}

func TestWhichPodsMayGo(t *testing.T) {
	pod := func(phase corev1.PodPhase) *corev1.Pod { return &corev1.Pod{Status: corev1.PodStatus{Phase: phase}} }
	for _, c := range []struct {
		strategy string
		pod      corev1.PodPhase
		phase    v1alpha1.WorkflowPhase
		want     bool
	}{
		{onPodCompletion, corev1.PodFailed, v1alpha1.WorkflowRunning, true},
		{onPodCompletion, corev1.PodRunning, v1alpha1.WorkflowRunning, false},
		{onPodSuccess, corev1.PodFailed, v1alpha1.WorkflowRunning, false},
		{onPodSuccess, corev1.PodSucceeded, v1alpha1.WorkflowRunning, true},
		{onWorkflowCompletion, corev1.PodSucceeded, v1alpha1.WorkflowRunning, false},
		{onWorkflowCompletion, corev1.PodFailed, v1alpha1.WorkflowFailed, true},
		{onWorkflowSuccess, corev1.PodSucceeded, v1alpha1.WorkflowFailed, false},
		{onWorkflowSuccess, corev1.PodFailed, v1alpha1.WorkflowSucceeded, true},
		{"", corev1.PodSucceeded, v1alpha1.WorkflowSucceeded, false},
	} {
		if got := mayGo(c.strategy, pod(c.pod), c.phase); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func TestNodesAreSelectedByTheirFields(t *testing.T) {
	n := v1alpha1.NodeStatus{Name: "wf[0].a", DisplayName: "a", Phase: v1alpha1.NodeRunning}
	for text, want := range map[string]bool{"": true, "displayName=a": true, "displayName=b": false,
		"displayName=a,phase=Running": true, "displayName=a,phase=Failed": false} {
		pick, err := selector(text)
		if err != nil || pick(n) != want {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, bad := range []string{"a", "ghost=1"} {
		if _, err := selector(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
