package engine_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/libs/flow/engine"
	"github.com/argosy-mesh/argosy/libs/flow/nodes"
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
		d := engine.Decide(w)
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
	if most > 1000 {
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
		decisions, _ := wideRun(b, 100_000)
		b.ReportMetric(float64(decisions), "decisions")
	}
}

func TestNodesWhoseIDsWouldClashAreTwo(t *testing.T) {
	// Two names with the same 32 bits, which are found in no time.
	seen := map[string]string{}
	first, second := "", ""
	for i := 0; second == ""; i++ {
		name := fmt.Sprint("s", i)
		id := nodes.ID("wf", "wf[0]."+name)
		if seen[id] != "" {
			first, second = seen[id], name
		}
		seen[id] = name
	}
	w := flow.World{Name: "wf", Namespace: "ns", UID: "u", Pods: map[string]flow.Pod{}, Now: time.Unix(0, 0)}
	spec := fmt.Sprintf(`{entrypoint: main, templates: [{name: main, steps: [[{name: %s, template: one}, {name: %s, template: one}]]}, {name: one, container: {image: alpine}}]}`, first, second)
	if err := yaml.Unmarshal([]byte(spec), &w.Spec); err != nil {
		t.Fatal(err)
	}
	pods := map[string]bool{}
	for range 4 {
		d := engine.Decide(w)
		w.Run = w.Run.Apply(d.Nodes, d.Run)
		for _, a := range d.Actions {
			if create, ok := a.(flow.CreatePod); ok {
				pods[create.PodName] = true
				w.Pods[create.NodeID] = flow.Pod{Name: create.PodName, Phase: flow.PodSucceeded}
			}
		}
	}
	if len(pods) != 2 || len(w.Pods) != 2 || w.Run.Phase != v1alpha1.WorkflowSucceeded {
		t.Errorf("%s and %s: pods %v of %d nodes, %s", first, second, pods, len(w.Pods), w.Run.Phase)
	}
}
