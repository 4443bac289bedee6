package core

import (
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Metadata of a role that changes twice before pods caught up leaves nothing of the first change behind.
func TestPodsWearOnlyTheirRole(t *testing.T) {
	s := newSim(t)
	s.make(2, "", false)
	c := canaryOf(&s.w)
	c.StableMetadata = &v1alpha1.PodTemplateMetadata{Labels: map[string]string{"first": "1"}}
	s.settle(true)
	wear := func(key string) {
		s.w.Rollout = s.w.Rollout.DeepCopy()
		canaryOf(&s.w).StableMetadata = &v1alpha1.PodTemplateMetadata{Labels: map[string]string{key: "1"}}
	}
	wear("second")
	s.pass()
	// One of the pods is new and wears the second role already.
	rs := s.w.ReplicaSets[0]
	s.w.Pods[rs.Name][1].Labels = map[string]string{"app": "shop", HashLabel: rs.Labels[HashLabel], "second": "1"}
	wear("third")
	s.settle(true)
	for _, pod := range s.w.Pods[rs.Name] {
		if pod.Labels["first"]+pod.Labels["second"] != "" || pod.Labels["third"] != "1" {
			t.Errorf("%s wears %v", pod.Name, pod.Labels)
		}
	}
}

func TestAnInvalidRolloutIsNotHealthy(t *testing.T) {
	s := newSim(t)
	s.make(1, "", false)
	s.settle(true)
	s.w.Rollout = s.w.Rollout.DeepCopy()
	s.w.Rollout.Spec.Selector = &metav1.LabelSelector{}
	s.settle(true)
	for _, c := range s.w.Rollout.Status.Conditions {
		if c.Type == v1alpha1.RolloutHealthyCond && c.Status != "False" {
			t.Errorf("%+v", c)
		}
	}
}

// What a scaler is told: the stable pods beside a canary, all pods where the stable ones shrink as the canary grows,
// the active ones of blue-green. Another strategy leaves nothing of the one before in the status.
func TestWhatAScalerIsTold(t *testing.T) {
	s := newSim(t)
	s.shape("routed 4 setWeight 50; pause")
	s.settle(true)
	s.command("image v2")
	if got := s.w.Rollout.Status.HPAReplicas; got != 4 {
		t.Errorf("beside a canary %d", got)
	}
	canaryOf(&s.w).DynamicStableScale = true
	s.command("after 1s")
	if got := s.w.Rollout.Status; got.HPAReplicas != 4 || got.Replicas != 4 {
		t.Errorf("with a scale that follows the traffic %d of %d", got.HPAReplicas, got.Replicas)
	}
	s = newSim(t)
	s.shape("bluegreen 3\noption previewReplicaCount 1\noption autoPromotionEnabled false")
	s.settle(true)
	s.command("image v2")
	if got := s.w.Rollout.Status; got.HPAReplicas != 3 || got.Replicas != 4 || got.BlueGreen.ActiveSelector == "" {
		t.Errorf("of blue-green %+v", got)
	}
	s.command("canary setWeight 50; pause")
	if got := s.w.Rollout.Status.BlueGreen; got != (v1alpha1.BlueGreenStatus{}) {
		t.Errorf("left of blue-green: %+v", got)
	}
}
