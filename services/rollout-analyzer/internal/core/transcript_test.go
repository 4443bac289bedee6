package core

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core/traffic"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

type jsonText = json.RawMessage

var update = flag.Bool("update", false, "rewrite the transcripts")

// TestTranscripts plays every script of testdata. A script is a list of commands, each followed by what happened;
// read one to learn the commands. Run with -update after a wanted change and review the difference.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(text))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(text), got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// play repeats the commands of a transcript and returns it as it would be now.
func play(t *testing.T, text string) string {
	s := newSim(t)
	var out strings.Builder
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "#") || line == "":
			out.WriteString(line + "\n")
		case strings.HasPrefix(line, "> "):
			out.WriteString(line + "\n")
			s.log = nil
			s.command(strings.TrimPrefix(line, "> "))
			for _, l := range s.log {
				out.WriteString(l + "\n")
			}
			out.WriteString("  = " + s.show() + "\n")
		}
	}
	return out.String()
}

func (s *sim) command(line string) {
	name, rest, _ := strings.Cut(line, " ")
	ro := s.w.Rollout
	if ro != nil {
		ro = ro.DeepCopy()
		s.w.Rollout = ro
	}
	switch name {
	case "rollout", "routed":
		n, steps, _ := strings.Cut(rest, " ")
		s.make(number(s.t, n), steps, name == "routed")
		return
	case "bluegreen":
		s.makeBlueGreen(number(s.t, rest))
		return
	case "canary":
		ro.Spec.Strategy = v1alpha1.RolloutStrategy{Canary: &v1alpha1.CanaryStrategy{Steps: parseSteps(s.t, rest)}}
	case "workload":
		s.workload(rest)
	case "restart":
		ro.Spec.RestartAt = &metav1.Time{Time: s.w.Now}
	case "option":
		s.option(rest)
		return
	case "image":
		s.image(rest)
	case "steps":
		ro.Spec.Strategy.Canary.Steps = parseSteps(s.t, rest)
	case "scale":
		ro.Spec.Replicas = new(number(s.t, rest))
	case "promote":
		ro.Status.PauseConditions = nil
	case "promote-full":
		ro.Status.PromoteFull, ro.Status.PauseConditions = true, nil
	case "abort":
		ro.Status.Abort = true
	case "retry":
		ro.Status.Abort = false
	case "pause", "unpause":
		ro.Spec.Paused = name == "pause"
	case "verdict":
		s.finishRuns(v1alpha1.AnalysisPhase(rest))
	case "experiment":
		s.stage(v1alpha1.AnalysisPhase(rest))
	case "vanish", "appear":
		s.available(rest, name == "appear")
		return
	case "drift":
		w := number(s.t, rest)
		s.w.Routes[0] = s.w.Routes[0].(*simRoute).say(
			traffic.Split{Canary: "canary", Stable: "stable", CanaryWeight: w, Total: 100},
		)
	case "after":
		d, err := time.ParseDuration(rest)
		if err != nil {
			s.t.Fatal(err)
		}
		s.w.Now = s.w.Now.Add(d)
	default:
		s.t.Fatalf("no such command: %s", line)
	}
	s.settle(!s.stuck())
}

func role(name string) *v1alpha1.PodTemplateMetadata {
	return &v1alpha1.PodTemplateMetadata{Labels: map[string]string{"role": name}}
}

func (s *sim) optionBlueGreen(b *v1alpha1.BlueGreenStrategy, key, value string) {
	analysis := &v1alpha1.RolloutAnalysis{Templates: []v1alpha1.AnalysisTemplateRef{{TemplateName: value}}}
	switch key {
	case "autoPromotionEnabled":
		b.AutoPromotionEnabled = new(value == "true")
	case "autoPromotionSeconds":
		b.AutoPromotionSeconds = number(s.t, value)
	case "previewReplicaCount":
		b.PreviewReplicaCount = new(number(s.t, value))
	case "scaleDownDelaySeconds":
		b.ScaleDownDelaySeconds = new(number(s.t, value))
	case "scaleDownDelayRevisionLimit":
		b.ScaleDownDelayRevisionLimit = new(number(s.t, value))
	case "abortScaleDownDelaySeconds":
		b.AbortScaleDownDelaySeconds = new(number(s.t, value))
	case "pre":
		b.PrePromotionAnalysis = analysis
	case "post":
		b.PostPromotionAnalysis = analysis
	case "metadata":
		fresh, settled, _ := strings.Cut(value, " ")
		b.PreviewMetadata, b.ActiveMetadata = role(fresh), role(settled)
	case "progressDeadlineAbort":
		s.w.Rollout.Spec.ProgressDeadlineAbort = value == "true"
	case "progressDeadlineSeconds":
		s.w.Rollout.Spec.ProgressDeadlineSeconds = new(number(s.t, value))
	case "rollbackWindow":
		s.w.Rollout.Spec.RollbackWindow = &v1alpha1.RollbackWindowSpec{Revisions: number(s.t, value)}
	default:
		s.t.Fatalf("no such option: %s", key)
	}
}

