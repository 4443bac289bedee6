package workflowtest

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/libs/flow/engine"
	"github.com/argosy-mesh/argosy/libs/flow/nodes"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// twin follows a run event by event, and compares what it decides with what is decided by looking at everything.
type twin struct {
	plan  *engine.Plan
	pods  map[string]flow.Pod  // as they were at the last decision
	tasks map[string]flow.Task // the same
	asked map[string]bool      // nodes whose work was asked for
}

// follow lets the twin decide about the world that d was decided about.
func (t *twin) follow(w flow.World, d flow.Decision) error {
	all := w
	if t.plan == nil {
		run := w.Run
		run.Nodes = maps.Clone(run.Nodes)
		*t = twin{plan: engine.NewPlan(run), asked: map[string]bool{}}
	} else {
		w.Pods, w.Tasks = news(t.pods, w.Pods), news(t.tasks, w.Tasks)
	}
	got := t.plan.Decide(w)
	t.pods, t.tasks = maps.Clone(all.Pods), maps.Clone(all.Tasks)
	errs := []error{
		same("nodes", byID(got.Nodes), byID(d.Nodes)), same("run", got.Run, d.Run), same("wake", got.Wake, d.Wake),
		same("before", got.Before, d.Before),
		same("lookups", texts(got.Lookups), texts(d.Lookups)), same("metrics", texts(got.Metrics), texts(d.Metrics)),
		t.actions(got.Actions, d.Actions),
		same("state", t.plan.Run().Nodes, all.Run.Apply(d.Nodes, d.Run).Nodes),
		same("progress", progress(t.plan.Progress()), progress(nodes.Progress(all.Run.Apply(d.Nodes, d.Run).Nodes))),
		same("fold of links", folded(all.Run, got), all.Run.Apply(d.Nodes, nil).Nodes),
	}
	return errors.Join(errs...)
}

func progress(done, all int) string { return fmt.Sprintf("%d/%d", done, all) }

// folded is the state after a decision that was recorded without the children that nodes had before.
func folded(before flow.Run, d flow.Decision) map[string]v1alpha1.NodeStatus {
	before.Nodes = maps.Clone(before.Nodes)
	for id, n := range before.Nodes {
		n.Children = slices.Clone(n.Children)
		before.Nodes[id] = n
	}
	nodes, links := d.Record()
	return before.Fold(nodes, links, nil).Nodes
}

// actions compares what is asked for. What was asked for before need not be asked for again.
func (t *twin) actions(got, want []flow.Action) error {
	wanted := map[string]bool{}
	for _, a := range want {
		wanted[keyOf(a)] = true
	}
	rest := maps.Clone(wanted)
	var errs []error
	for _, a := range got {
		if !wanted[keyOf(a)] {
			errs = append(errs, fmt.Errorf("nobody asked for %s", keyOf(a)))
		}
		delete(rest, keyOf(a))
		t.asked[keyOf(a)] = true
	}
	for key := range rest {
		if !t.asked[key] {
			errs = append(errs, fmt.Errorf("nobody asks for %s", key))
		}
	}
	return errors.Join(errs...)
}

// keyOf names an action and what it is about.
func keyOf(a flow.Action) string {
	switch a := a.(type) {
	case flow.CreatePod:
		return "pod " + a.NodeID + " " + a.PodName
	case flow.Perform:
		return "task " + a.NodeID
	case flow.SaveMemo:
		return "memo " + a.ConfigMap + " " + a.Key + " " + a.NodeID
	}
	return fmt.Sprintf("%T %+v", a, a)
}

func news[T any](before, now map[string]T) map[string]T {
	out := map[string]T{}
	for id, x := range now {
		if old, had := before[id]; !had || !reflect.DeepEqual(old, x) {
			out[id] = x
		}
	}
	return out
}

func byID(nodes []v1alpha1.NodeStatus) map[string]v1alpha1.NodeStatus {
	out := map[string]v1alpha1.NodeStatus{}
	for _, n := range nodes {
		out[n.ID] = n
	}
	return out
}

func texts[T any](list []T) []string {
	out := make([]string, 0, len(list))
	for _, x := range list {
		out = append(out, fmt.Sprintf("%+v", x))
	}
	slices.Sort(out)
	return out
}

// same is an error when two things differ; of two sets of nodes it says which.
func same(what string, got, want any) error {
	if reflect.DeepEqual(got, want) {
		return nil
	}
	g, isNodes := got.(map[string]v1alpha1.NodeStatus)
	if !isNodes {
		return fmt.Errorf("%s: %+v, and by looking at everything %+v", what, got, want)
	}
	w, _ := want.(map[string]v1alpha1.NodeStatus)
	var lines []string
	for id := range joined(g, w) {
		if !reflect.DeepEqual(g[id], w[id]) {
			lines = append(lines, fmt.Sprintf("%s: %+v, and by looking at everything %+v", orName(g[id], w[id]), g[id],
				w[id]))
		}
	}
	slices.Sort(lines)
	return fmt.Errorf("%s: %s", what, strings.Join(lines, "\n"))
}

func joined[T any](a, b map[string]T) map[string]T {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}

func orName(a, b v1alpha1.NodeStatus) string {
	if a.Name != "" {
		return a.Name
	}
	return b.Name
}

// PlayBesideOracle plays a manifest in an order and with ends of pods that chance decides, and compares each decision
// with the one of a plan that looks at everything. It returns how many nodes there were, and what was decided.
func PlayBesideOracle(manifest string, chance *rand.Rand, fate func(node string) flow.Pod) (nodes int, told string,
	err error) {
	p, err := newPlay(Transcript{Manifest: manifest})
	if err != nil {
		return 0, "", err
	}
	p.chance, p.twin, p.fate = chance, &twin{}, fate
	told, err = p.run()
	return len(p.w.Run.Nodes), told, err
}
