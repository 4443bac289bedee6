// Package nodes keeps the nodes of a run: their names and ids, their edges, what is counted of them, and what of them
// has changed in a decision. It does not know why a node changes.
package nodes

import (
	"iter"
	"slices"
	"strconv"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// Store is the nodes of a run by id, and what has changed since [Store.Turn].
type Store struct {
	counts
	workflow string
	nodes    map[string]v1alpha1.NodeStatus
	children map[string]map[string]bool // of nodes that got an edge
	lent     bool                       // whether lists within the nodes belong to somebody else

	dirty  []string                      // ids of changed nodes, in the order of their first change
	before map[string]v1alpha1.NodePhase // the same, with the phase before
	bodies map[string]bool               // those of which more has changed than their children
	links  map[string][]string           // new children of nodes
	begun  int                           // nodes that were made
	moves  int                           // changes of nodes, ever
}

// New is a store of the nodes of a workflow, which belong to it from then on. Lists within lent ones are not written
// to.
func New(workflow string, all map[string]v1alpha1.NodeStatus, lent bool) *Store {
	s := &Store{counts: newCounts(workflow, all), workflow: workflow, nodes: all,
		children: map[string]map[string]bool{},
		lent:     lent}
	s.Turn()
	return s
}

// Turn begins another decision: nothing has changed.
func (s *Store) Turn() {
	s.dirty, s.begun = nil, 0
	s.before, s.bodies, s.links = map[string]v1alpha1.NodePhase{}, map[string]bool{}, map[string][]string{}
}

// All are the nodes by id. They are the store's own: to be looked at only.
func (s *Store) All() map[string]v1alpha1.NodeStatus { return s.nodes }

// At is the node of an id, empty when there is none.
func (s *Store) At(id string) v1alpha1.NodeStatus { return s.nodes[id] }

// Named is the node of a name, if it was made.
func (s *Store) Named(name string) (v1alpha1.NodeStatus, bool) {
	n, ok := s.nodes[s.ID(name)]
	return n, ok
}

// ID is the id of the node of that name: upstream's, with a number behind it when a
// node of another name was first to have it. Its hash has 32 bits: of 100,000 nodes
// two have the same in two of three workflows.
func (s *Store) ID(name string) string {
	base := ID(s.workflow, name)
	first, taken := s.nodes[base]
	if taken && first.Name == name || !taken && !s.clashes[base] {
		return base
	}
	free := ""
	if !taken {
		free = base
	}
	for n := 1; ; n++ {
		id := base + "-" + strconv.Itoa(n)
		other, taken := s.nodes[id]
		if taken && other.Name == name {
			return id
		}
		if !taken && free == "" {
			free = id
		}
		// The first may have been dropped by a retry since.
		if !taken {
			return free
		}
	}
}

// Put takes a node that is new or has changed.
func (s *Store) Put(n v1alpha1.NodeStatus) {
	if _, had := s.nodes[n.ID]; !had {
		if base := ID(s.workflow, n.Name); base != n.ID {
			s.clashes[base] = true
		}
	}
	s.bodies[n.ID] = true
	s.keep(n)
}

func (s *Store) keep(n v1alpha1.NodeStatus) {
	before := s.nodes[n.ID]
	s.replace(before, n)
	s.nodes[n.ID] = n
	s.moves++
	if _, is := s.before[n.ID]; !is {
		s.before[n.ID] = before.Phase
		s.dirty = append(s.dirty, n.ID)
	}
	if before.ID == "" {
		s.begun++
	}
}

// Link adds an edge of the graph that clients draw, unless it is there. A parent that is none does nothing.
func (s *Store) Link(parentID, childID string) {
	p, ok := s.nodes[parentID]
	if !ok {
		return
	}
	if len(p.Children) <= fewChildren {
		if !slices.Contains(p.Children, childID) {
			s.join(p, childID)
		}
		return
	}
	known := s.children[parentID]
	if len(known) != len(p.Children) || known == nil {
		known = make(map[string]bool, len(p.Children)+1)
		for _, id := range p.Children {
			known[id] = true
		}
		s.children[parentID] = known
	}
	if known[childID] {
		return
	}
	known[childID] = true
	s.join(p, childID)
}

// fewChildren are so few that they are looked through without a set.
const fewChildren = 16

func (s *Store) join(p v1alpha1.NodeStatus, childID string) {
	if s.lent {
		p.Children = slices.Clip(p.Children)
	}
	p.Children = append(p.Children, childID)
	s.links[p.ID] = append(s.links[p.ID], childID)
	s.keep(p)
}

// Ended drops what is kept to add edges to a node that has ended.
func (s *Store) Ended(id string) { delete(s.children, id) }

// Change is what has become of one node.
type Change struct {
	Node   v1alpha1.NodeStatus
	Before v1alpha1.NodePhase // "" when the node is new
	Added  []string           // children that it got
	Body   bool               // more of it has changed than its children
}

// Changes are those since [Store.Turn], in the order of the first of each node.
func (s *Store) Changes() iter.Seq[Change] {
	return func(yield func(Change) bool) {
		for _, id := range s.dirty {
			if !yield(Change{Node: s.nodes[id], Before: s.before[id], Added: s.links[id], Body: s.bodies[id]}) {
				return
			}
		}
	}
}

// IsNew reports whether a node was made since [Store.Turn].
func (s *Store) IsNew(id string) bool {
	before, changed := s.before[id]
	return changed && before == ""
}

// Begun counts the nodes that were made since [Store.Turn].
func (s *Store) Begun() int { return s.begun }

// Moves counts the changes of nodes, so that two looks tell whether anything has changed between them.
func (s *Store) Moves() int { return s.moves }
