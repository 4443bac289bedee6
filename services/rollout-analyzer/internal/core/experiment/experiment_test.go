package experiment

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// sim is a small cluster: it performs actions as the shell does and changes nothing by itself.
type sim struct {
	t       testing.TB
	w       World
	version int
	log     []string
	// lives says whether the process outlives the next action; nil means that it always does.
	lives func() bool
}

func newSim(t testing.TB, edit func(*v1alpha1.ExperimentSpec)) *sim {
	pod := corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "shop"}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{
			{
				Name:  "main",
				Image: "shop:v1",
				Ports: []corev1.ContainerPort{{ContainerPort: 80}, {Name: "more", ContainerPort: 81}},
			},
		}},
	}
	selector := &metav1.LabelSelector{MatchLabels: map[string]string{"app": "shop"}}
	ex := &v1alpha1.Experiment{
		ObjectMeta: metav1.ObjectMeta{Name: "trial", Namespace: "ns", UID: "u1"},
		Spec: v1alpha1.ExperimentSpec{
			Duration: "5m",
			Templates: []v1alpha1.TemplateSpec{
				{Name: "old", Selector: selector, Template: pod, Replicas: new(int32(2))},
				{Name: "new", Selector: selector, Template: pod, Service: &v1alpha1.TemplateService{}},
			},
			Analyses: []v1alpha1.ExperimentAnalysisTemplateRef{
				{Name: "rate", TemplateName: "rate", Args: []v1alpha1.Argument{
					{
						Name: "hash",
						Value: v1alpha1.AnyStringPtr(
							"{{templates.new.podTemplateHash}}/{{ templates.old.replicaset.name }}",
						),
					},
					{Name: "until", Value: v1alpha1.AnyStringPtr("{{experiment.finishedAt}}")},
					{Name: "secret", ValueFrom: &v1alpha1.ValueFromArgument{
						SecretKeyRef: &v1alpha1.AnalysisSecretKeyRef{Name: "s", Key: "k"},
					}},
				}},
			},
		},
	}
	if edit != nil {
		edit(&ex.Spec)
	}
	metric := v1alpha1.Metric{Name: "rate", Interval: "10s", SuccessCondition: "result[0] > 0.9",
		Provider: v1alpha1.MetricProvider{Prometheus: &v1alpha1.PrometheusMetric{Query: "up{{args.hash}}"}}}
	return &sim{t: t, w: World{
		Now: time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC), Experiment: ex,
		Templates: map[v1alpha1.AnalysisTemplateRef]v1alpha1.AnalysisTemplateSpec{{TemplateName: "rate"}: {
			Args: []v1alpha1.Argument{
				{Name: "hash"},
				{Name: "until"},
				{Name: "secret"},
			},
			Metrics: []v1alpha1.Metric{metric},
		}},
	}}
}

func (s *sim) say(format string, args ...any) { s.log = append(s.log, fmt.Sprintf(format, args...)) }

// settle decides until nothing is to be done; pods follow at once.
func (s *sim) settle() {
	for range 100 {
		acted := false
		for _, a := range Decide(s.w) {
			if s.lives != nil && !s.lives() {
				acted = true
				break
			}
			switch a.(type) {
			case WakeAt, RecordEvent:
			default:
				acted = true
			}
			s.perform(a)
		}
		for i, rs := range s.w.ReplicaSets {
			if rs.Status.AvailableReplicas != size(rs) && rs.Spec.Template.Spec.Containers[0].Image != "bad" {
				next := rs.DeepCopy()
				next.Status.Replicas, next.Status.AvailableReplicas = size(rs), size(rs)
				s.w.ReplicaSets[i], acted = next, true
			}
		}
		if !acted {
			return
		}
	}
	s.t.Fatalf("no rest:\n%s", strings.Join(s.log, "\n"))
}

