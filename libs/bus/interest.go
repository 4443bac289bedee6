package bus

import "strings"

// interest finds who wants a subject. What a look costs depends on the tokens of the subject and on those who want it,
// not on all that are in it. Filters may hold "*" for a token and end in ">". Not safe for concurrent use.
type interest[T comparable] struct {
	root node[T]
}

type node[T comparable] struct {
	here map[T]struct{} // whose filter ends here
	rest map[T]struct{} // whose filter ends here in ">"
	next map[string]*node[T]
}

func (n *node[T]) empty() bool { return len(n.here) == 0 && len(n.rest) == 0 && len(n.next) == 0 }

// add enters v for a filter; twice is once.
func (x *interest[T]) add(filter string, v T) {
	n := &x.root
	for token := range strings.SplitSeq(filter, ".") {
		if token == ">" {
			if n.rest == nil {
				n.rest = map[T]struct{}{}
			}
			n.rest[v] = struct{}{}
			return
		}
		below := n.next[token]
		if below == nil {
			if n.next == nil {
				n.next = map[string]*node[T]{}
			}
			below = &node[T]{}
			n.next[token] = below
		}
		n = below
	}
	if n.here == nil {
		n.here = map[T]struct{}{}
	}
	n.here[v] = struct{}{}
}

// remove takes v out for a filter, and leaves nothing behind.
func (x *interest[T]) remove(filter string, v T) { x.root.remove(filter, v) }

func (n *node[T]) remove(filter string, v T) {
	token, tail, more := strings.Cut(filter, ".")
	if token == ">" {
		delete(n.rest, v)
		return
	}
	below := n.next[token]
	if below == nil {
		return
	}
	if more {
		below.remove(tail, v)
	} else {
		delete(below.here, v)
	}
	if below.empty() {
		delete(n.next, token)
	}
}

// match calls see for each filter that wants a subject: more than once for one that several filters want it for.
func (x *interest[T]) match(subject string, see func(T)) { x.root.match(subject, see) }

func (n *node[T]) match(subject string, see func(T)) {
	for v := range n.rest {
		see(v)
	}
	token, tail, more := strings.Cut(subject, ".")
	for _, below := range []*node[T]{n.next[token], n.next["*"]} {
		switch {
		case below == nil:
		case more:
			below.match(tail, see)
		default:
			for v := range below.here {
				see(v)
			}
		}
		if token == "*" {
			return // or a subject that holds one would be seen twice
		}
	}
}