// workload makes the Rollout use the template of a Deployment with the given size.
func (s *sim) workload(text string) {
	how, n, _ := strings.Cut(text, " ")
	s.w.Rollout.Spec.WorkloadRef = &v1alpha1.ObjectRef{
		ApiVersion: "apps/v1", Kind: "Deployment", Name: "old", ScaleDown: how,
	}
	s.w.Workload = &Workload{Kind: "Deployment", Name: "old", Generation: 1, Replicas: number(s.t, n)}
}

// available takes the pods of a template away, or brings them back; the other pods stay as they are.
func (s *sim) available(letter string, back bool) {
	for _, rs := range s.w.ReplicaSets {
		if s.short(rs.Labels[HashLabel]) != letter {
			continue
		}
		s.follow(rs.Name)
		if !back {
			rs.Status.AvailableReplicas = 0
		}
		s.bump(&rs.ObjectMeta)
	}
	s.settle(false)
	if back {
		s.settle(!s.stuck())
	}
}

// stuck says that new pods never become available: the image says so.
func (s *sim) stuck() bool {
	return strings.HasSuffix(s.w.Rollout.Spec.Template.Spec.Containers[0].Image, "-bad")
}

func (s *sim) option(text string) {
	key, value, _ := strings.Cut(text, " ")
	if b := s.w.Rollout.Spec.Strategy.BlueGreen; b != nil {
		s.optionBlueGreen(b, key, value)
		return
	}
	c := s.w.Rollout.Spec.Strategy.Canary
	v := intstr.Parse(value)
	switch key {
	case "rollbackWindow":
		s.w.Rollout.Spec.RollbackWindow = &v1alpha1.RollbackWindowSpec{Revisions: number(s.t, value)}
	case "metadata":
		fresh, settled, _ := strings.Cut(value, " ")
		c.CanaryMetadata, c.StableMetadata = role(fresh), role(settled)
	case "dynamicStableScale":
		c.DynamicStableScale = true
	case "managedRoutes":
		for name := range strings.FieldsSeq(value) {
			c.TrafficRouting.ManagedRoutes = append(c.TrafficRouting.ManagedRoutes, v1alpha1.MangedRoute{Name: name})
		}
	case "pingPong":
		c.CanaryService, c.StableService = "", ""
		c.PingPong = &v1alpha1.PingPongSpec{PingService: "ping", PongService: "pong"}
		s.w.Services = map[string]*corev1.Service{}
		for _, name := range []string{"ping", "pong"} {
			s.w.Services[name] = &corev1.Service{
				ObjectMeta: metav1.ObjectMeta{Name: name},
				Spec:       corev1.ServiceSpec{Selector: map[string]string{"app": "shop"}},
			}
		}
		s.w.Routes[0] = s.w.Routes[0].(*simRoute).say(traffic.Split{Canary: "pong", Stable: "ping", Total: 100})
	case "antiAffinity":
		c.AntiAffinity = &v1alpha1.AntiAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: &v1alpha1.RequiredDuringSchedulingIgnoredDuringExecution{},
		}
	case "maxSurge":
		c.MaxSurge = &v
	case "maxUnavailable":
		c.MaxUnavailable = &v
	case "scaleDownDelaySeconds":
		c.ScaleDownDelaySeconds = new(number(s.t, value))
	case "scaleDownDelayRevisionLimit":
		c.ScaleDownDelayRevisionLimit = new(number(s.t, value))
	case "abortScaleDownDelaySeconds":
		c.AbortScaleDownDelaySeconds = new(number(s.t, value))
	case "progressDeadlineAbort":
		s.w.Rollout.Spec.ProgressDeadlineAbort = true
	case "background":
		c.Analysis = &v1alpha1.RolloutAnalysisBackground{
			Templates: []v1alpha1.AnalysisTemplateRef{{TemplateName: value}},
		}
	default:
		s.t.Fatalf("no such option: %s", text)
	}
}
