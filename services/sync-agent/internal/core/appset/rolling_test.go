package appset

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// player plays a transcript: Applications are synchronised by the test.
type player struct {
	*installation
	wanted []Application
}

// line is one line of a transcript.
func (r *player) line(words []string) string {
	r.Helper()
	switch words[0] {
	case "want": // want name stage path
		a := app(words[1], map[string]string{"stage": words[2]}, words[3])
		for i := range r.wanted {
			if r.wanted[i].Object.GetName() == words[1] {
				r.wanted[i] = a
				return ""
			}
		}
		r.wanted = append(r.wanted, a)
	case "pass":
		r.now = r.now.Add(time.Minute)
		return r.show(r.pass(r.wanted...))
	case "compared", "begins", "ends": // compared name Synced Healthy revision; begins name; ends name Succeeded
		r.agent(words)
	case "deleted":
		r.set.DeletionTimestamp = new(metav1.NewTime(r.now))
	default:
		r.Fatalf("unknown word %q", words[0])
	}
	return ""
}

// agent is what the controller of Applications does.
func (r *player) agent(words []string) {
	o := r.live[words[1]]
	status, _ := o.Object["status"].(map[string]any)
	if status == nil {
		status = map[string]any{}
		o.Object["status"] = status
	}
	spec, _ := o.Object["spec"].(map[string]any)
	switch words[0] {
	case "compared":
		status["sync"] = map[string]any{"status": words[2], "revision": words[4], "comparedTo": map[string]any{
			"source": spec["source"], "destination": spec["destination"],
		}}
		status["health"] = map[string]any{"status": words[3]}
	case "begins":
		delete(o.Object, "operation")
		status["operationState"] = map[string]any{
			"phase": "Running", "operation": map[string]any{}, "startedAt": r.now.Add(time.Second).Format(time.RFC3339),
		}
	case "ends":
		state, _ := status["operationState"].(map[string]any)
		state["phase"], state["message"] = words[2], "because"
	}
}

// show is what was done and what the status says then.
func (r *player) show(said string) string {
	out := []string{said}
	for _, s := range r.set.Status.ApplicationStatus {
		line := fmt.Sprintf("  %s step %s %s", s.Application, s.Step, s.Status)
		if o := r.live[s.Application]; o != nil && o.Object["operation"] != nil {
			line += ", asked to synchronise"
		}
		out = append(out, line)
	}
	for _, c := range r.set.Status.Conditions {
		if c.Type == RolloutProgressing {
			out = append(out, "  "+c.Message)
		}
	}
	return strings.TrimSpace(strings.Join(out, "\n"))
}

// TestRollouts plays the transcripts: a spec, a line of dashes, then lines and what comes of them.
func TestRollouts(t *testing.T) {
	files, err := filepath.Glob("testdata/rolling/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			spec, script, _ := strings.Cut(string(raw), "----\n")
			r := &player{installation: newInstallation(t, spec)}
			var got strings.Builder
			for line := range strings.Lines(script) {
				if !strings.HasPrefix(line, "> ") {
					continue
				}
				got.WriteString(line)
				if out := r.line(strings.Fields(line[2:])); out != "" {
					got.WriteString(out + "\n")
				}
			}
			if os.Getenv("ARGOSY_UPDATE") != "" {
				if err := os.WriteFile(file, []byte(spec+"----\n"+got.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if got.String() != script {
				t.Errorf("got\n%s", got.String())
			}
		})
	}
}

// A rollout never synchronises more at once than a step permits, and no step before the one in front of it is done,
// whatever the agent does in between.
func FuzzRollout(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14})
	f.Add([]byte{255, 3, 77, 0, 0, 0, 16, 32, 1, 2, 9})
	f.Fuzz(func(t *testing.T, moves []byte) {
		i := newInstallation(t, `
strategy:
  type: RollingSync
  rollingSync:
    steps:
    - {matchExpressions: [{key: stage, operator: In, values: [dev]}], maxUpdate: 1}
    - {matchExpressions: [{key: stage, operator: NotIn, values: [dev, lab]}], maxUpdate: 50%}
`)
		r := &player{installation: i}
		for n, stage := range []string{"dev", "dev", "prod", "prod", "lab"} {
			r.wanted = append(r.wanted, app(fmt.Sprintf("a%d", n), map[string]string{"stage": stage}, "p"))
		}
		r.pass(r.wanted...)
		for _, m := range moves[:min(len(moves), 60)] {
			name := fmt.Sprintf("a%d", m%5)
			switch m / 5 % 6 {
			case 0:
				r.agent([]string{"compared", name, "Synced", "Healthy", "r1"})
			case 1:
				r.agent([]string{"compared", name, "OutOfSync", "Healthy", "r2"})
			case 2:
				r.agent([]string{"compared", name, "Synced", "Progressing", "r2"})
			case 3:
				if r.live[name].Object["operation"] != nil {
					r.agent([]string{"begins", name})
				}
			case 4:
				if status, _ := r.live[name].Object["status"].(map[string]any); status["operationState"] != nil {
					r.agent([]string{"ends", name, "Succeeded"})
				}
			case 5:
				r.wanted[m%5] = app(name, r.wanted[m%5].Object.GetLabels(), fmt.Sprint(m))
			}
			asked := map[string]bool{}
			for n, o := range r.live {
				asked[n] = o.Object["operation"] != nil
			}
			r.now = r.now.Add(time.Minute)
			r.pass(r.wanted...)
			check(t, r, asked)
		}
	})
}

func check(t *testing.T, r *player, before map[string]bool) {
	t.Helper()
	var busy [2]int
	devDone := true
	for _, s := range r.set.Status.ApplicationStatus {
		step := map[string]int{"1": 0, "2": 1}[s.Step]
		if s.Step == "1" && s.Status != StateHealthy {
			devDone = false
		}
		if s.Step != "-1" && s.Status == StatePending {
			busy[step]++
		}
		fresh := isAsked(r.live[s.Application]) && !before[s.Application]
		if fresh && (s.Step == "-1" || s.Status != StatePending) {
			t.Fatalf("%s of step %s is asked to synchronise while %s", s.Application, s.Step, s.Status)
		}
		if fresh && s.Step == "2" && s.LastTransitionTime.Time.Equal(r.now) && !devDone {
			t.Fatalf("%s goes before the first step is done", s.Application)
		}
	}
	if busy[0] > 1 || busy[1] > 1 {
		t.Fatalf("too many at once: %v", busy)
	}
}

func isAsked(o *track.Object) bool { return o != nil && o.Object["operation"] != nil }
