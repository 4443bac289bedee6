package unit

import (
	"fmt"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/libs/flow/expression"
	"github.com/argosy-mesh/argosy/libs/flow/loop"
	"github.com/argosy-mesh/argosy/libs/flow/nodes"
	"github.com/argosy-mesh/argosy/libs/flow/scope"
	"github.com/argosy-mesh/argosy/libs/flow/state"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// loopState is how far a loop is.
type loopState struct {
	Key   string // its place
	Items []v1alpha1.Item
	nodes []string       // ids of the items' nodes; empty: not begun
	done  []bool         // by item
	at    map[string]int // items by the id of their node, those that are not over
	open  int            // items that have begun and are not done
	Next  int            // the first item that was not tried yet
	Gaps  []int          // items before it that could not begin
	worst int            // the first item that failed; -1: none
	first bool           // nothing was visited yet
	final []string       // ids of all nodes in order, once the loop is done
}

// Loops are those of one steps or dag node, by the names of their units.
type Loops struct{ By map[string]*loopState }

// Places are those of the loops: in steps a loop has no node.
func (l *Loops) Places() []string {
	var out []string
	for _, at := range l.By {
		out = append(out, at.Key)
	}
	return out
}

func (l *Loops) keep(unit string, at *loopState) {
	if l.By == nil {
		l.By = map[string]*loopState{}
	}
	l.By[unit] = at
}

// fanOut makes or advances the nodes of a loop.
func (k Runner) fanOut(u Unit, l loop.Loop, sc scope.Scope) Outcome {
	c := state.Call{Name: u.Node, Display: u.Display, Boundary: u.Boundary}
	at := u.Loops.By[u.Node]
	if _, begun := k.Nodes.Named(u.Node); !begun && k.Closed() && u.Group {
		return Outcome{}
	}
	if at == nil {
		items, err := k.expand(l, sc)
		switch skip := k.skipped(u, sc); {
		case err != nil && skip:
			items = nil // what is not to run needs no items either
		case err != nil:
			return k.emptyLoop(u, k.Fail(c, v1alpha1.NodeTypeSkipped, fmt.Errorf("%s: %w", u.Name, err)))
		}
		if _, begun := k.Nodes.Named(u.Node); len(items) == 0 && !begun && k.Closed() {
			return Outcome{}
		}
		if len(items) == 0 {
			n := k.Begin(c, v1alpha1.NodeTypeSkipped, v1alpha1.NodeSkipped)
			n.Message = "Skipped, empty params"
			return k.emptyLoop(u, k.Put(n))
		}
		at = k.newLoopState(u, items)
	}
	parent := u.Parent
	if u.Group {
		g := k.Begin(c, v1alpha1.NodeTypeTaskGroup, v1alpha1.NodeRunning)
		k.Nodes.Link(u.Parent, g.ID)
		parent = g.ID
	}
	if at.more(u) || !k.Clean(at.Key) {
		k.Memory.Enter(at.Key)
		k.each(u, at, parent, sc)
		k.Memory.Leave(true)
	}
	out := at.outcome(u)
	out.calls = state.Call{Template: u.Step.Template, Ref: u.Step.TemplateRef, Inline: u.Step.Inline,
		Library: u.Library}
	return k.closeGroup(u, out)
}

// emptyLoop is a loop that has ended without an item.
func (k Runner) emptyLoop(u Unit, n v1alpha1.NodeStatus) Outcome {
	k.Nodes.Link(u.Parent, n.ID)
	return Outcome{Done: true, Node: n}
}

// expand lists the items of a loop whose tags are not resolved.
func (k Runner) expand(l loop.Loop, sc scope.Scope) ([]v1alpha1.Item, error) {
	var err error
	switch {
	case l.Param != "":
		l.Param, err = sc.Text(l.Param)
	case l.Sequence != nil:
		l.Sequence = l.Sequence.DeepCopy()
		err = scope.Substitute(l.Sequence, sc)
	default:
		l.Items = slices.Clone(l.Items)
		err = scope.Substitute(&l.Items, sc)
	}
	if err != nil {
		return nil, err
	}
	return l.Expand()
}

// skipped reports whether a loop is not to run whatever its items are: its condition is false and mentions none of
// them.
func (k Runner) skipped(u Unit, sc scope.Scope) bool {
	condition, err := sc.Text(u.Step.When)
	if err != nil || strings.Contains(condition, "{{") {
		return false
	}
	run, err := expression.Condition(condition)
	return err == nil && !run
}

// newLoopState finds out how far a loop is that no walk has come by yet.
func (k Runner) newLoopState(u Unit, items []v1alpha1.Item) *loopState {
	at := &loopState{Key: "loop " + u.Node, Items: items, nodes: make([]string, len(items)),
		done: make([]bool, len(items)), at: map[string]int{}, worst: -1, first: true}
	u.Loops.keep(u.Node, at)
	if k.Nodes.IsNew(u.Boundary) {
		return at // what encloses it has just begun
	}
	for i := range items {
		_, suffix := loop.Values(items[i])
		n, begun := k.Nodes.Named(loop.Name(u.Node, i, suffix))
		if !begun {
			continue
		}
		at.nodes[i] = n.ID
		at.open++
		for ; at.Next < i; at.Next++ {
			if at.nodes[at.Next] == "" {
				at.Gaps = append(at.Gaps, at.Next)
			}
		}
		at.Next = i + 1
	}
	return at
}

// each makes or advances the nodes of a loop's items: those that something has happened to, and the next ones.
func (k Runner) each(u Unit, at *loopState, parent string, sc scope.Scope) {
	in := loopContext{parent, sc}
	if k.eachDue(u, at, in) {
		k.eachNew(u, at, in)
	}
}

// eachDue looks at the items that were tried before. False means that no other may begin.
func (k Runner) eachDue(u Unit, at *loopState, in loopContext) bool {
	due := k.due(u, at)
	at.Gaps = nil
	waiting := false // what keeps one item from starting keeps the others too
	for _, i := range due {
		begun := at.nodes[i] != ""
		if begun && !u.hooked() && k.Clean(at.nodes[i]) {
			continue
		}
		if !begun && !waiting && k.AtCapacity() {
			k.Memory.WaitForRoom()
			waiting = true
		}
		if !begun && (waiting || at.halted(u, i)) {
			at.Gaps = append(at.Gaps, i)
			continue
		}
		if !k.advanceItem(u, at, i, in) {
			at.Gaps = append(at.Gaps, i)
			waiting = k.full(u) || k.AtCapacity()
		}
	}
	return !waiting
}

// eachNew begins items in their order until there is no room.
func (k Runner) eachNew(u Unit, at *loopState, in loopContext) {
	for at.Next < len(at.Items) && !at.halted(u, at.Next) {
		if k.AtCapacity() {
			k.Memory.WaitForRoom()
			return
		}
		i := at.Next
		at.Next++
		if !k.advanceItem(u, at, i, in) {
			at.Gaps = append(at.Gaps, i)
			if k.full(u) || k.AtCapacity() {
				return
			}
		}
	}
}

// due are the items to look at among those that were tried, in order.
func (k Runner) due(u Unit, at *loopState) []int {
	m := k.Memory
	list := slices.Clone(at.Gaps)
	if at.first || u.hooked() {
		at.first = false
		for i, id := range at.nodes {
			if id != "" {
				list = append(list, i)
			}
		}
	}
	for _, key := range m.TakeTouched(at.Key) {
		if i, open := at.at[key]; open {
			list = append(list, i)
		}
	}
	for key := range m.Waiting(at.Key) { // those before them may make room for them
		if i, open := at.at[key]; open {
			list = append(list, i)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// loopContext is where the nodes of a loop hang, and what they see.
type loopContext struct {
	parent string
	scope  scope.Scope
}

// advanceItem makes or advances the node of one item. False means that it may not begin yet.
func (k Runner) advanceItem(u Unit, at *loopState, i int, in loopContext) bool {
	values, suffix := loop.Values(at.Items[i])
	node, display := loop.Name(u.Node, i, suffix), loop.Name(u.Display, i, suffix)
	n, _ := k.Nodes.Named(node)
	hooked := true
	if !n.Phase.Fulfilled() || u.hooked() {
		local := in.scope.With(values)
		if n = k.one(u, node, display, local); n.ID == "" {
			return false
		}
		hooked = k.unitHooks(u, n, display, local)
	}
	k.Nodes.Link(in.parent, n.ID)
	at.see(i, n, hooked && nodes.Passed(n))
	if nodes.Bad(n.Phase) && !u.Tolerates(n.Phase) && (at.worst < 0 || i < at.worst) {
		at.worst = i
	}
	return true
}

// see takes how far an item is.
func (l *loopState) see(i int, n v1alpha1.NodeStatus, done bool) {
	if l.nodes[i] == "" {
		l.nodes[i] = n.ID
		l.open++
	}
	if done && !l.done[i] {
		l.done[i] = true
		l.open--
	}
	if done && n.Phase.Fulfilled() {
		delete(l.at, n.ID)
		return
	}
	l.at[n.ID] = i
}

// halted reports whether an item does not begin any more, since one before it failed.
func (l *loopState) halted(u Unit, i int) bool { return u.failFast && l.worst >= 0 && l.worst < i }

// more reports whether items are left to begin.
func (l *loopState) more(u Unit) bool {
	waits := func(i int) bool { return !l.halted(u, i) }
	return l.Next < len(l.Items) && waits(l.Next) || slices.ContainsFunc(l.Gaps, waits)
}

// outcome is how far the whole loop is.
func (l *loopState) outcome(u Unit) Outcome {
	if l.open > 0 || l.more(u) {
		return Outcome{}
	}
	if l.final == nil {
		l.final = slices.DeleteFunc(slices.Clone(l.nodes), func(id string) bool { return id == "" })
	}
	return Outcome{Done: true, Items: l.final}
}
