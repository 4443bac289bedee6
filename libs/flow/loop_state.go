package flow

import (
	"fmt"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/libs/flow/expression"
	"github.com/argosy-mesh/argosy/libs/flow/nodes"
	"github.com/argosy-mesh/argosy/libs/flow/scope"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// loopState is how far a loop is.
type loopState struct {
	key   string // its place
	items []v1alpha1.Item
	nodes []string       // ids of the items' nodes; empty: not begun
	done  []bool         // by item
	at    map[string]int // items by the id of their node, those that are not over
	open  int            // items that have begun and are not done
	next  int            // the first item that was not tried yet
	gaps  []int          // items before it that could not begin
	worst int            // the first item that failed; -1: none
	first bool           // nothing was visited yet
	final []string       // ids of all nodes in order, once the loop is done
}

// loops are those of one steps or dag node, by the names of their units.
type loops struct{ by map[string]*loopState }

// Places are those of the loops: in steps a loop has no node.
func (l *loops) Places() []string {
	var out []string
	for _, at := range l.by {
		out = append(out, at.key)
	}
	return out
}

func (l *loops) keep(unit string, at *loopState) {
	if l.by == nil {
		l.by = map[string]*loopState{}
	}
	l.by[unit] = at
}

// fanOut makes or advances the nodes of a loop.
func (k units) fanOut(u unit, l loop, sc scope.Scope) outcome {
	c := call{name: u.node, display: u.display, boundary: u.boundary}
	at := u.loops.by[u.node]
	if _, begun := k.nodes.Named(u.node); !begun && k.closed() && u.group {
		return outcome{}
	}
	if at == nil {
		items, err := k.expand(l, sc)
		switch skip := k.skipped(u, sc); {
		case err != nil && skip:
			items = nil // what is not to run needs no items either
		case err != nil:
			return k.emptyLoop(u, k.fail(c, v1alpha1.NodeTypeSkipped, fmt.Errorf("%s: %w", u.name, err)))
		}
		if _, begun := k.nodes.Named(u.node); len(items) == 0 && !begun && k.closed() {
			return outcome{}
		}
		if len(items) == 0 {
			n := k.begin(c, v1alpha1.NodeTypeSkipped, v1alpha1.NodeSkipped)
			n.Message = "Skipped, empty params"
			return k.emptyLoop(u, k.put(n))
		}
		at = k.newLoopState(u, items)
	}
	parent := u.parent
	if u.group {
		g := k.begin(c, v1alpha1.NodeTypeTaskGroup, v1alpha1.NodeRunning)
		k.nodes.Link(u.parent, g.ID)
		parent = g.ID
	}
	if at.more(u) || !k.clean(at.key) {
		k.memory.Enter(at.key)
		k.each(u, at, parent, sc)
		k.memory.Leave(true)
	}
	out := at.outcome(u)
	out.calls = call{template: u.step.Template, ref: u.step.TemplateRef, inline: u.step.Inline, library: u.library}
	return k.closeGroup(u, out)
}

// emptyLoop is a loop that has ended without an item.
func (k units) emptyLoop(u unit, n v1alpha1.NodeStatus) outcome {
	k.nodes.Link(u.parent, n.ID)
	return outcome{done: true, node: n}
}

// expand lists the items of a loop whose tags are not resolved.
func (k units) expand(l loop, sc scope.Scope) ([]v1alpha1.Item, error) {
	var err error
	switch {
	case l.param != "":
		l.param, err = sc.Text(l.param)
	case l.sequence != nil:
		l.sequence = l.sequence.DeepCopy()
		err = scope.Substitute(l.sequence, sc)
	default:
		l.items = slices.Clone(l.items)
		err = scope.Substitute(&l.items, sc)
	}
	if err != nil {
		return nil, err
	}
	return l.expand()
}

// skipped reports whether a loop is not to run whatever its items are: its condition is false and mentions none of them.
func (k units) skipped(u unit, sc scope.Scope) bool {
	condition, err := sc.Text(u.step.When)
	if err != nil || strings.Contains(condition, "{{") {
		return false
	}
	run, err := expression.Condition(condition)
	return err == nil && !run
}

// newLoopState finds out how far a loop is that no walk has come by yet.
func (k units) newLoopState(u unit, items []v1alpha1.Item) *loopState {
	at := &loopState{key: "loop " + u.node, items: items, nodes: make([]string, len(items)), done: make([]bool, len(items)), at: map[string]int{}, worst: -1, first: true}
	u.loops.keep(u.node, at)
	if k.nodes.IsNew(u.boundary) {
		return at // what encloses it has just begun
	}
	for i := range items {
		_, suffix := itemValues(items[i])
		n, begun := k.nodes.Named(childName(u.node, i, suffix))
		if !begun {
			continue
		}
		at.nodes[i] = n.ID
		at.open++
		for ; at.next < i; at.next++ {
			if at.nodes[at.next] == "" {
				at.gaps = append(at.gaps, at.next)
			}
		}
		at.next = i + 1
	}
	return at
}

// each makes or advances the nodes of a loop's items: those that something has happened to, and the next ones.
func (k units) each(u unit, at *loopState, parent string, sc scope.Scope) {
	in := loopContext{parent, sc}
	if k.eachDue(u, at, in) {
		k.eachNew(u, at, in)
	}
}

// eachDue looks at the items that were tried before. False means that no other may begin.
func (k units) eachDue(u unit, at *loopState, in loopContext) bool {
	due := k.due(u, at)
	at.gaps = nil
	waiting := false // what keeps one item from starting keeps the others too
	for _, i := range due {
		begun := at.nodes[i] != ""
		if begun && !u.hooked() && k.clean(at.nodes[i]) {
			continue
		}
		if !begun && !waiting && k.atCapacity() {
			k.memory.WaitForRoom()
			waiting = true
		}
		if !begun && (waiting || at.halted(u, i)) {
			at.gaps = append(at.gaps, i)
			continue
		}
		if !k.advanceItem(u, at, i, in) {
			at.gaps = append(at.gaps, i)
			waiting = k.full(u) || k.atCapacity()
		}
	}
	return !waiting
}

// eachNew begins items in their order until there is no room.
func (k units) eachNew(u unit, at *loopState, in loopContext) {
	for at.next < len(at.items) && !at.halted(u, at.next) {
		if k.atCapacity() {
			k.memory.WaitForRoom()
			return
		}
		i := at.next
		at.next++
		if !k.advanceItem(u, at, i, in) {
			at.gaps = append(at.gaps, i)
			if k.full(u) || k.atCapacity() {
				return
			}
		}
	}
}

// due are the items to look at among those that were tried, in order.
func (k units) due(u unit, at *loopState) []int {
	m := k.memory
	list := slices.Clone(at.gaps)
	if at.first || u.hooked() {
		at.first = false
		for i, id := range at.nodes {
			if id != "" {
				list = append(list, i)
			}
		}
	}
	for _, key := range m.TakeTouched(at.key) {
		if i, open := at.at[key]; open {
			list = append(list, i)
		}
	}
	for key := range m.Waiting(at.key) { // those before them may make room for them
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
func (k units) advanceItem(u unit, at *loopState, i int, in loopContext) bool {
	values, suffix := itemValues(at.items[i])
	node, display := childName(u.node, i, suffix), childName(u.display, i, suffix)
	n, _ := k.nodes.Named(node)
	hooked := true
	if !n.Phase.Fulfilled() || u.hooked() {
		local := in.scope.With(values)
		if n = k.one(u, node, display, local); n.ID == "" {
			return false
		}
		hooked = k.unitHooks(u, n, display, local)
	}
	k.nodes.Link(in.parent, n.ID)
	at.see(i, n, hooked && nodes.Passed(n))
	if nodes.Bad(n.Phase) && !u.tolerates(n.Phase) && (at.worst < 0 || i < at.worst) {
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
func (l *loopState) halted(u unit, i int) bool { return u.failFast && l.worst >= 0 && l.worst < i }

// more reports whether items are left to begin.
func (l *loopState) more(u unit) bool {
	waits := func(i int) bool { return !l.halted(u, i) }
	return l.next < len(l.items) && waits(l.next) || slices.ContainsFunc(l.gaps, waits)
}

// outcome is how far the whole loop is.
func (l *loopState) outcome(u unit) outcome {
	if l.open > 0 || l.more(u) {
		return outcome{}
	}
	if l.final == nil {
		l.final = slices.DeleteFunc(slices.Clone(l.nodes), func(id string) bool { return id == "" })
	}
	return outcome{done: true, items: l.final}
}
