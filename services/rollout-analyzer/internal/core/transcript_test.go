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
	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/intstr"
)

type jsonText = json.RawMessage

var update = flag.Bool("update", false, "rewrite the transcripts")

// TestTranscripts plays every script of testdata. A script is a list of commands, each followed by what happened; read
// one to learn the commands. Run with -update after a wanted change and review the difference.
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
	case "vanish", "appear":
		s.available(rest, name == "appear")
		return
	case "drift":
		s.w.Routes[0].CanaryWeight, s.w.Routes[0].StableWeight = number(s.t, rest), 100-number(s.t, rest)
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
	c := s.w.Rollout.Spec.Strategy.Canary
	v := intstr.Parse(value)
	switch key {
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