func (s *sim) perform(a Action) {
	s.version++
	version := fmt.Sprint(s.version)
	switch a := a.(type) {
	case CreateReplicaSet:
		for _, rs := range s.w.ReplicaSets {
			if rs.Name == a.Object.Name {
				return
			}
		}
		rs := a.Object.DeepCopy()
		rs.ResourceVersion = version
		s.w.ReplicaSets = append(s.w.ReplicaSets, rs)
		s.say("create %s x%d", rs.Name, size(rs))
	case UpdateReplicaSet:
		for i, rs := range s.w.ReplicaSets {
			if rs.Name != a.Name {
				continue
			}
			next := rs.DeepCopy()
			next.ResourceVersion, next.Spec.Replicas = version, &a.Replicas
			next.Annotations[AnnotationDeadline] = a.Deadline
			s.w.ReplicaSets[i] = next
			s.say("size %s %d %s", a.Name, a.Replicas, a.Deadline)
		}
	case CreateService:
		s.w.Services = append(s.w.Services, a.Object)
		s.say("service %s of %d ports", a.Object.Name, len(a.Object.Spec.Ports))
	case DeleteService:
		s.w.Services = nil
		s.say("no service %s", a.Name)
	case CreateAnalysisRun:
		for _, run := range s.w.Runs {
			if run.Name == a.Object.Name {
				return
			}
		}
		s.w.Runs = append(s.w.Runs, a.Object)
		s.say("analyse %s", a.Object.Name)
	case EndAnalysisRun:
		for i, run := range s.w.Runs {
			next := run.DeepCopy()
			next.Spec.Terminate = true
			s.w.Runs[i] = next
		}
		s.say("end %s", a.Name)
	case PatchStatus:
		s.w.Experiment = s.w.Experiment.DeepCopy()
		s.w.Experiment.Status = a.Status
	case RecordEvent, WakeAt:
	default:
		s.t.Fatalf("the simulator does not know %T", a)
	}
}

func (s *sim) after(d time.Duration) *sim {
	s.w.Now = s.w.Now.Add(d)
	s.settle()
	return s
}

func (s *sim) verdict(phase v1alpha1.AnalysisPhase) *sim {
	for i, run := range s.w.Runs {
		next := run.DeepCopy()
		next.Status.Phase, next.Status.Message = phase, "said so"
		s.w.Runs[i] = next
	}
	s.settle()
	return s
}

func (s *sim) phase(want v1alpha1.AnalysisPhase, message string) {
	s.t.Helper()
	if st := s.w.Experiment.Status; st.Phase != want || st.Message != message {
		s.t.Errorf("%s %q, want %s %q\n%s", st.Phase, st.Message, want, message, strings.Join(s.log, "\n"))
	}
}

func TestAnExperimentRunsAndGoes(t *testing.T) {
	s := newSim(t, nil)
	s.settle()
	s.phase(v1alpha1.AnalysisRunning, "")
	args := map[string]string{}
	for _, a := range s.w.Runs[0].Spec.Args {
		if a.Value != nil {
			args[a.Name] = string(*a.Value)
		} else {
			args[a.Name] = a.ValueFrom.SecretKeyRef.Name
		}
	}
	hash := s.w.Experiment.Status.TemplateStatuses[1].PodTemplateHash
	want := map[string]string{"hash": hash + "/trial-old", "until": "2026-11-23T10:05:00Z", "secret": "s"}
	if diff := cmp.Diff(want, args); diff != "" {
		t.Error(diff)
	}
	if a, b := s.w.ReplicaSets[0].Labels, s.w.ReplicaSets[1].Labels; cmp.Equal(a, b) {
		t.Errorf("two templates that are the same have one hash: %v", a)
	}
	s.after(5 * time.Minute)
	s.phase(v1alpha1.AnalysisSuccessful, "")
	s.after(30 * time.Second)
	got := s.log
	wantLog := []string{
		"create trial-old x2",
		"create trial-new x1",
		"service trial-new of 2 ports",
		"analyse trial-rate",
		"end trial-rate",
		"size trial-old 2 2026-11-23T10:05:30Z",
		"size trial-new 1 2026-11-23T10:05:30Z",
		"size trial-old 0 ",
		"size trial-new 0 ",
		"no service trial-new",
	}
	if diff := cmp.Diff(wantLog, got); diff != "" {
		t.Error(diff)
	}
}

func say(phase v1alpha1.AnalysisPhase) func(*sim) { return func(s *sim) { s.verdict(phase) } }

