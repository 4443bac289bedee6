package core

import (
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func TestInvalidRolloutsAreMarkedAndLeftAlone(t *testing.T) {
	for want, breakIt := range map[string]func(*World){
		"spec.strategy: one of canary": func(w *World) { w.Rollout.Spec.Strategy.Canary = nil },
		"spec.strategy: exactly one":   func(w *World) { w.Rollout.Spec.Strategy.BlueGreen = &v1alpha1.BlueGreenStrategy{} },
		"spec.strategy.blueGreen": func(w *World) {
			w.Rollout.Spec.Strategy = v1alpha1.RolloutStrategy{BlueGreen: &v1alpha1.BlueGreenStrategy{}}
		},
		"spec.selector: must not be empty": func(w *World) { w.Rollout.Spec.Selector = nil },
		"spec.template.metadata.labels":    func(w *World) { w.Rollout.Spec.Template.Labels = map[string]string{"app": "other"} },
		"spec.template.spec.containers":    func(w *World) { w.Rollout.Spec.Template.Spec.Containers = nil },
		"spec.replicas: must not be":       func(w *World) { w.Rollout.Spec.Replicas = ptr(int32(-1)) },
		"spec.minReadySeconds":             func(w *World) { w.Rollout.Spec.MinReadySeconds = 600 },
		"spec.workloadRef":                 func(w *World) { w.Rollout.Spec.WorkloadRef = &v1alpha1.ObjectRef{} },
		"maxSurge and maxUnavailable must not": func(w *World) {
			c := canaryOf(w)
			c.MaxSurge, c.MaxUnavailable = ptr(intstr.FromInt32(0)), ptr(intstr.FromString("0%"))
		},
		`maxSurge: "lots"`:                       func(w *World) { canaryOf(w).MaxSurge = ptr(intstr.FromString("lots")) },
		"steps[0]: exactly one kind":             func(w *World) { canaryOf(w).Steps[0].Pause = &v1alpha1.RolloutPause{} },
		"steps[0].setWeight: must be between":    func(w *World) { canaryOf(w).Steps[0].SetWeight = ptr(int32(101)) },
		`steps[1].pause.duration: "soon"`:        func(w *World) { canaryOf(w).Steps[1].Pause.Duration = ptr(intstr.FromString("soon")) },
		"steps[2]: experiment":                   func(w *World) { canaryOf(w).Steps[2] = v1alpha1.CanaryStep{Plugin: &v1alpha1.PluginStep{}} },
		`AnalysisTemplate "rate" is not there`:   func(w *World) { w.Templates = nil },
		`canaryService: service "canary" is not`: func(w *World) { delete(w.Services, "canary") },
		"managed by another Rollout: other":      func(w *World) { w.Services["stable"].Annotations = map[string]string{AnnotationManagedBy: "other"} },
		"selects app=web":                        func(w *World) { w.Services["stable"].Spec.Selector["app"] = "web" },
		"selects no pods":                        func(w *World) { w.Services["stable"].Spec.Type = corev1.ServiceTypeExternalName },
		"HTTPRoute ns/web is not there":          func(w *World) { w.Routes[0].Missing = true },
		"has no rule with both":                  func(w *World) { w.Routes[0].Paired = false },
		"needs two different services":           func(w *World) { canaryOf(w).CanaryService = "stable" },
		"trafficRouting.istio":                   func(w *World) { canaryOf(w).TrafficRouting.Istio = &v1alpha1.IstioTrafficRouting{} },
		"no router is named":                     func(w *World) { canaryOf(w).TrafficRouting.Plugins = nil },
		"names no HTTPRoute":                     func(w *World) { canaryOf(w).TrafficRouting.Plugins[GatewayPlugin] = jsonText(`{}`) },
		"plugins.acme/router":                    func(w *World) { canaryOf(w).TrafficRouting.Plugins["acme/router"] = jsonText(`{}`) },
		"spec.x: cannot be read":                 func(w *World) { w.Unreadable = []Problem{{"spec.x", "cannot be read"}} },
	} {
		s := newSim(t)
		s.make(4, "setWeight 25; pause 10s; analysis rate", true)
		s.settle(true)
		s.image("v2")
		breakIt(&s.w)
		actions := Decide(s.w)
		status := v1alpha1.RolloutStatus{}
		for _, a := range actions {
			switch a := a.(type) {
			case PatchStatus:
				status = a.Status
			case RecordEvent, WakeAt:
			default:
				t.Errorf("%s: touched the cluster: %s", want, a.Key())
			}
		}
		if status.Phase != v1alpha1.RolloutDegraded || !strings.Contains(status.Message, want) {
			t.Errorf("want %q, got %s %q", want, status.Phase, status.Message)
		}
		s.perform(PatchStatus{Status: status})
		for _, a := range Decide(s.w) {
			if _, idle := a.(WakeAt); !idle {
				t.Errorf("%s: said twice: %s", want, a.Key())
			}
		}
	}
}

func canaryOf(w *World) *v1alpha1.CanaryStrategy { return w.Rollout.Spec.Strategy.Canary }

func TestMendedRolloutGoesOn(t *testing.T) {
	s := newSim(t)
	s.make(2, "setWeight 50; pause", false)
	canaryOf(&s.w).Steps[0].SetWeight = ptr(int32(200))
	s.settle(true)
	if got := s.w.Rollout.Status.Phase; got != v1alpha1.RolloutDegraded {
		t.Fatalf("accepted: %s", got)
	}
	canaryOf(&s.w).Steps[0].SetWeight = ptr(int32(50))
	s.settle(true)
	if got := s.w.Rollout.Status; got.Phase != v1alpha1.RolloutHealthy || len(got.Conditions) == 0 {
		t.Fatalf("%s %q", got.Phase, got.Message)
	}
}

func TestDeletedRolloutIsLeftAlone(t *testing.T) {
	s := newSim(t)
	s.make(2, "", false)
	s.w.Rollout.DeletionTimestamp = &metav1.Time{Time: start}
	if got := Decide(s.w); got != nil {
		t.Errorf("got %v", got)
	}
}

func TestAdoptsWhatAnotherControllerMade(t *testing.T) {
	s := newSim(t)
	s.make(2, "", false)
	s.settle(true)
	rs := s.w.ReplicaSets[0].DeepCopy()
	rs.Name, rs.Labels = "shop-foreign", map[string]string{HashLabel: "foreign"}
	rs.Spec.Template.Labels[HashLabel] = "foreign"
	// What an API server fills in.
	pod := &rs.Spec.Template.Spec
	pod.RestartPolicy, pod.DNSPolicy, pod.SchedulerName, pod.TerminationGracePeriodSeconds = "Always", "ClusterFirst", "default-scheduler", ptr(int64(30))
	pod.SecurityContext = &corev1.PodSecurityContext{}
	pod.Containers[0].TerminationMessagePath, pod.Containers[0].TerminationMessagePolicy, pod.Containers[0].ImagePullPolicy = "/dev/termination-log", "File", "IfNotPresent"
	s.w.ReplicaSets[0] = rs
	s.w.Rollout.Status = v1alpha1.RolloutStatus{StableRS: "foreign", CurrentPodHash: "foreign", CurrentStepHash: s.w.Rollout.Status.CurrentStepHash}
	s.settle(true)
	if len(s.w.ReplicaSets) != 1 || s.w.Rollout.Status.StableRS != "foreign" || s.w.Rollout.Status.Phase != v1alpha1.RolloutHealthy {
		t.Fatalf("deployed anew: %s", s.show())
	}
	s.image("v2")
	s.settle(true)
	if len(s.w.ReplicaSets) != 2 {
		t.Fatalf("a new image was taken for the old one: %s", s.show())
	}
}

func TestTwoTemplatesOfOneNameGetTwoNames(t *testing.T) {
	s := newSim(t)
	s.make(1, "", false)
	s.settle(true)
	rs := s.w.ReplicaSets[0].DeepCopy()
	rs.Labels, rs.Spec.Template.Spec.Containers[0].Image = map[string]string{HashLabel: "x"}, "shop:other"
	s.w.ReplicaSets[0] = rs
	s.settle(true)
	if len(s.w.ReplicaSets) != 2 || *s.w.Rollout.Status.CollisionCount != 1 {
		t.Fatalf("%s", s.show())
	}
}

func TestHistoryIsBounded(t *testing.T) {
	s := newSim(t)
	s.make(1, "", false)
	s.w.Rollout.Spec.RevisionHistoryLimit = ptr(int32(2))
	for i := range 6 {
		s.image("v" + itoa(i))
		s.settle(true)
	}
	if len(s.w.ReplicaSets) != 3 {
		t.Fatalf("kept %s", s.show())
	}
}
