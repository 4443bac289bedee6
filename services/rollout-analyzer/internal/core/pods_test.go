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
