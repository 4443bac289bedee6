package core

import (
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core/traffic"
	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/router"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func TestInvalidRolloutsAreMarkedAndLeftAlone(t *testing.T) {
	for want, breakIt := range map[string]func(*World){
		"spec.strategy: one of canary": func(w *World) { w.Rollout.Spec.Strategy.Canary = nil },
		"spec.strategy: exactly one": func(w *World) {
			w.Rollout.Spec.Strategy.BlueGreen = &v1alpha1.BlueGreenStrategy{}
		},
		"spec.strategy.blueGreen.activeService: must not be empty": func(w *World) {
			w.Rollout.Spec.Strategy = v1alpha1.RolloutStrategy{BlueGreen: &v1alpha1.BlueGreenStrategy{}}
		},
		`spec.strategy.blueGreen.previewService: must not be the activeService "stable"`: func(w *World) {
			w.Rollout.Spec.Strategy = v1alpha1.RolloutStrategy{
				BlueGreen: &v1alpha1.BlueGreenStrategy{ActiveService: "stable", PreviewService: "stable"},
			}
		},
		`workloadRef: Deployment "old" is not there`: func(w *World) {
			w.Rollout.Spec.WorkloadRef = &v1alpha1.ObjectRef{Kind: "Deployment", Name: "old"}
		},
		"template must be empty": func(w *World) {
			w.Rollout.Spec.WorkloadRef = &v1alpha1.ObjectRef{Kind: "Deployment", Name: "old"}
			w.Workload = &Workload{Inline: true}
		},
		`scaleDown: "soon"`: func(w *World) {
			w.Rollout.Spec.WorkloadRef = &v1alpha1.ObjectRef{Kind: "Deployment", Name: "old", ScaleDown: "soon"}
		},
		"spec.selector: must not be empty": func(w *World) { w.Rollout.Spec.Selector = nil },
		"spec.template.metadata.labels": func(w *World) {
			w.Rollout.Spec.Template.Labels = map[string]string{"app": "other"}
		},
		"spec.template.spec.containers": func(w *World) { w.Rollout.Spec.Template.Spec.Containers = nil },
		"spec.replicas: must not be":    func(w *World) { w.Rollout.Spec.Replicas = new(int32(-1)) },
		"spec.minReadySeconds":          func(w *World) { w.Rollout.Spec.MinReadySeconds = 600 },
		"spec.workloadRef.kind":         func(w *World) { w.Rollout.Spec.WorkloadRef = &v1alpha1.ObjectRef{} },
		"maxSurge and maxUnavailable must not": func(w *World) {
			c := canaryOf(w)
			c.MaxSurge, c.MaxUnavailable = new(intstr.FromInt32(0)), new(intstr.FromString("0%"))
		},
		`maxSurge: "lots"`: func(w *World) {
			canaryOf(w).MaxSurge = new(intstr.FromString("lots"))
		},
		"steps[0]: exactly one kind": func(w *World) {
			canaryOf(w).Steps[0].Pause = &v1alpha1.RolloutPause{}
		},
		"steps[0].setWeight: must be between": func(w *World) { canaryOf(w).Steps[0].SetWeight = new(int32(101)) },
		`steps[1].pause.duration: "soon"`: func(w *World) {
			canaryOf(w).Steps[1].Pause.Duration = new(intstr.FromString("soon"))
		},
		"steps[2].plugin: step plugins": func(w *World) {
			canaryOf(w).Steps[2] = v1alpha1.CanaryStep{Plugin: &v1alpha1.PluginStep{}}
		},
		`AnalysisTemplate "rate" is not there`:   func(w *World) { w.Templates = nil },
		`canaryService: service "canary" is not`: func(w *World) { delete(w.Services, "canary") },
		"managed by another Rollout: other": func(w *World) {
			w.Services["stable"].Annotations = map[string]string{AnnotationManagedBy: "other"}
		},
		"selects app=web": func(w *World) { w.Services["stable"].Spec.Selector["app"] = "web" },
		"selects no pods": func(w *World) {
			w.Services["stable"].Spec.Type = corev1.ServiceTypeExternalName
		},
		"HTTPRoute ns/web is not there": func(w *World) { w.Routes[0].(*simRoute).seen.Missing = true },
		"web has no rule":               func(w *World) { w.Routes[0].(*simRoute).seen.Problem = "has no rule" },
		"needs two different services":  func(w *World) { canaryOf(w).CanaryService = "stable" },
		"trafficRouting.istio": func(w *World) {
			canaryOf(w).TrafficRouting.Istio = &v1alpha1.IstioTrafficRouting{}
		},
		"no router is named": func(w *World) { canaryOf(w).TrafficRouting.Plugins = nil },
		"names no HTTPRoute": func(w *World) {
			canaryOf(w).TrafficRouting.Plugins[gatewayPlugin] = jsonText(`{}`)
		},
		"plugins.acme/router": func(w *World) {
			canaryOf(w).TrafficRouting.Plugins["acme/router"] = jsonText(`{}`)
		},
		"spec.x: cannot be read": func(w *World) {
			w.Unreadable = []Problem{{"spec.x", "cannot be read"}}
		},
	} {
		s := newSim(t)
		s.make(4, "setWeight 25; pause 10s; analysis rate", true)
		s.settle(true)
		s.image("v2")
		breakIt(&s.w)
		s.w.Routing = router.Read(s.w.Rollout)
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
	canaryOf(&s.w).Steps[0].SetWeight = new(int32(200))
	s.settle(true)
	if got := s.w.Rollout.Status.Phase; got != v1alpha1.RolloutDegraded {
		t.Fatalf("accepted: %s", got)
	}
	canaryOf(&s.w).Steps[0].SetWeight = new(int32(50))
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
	pod.RestartPolicy, pod.DNSPolicy, pod.SchedulerName = "Always", "ClusterFirst", "default-scheduler"
	pod.TerminationGracePeriodSeconds = new(int64(30))
	pod.SecurityContext = &corev1.PodSecurityContext{}
	c := &pod.Containers[0]
	c.TerminationMessagePath, c.TerminationMessagePolicy = "/dev/termination-log", "File"
	c.ImagePullPolicy = "IfNotPresent"
	s.w.ReplicaSets[0] = rs
	s.w.Rollout.Status = v1alpha1.RolloutStatus{
		StableRS: "foreign", CurrentPodHash: "foreign", CurrentStepHash: s.w.Rollout.Status.CurrentStepHash,
	}
	s.settle(true)
	if len(s.w.ReplicaSets) != 1 || s.w.Rollout.Status.StableRS != "foreign" ||
		s.w.Rollout.Status.Phase != v1alpha1.RolloutHealthy {
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
	s.w.Rollout.Spec.RevisionHistoryLimit = new(int32(2))
	for i := range 6 {
		s.image("v" + itoa(i))
		s.settle(true)
	}
	if len(s.w.ReplicaSets) != 3 {
		t.Fatalf("kept %s", s.show())
	}
}

func TestASilentSizeIsWrittenDown(t *testing.T) {
	s := newSim(t)
	s.make(1, "", false)
	s.w.Rollout.Spec.Replicas = nil
	s.settle(true)
	if got := s.w.Rollout.Spec.Replicas; got == nil || *got != 1 {
		t.Fatalf("got %v", got)
	}
}

func TestReplicaSetsCarryTheirCauses(t *testing.T) {
	s := newSim(t)
	s.make(1, "", false)
	s.w.Rollout.Annotations["kubectl.kubernetes.io/last-applied-configuration"] = "{}"
	s.settle(true)
	rs := s.w.ReplicaSets[0]
	want := map[string]string{
		"argosy.dev/correlationid": "chain",
		"argosy.dev/key":           rs.Name,
		AnnotationRevision:         "1",
		AnnotationDesired:          "1",
	}
	if diff := cmp.Diff(want, rs.Annotations); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
	if !metav1.IsControlledBy(rs, s.w.Rollout) || rs.Spec.Selector.MatchLabels[HashLabel] != rs.Labels[HashLabel] ||
		rs.Spec.Template.Labels[HashLabel] != rs.Labels[HashLabel] {
		t.Errorf("%+v", rs.ObjectMeta)
	}
	s.w.Rollout = s.w.Rollout.DeepCopy()
	s.w.Rollout.Annotations["argosy.dev/correlationid"] = "other"
	s.settle(true)
	if got := s.w.ReplicaSets[0].Annotations["argosy.dev/correlationid"]; got != "chain" {
		t.Errorf("a stable ReplicaSet was given another cause: %s", got)
	}
}

func TestWhatHasNoEffectIsSaidOnce(t *testing.T) {
	s := newSim(t)
	s.make(1, "analysis rate", false)
	s.w.Warnings = []string{"spec.strategy.canary.maxsurge: unknown field"}
	said := map[string]int{}
	for range 8 {
		for _, a := range Decide(s.w) {
			if e, ok := a.(RecordEvent); ok && e.Reason == ReasonNoEffect {
				said[e.Message]++
			}
			s.perform(a)
		}
		s.follow("")
	}
	want := map[string]int{
		"spec.strategy.canary.maxsurge: unknown field": 1,
		`metric "rate" has an interval and no count: where steps wait for it, it is measured 1 times ` +
			"(failureLimit + 1); set count to say how often": 1,
	}
	if diff := cmp.Diff(want, said); diff != "" {
		t.Error(diff)
	}
}

func TestKeysTellActionsApart(t *testing.T) {
	seen := map[string]Action{}
	for _, a := range []Action{
		CreateReplicaSet{Object: set("a", 1, 1)}, CreateReplicaSet{Object: set("b", 1, 1)},
		UpdateReplicaSet{Name: "a", Version: "1"}, UpdateReplicaSet{Name: "a", Version: "2"},
		DeleteReplicaSet{Name: "a", Version: "1"},
		SwitchService{Service: "s", Hash: "x"}, SwitchService{Service: "s", Hash: "y"},
		SetWeight{Route: traffic.Ref{Namespace: "n", Name: "r"}, Split: traffic.Split{CanaryWeight: 1}},
		SetWeight{Route: traffic.Ref{Namespace: "n", Name: "r"}, Split: traffic.Split{CanaryWeight: 2}},
		CreateAnalysisRun{Object: &v1alpha1.AnalysisRun{ObjectMeta: metav1.ObjectMeta{Name: "r"}}},
		RetireAnalysisRun{Name: "r"}, DeleteAnalysisRun{Name: "r"},
		PatchRollout{Revision: "1"}, PublishFact{ID: "f"}, PatchStatus{}, RecordEvent{Reason: "a"}, WakeAt{At: start},
	} {
		if twin, is := seen[a.Key()]; is {
			t.Errorf("%+v and %+v have the key %s", a, twin, a.Key())
		}
		seen[a.Key()] = a
	}
}

// Only waiting for a person counts as a manual pause.
func TestManualPausesAreAddedUp(t *testing.T) {
	s := newSim(t)
	s.make(2, "setWeight 50; pause; pause 60s", false)
	s.settle(true)
	s.image("v2")
	s.settle(true)
	s.w.Now = s.w.Now.Add(90 * time.Second)
	s.command("promote")
	s.command("after 60s")
	d := s.w.Rollout.Status.Duration
	if d.ManualPauseStartedAt != nil || d.TotalManualPauseDurationSeconds != 90 ||
		d.CompletionStatus != completedPromoted {
		t.Errorf("%+v", d)
	}
}
