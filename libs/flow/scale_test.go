package flow_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"sigs.k8s.io/yaml"
)

const wide = `
entrypoint: main
parallelism: 1000
templates:
- name: main
  steps:
  - - {name: each, template: one, arguments: {parameters: [{name: i, value: "{{item}}"}]}, withSequence: {count: "%d"}}
- name: one
  inputs: {parameters: [{name: i}]}
  container: {image: alpine, args: ["{{inputs.parameters.i}}"]}
`

// wideRun plays a loop of n pods, each of which succeeds as soon as it is asked for,
// and returns how many decisions and pods there were.
func wideRun(tb testing.TB, n int) (decisions, pods int) {
	tb.Helper()
	w := flow.World{Name: "wide", Namespace: "ns", UID: "u", Pods: map[string]flow.Pod{}, Now: time.Unix(0, 0)}
	if err := yaml.Unmarshal(fmt.Appendf(nil, wide, n), &w.Spec); err != nil {
		tb.Fatal(err)
	}
	most := 0
	for w.Run.Phase != v1alpha1.WorkflowSucceeded {
		d := flow.Decide(w)
		if d.Empty() && len(d.Actions) == 0 {
			tb.Fatalf("nothing to do after %d decisions, phase %s", decisions, w.Run.Phase)
		}
		decisions++
		most = max(most, len(d.Actions))
		w.Run = w.Run.Apply(d.Nodes, d.Run)
		for _, a := range d.Actions {
			if create, ok := a.(flow.CreatePod); ok {
				w.Pods[create.NodeID] = flow.Pod{Name: create.PodName, Phase: flow.PodSucceeded}
				pods++
			}
		}
	}
	// A pod is created again until it is seen, and one may end in the pass that begins another.
	if most > 1001 {
		tb.Errorf("%d pods at once", most)
	}
	return decisions, pods
}

func TestAWideLoopStartsEachPodOnceAndKeepsItsParallelism(t *testing.T) {
	if decisions, pods := wideRun(t, 3000); pods != 3000 || decisions > 20 {
		t.Errorf("%d pods by %d decisions", pods, decisions)
	}
}

// BenchmarkAHundredThousandNodes is one whole run, decisions only.
func BenchmarkAHundredThousandNodes(b *testing.B) {
	for b.Loop() {
		decisions, _ := wideRun(b, 20_000)
		b.ReportMetric(float64(decisions), "decisions")
	}
}