func TestHowExperimentsEnd(t *testing.T) {
	required := func(s *v1alpha1.ExperimentSpec) { s.Duration, s.Analyses[0].RequiredForCompletion = "", true }
	for name, c := range map[string]struct {
		edit  func(*v1alpha1.ExperimentSpec)
		play  func(*sim)
		phase v1alpha1.AnalysisPhase
		said  string
	}{
		"a failed analysis":     {nil, say(v1alpha1.AnalysisFailed), v1alpha1.AnalysisFailed, "said so"},
		"an analysis in error":  {nil, say(v1alpha1.AnalysisError), v1alpha1.AnalysisError, "said so"},
		"an inconclusive one":   {nil, say(v1alpha1.AnalysisInconclusive), v1alpha1.AnalysisInconclusive, "said so"},
		"a content one goes on": {nil, say(v1alpha1.AnalysisSuccessful), v1alpha1.AnalysisRunning, ""},
		"a required one is enough": {
			required, say(v1alpha1.AnalysisSuccessful), v1alpha1.AnalysisSuccessful, "",
		},
		"without an end it goes on": {
			func(s *v1alpha1.ExperimentSpec) { s.Duration = "" },
			func(s *sim) { s.after(24 * time.Hour) }, v1alpha1.AnalysisRunning, "",
		},
		"a required one is waited for": {
			func(s *v1alpha1.ExperimentSpec) { s.Analyses[0].RequiredForCompletion = true },
			func(s *sim) { s.after(time.Hour) }, v1alpha1.AnalysisRunning, "",
		},
		"terminated": {
			nil, func(s *sim) { s.w.Experiment.Spec.Terminate = true; s.settle() },
			v1alpha1.AnalysisSuccessful, "Experiment was terminated",
		},
		"pods that never come": {
			func(s *v1alpha1.ExperimentSpec) { s.Templates[0].Template.Spec.Containers[0].Image = "bad" },
			func(s *sim) { s.after(10 * time.Minute) }, v1alpha1.AnalysisFailed,
			`Template "old" exceeded its progressDeadlineSeconds (600)`,
		},
		"pods that go away": {
			nil, func(s *sim) {
				rs := s.w.ReplicaSets[0].DeepCopy()
				rs.Status.AvailableReplicas, rs.Spec.Template.Spec.Containers[0].Image = 1, "bad"
				s.w.ReplicaSets[0] = rs
				s.settle()
				s.w.Experiment.Spec.Duration = "1h"
				s.after(10 * time.Minute)
			}, v1alpha1.AnalysisFailed, `Template "old" exceeded its progressDeadlineSeconds (600)`,
		},
		"no such template": {
			func(s *v1alpha1.ExperimentSpec) { s.Analyses[0].TemplateName = "gone" }, func(*sim) {},
			v1alpha1.AnalysisError, `spec.analyses[0]: template "gone" is not there`,
		},
		"an argument of no template": {
			func(s *v1alpha1.ExperimentSpec) {
				s.Analyses[0].Args[0].Value = v1alpha1.AnyStringPtr("{{templates.gone.podTemplateHash}}")
			}, func(*sim) {}, v1alpha1.AnalysisError,
			`argument hash: "{{templates.gone.podTemplateHash}}" names no template of the experiment`,
		},
		"a service without a port": {
			func(s *v1alpha1.ExperimentSpec) {
				s.Templates[1].Template.Spec.Containers = []corev1.Container{{}}
			}, func(*sim) {}, v1alpha1.AnalysisError,
			"spec.templates[1].service: needs a port of a container (ports of the template), and there is none",
		},
		"labels beside the selector": {
			func(s *v1alpha1.ExperimentSpec) { s.Templates[0].Template.Labels = nil }, func(*sim) {},
			v1alpha1.AnalysisError, "spec.templates[0].template.metadata.labels: must match the selector",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSim(t, c.edit)
			s.settle()
			c.play(s)
			s.phase(c.phase, c.said)
		})
	}
}

// TestCrashAnywhereEndsTheSame: a process that dies after any action gets to where one that lives gets.
func TestCrashAnywhereEndsTheSame(t *testing.T) {
	for seed := range uint64(40) {
		alive, dying := newSim(t, nil), newSim(t, nil)
		crash := rand.New(rand.NewPCG(seed, 5))
		dying.lives = func() bool { return crash.IntN(3) > 0 }
		for _, s := range []*sim{alive, dying} {
			s.settle()
			s.after(time.Minute)
			s.verdict(v1alpha1.AnalysisFailed)
			s.after(time.Minute)
		}
		a, d := alive.w.Experiment.Status, dying.w.Experiment.Status
		if diff := cmp.Diff(a, d); diff != "" {
			t.Fatalf("seed %d: %s", seed, diff)
		}
		if len(alive.w.Runs) != len(dying.w.Runs) || len(dying.w.Services) != 0 {
			t.Fatalf("seed %d: %d runs, %d services", seed, len(dying.w.Runs), len(dying.w.Services))
		}
	}
}
