// Package scope holds what the {{tags}} and expressions of a template may name, and puts it in their place. It knows
// nothing of how a run goes on: whoever does fills it.
package scope

import (
	"iter"
	"maps"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// Scope holds the values of tags, and the artifacts that tags may name.
type Scope struct {
	values    map[string]string
	artifacts map[string]v1alpha1.Artifact
	absent    map[string]bool // prefixes such as steps.a of units that did not run
	lacking   map[string]bool // names of artifacts that may be there and are not
	hidden    map[string]bool // names of input parameters that are not those of this scope
	outer     *Scope          // what is known everywhere; shared, so that a later global is seen
	caller    *Scope          // of the template that called this one: volumes of the spec see it
	mode      Mode
}

// Mode is what becomes of tags without a value.
type Mode int

// The ways to treat them.
const (
	CallTags  Mode = iota // those with a strict prefix are errors, those of loops may get their value later
	FinalTags             // as above, and nothing gets a value later
	codeTags              // the same, but {{item}} by itself is the program's own
	LooseTags             // all stay as they are
)

// New is a scope without values.
func New() Scope {
	return Scope{values: map[string]string{}, artifacts: map[string]v1alpha1.Artifact{}, absent: map[string]bool{},
		lacking: map[string]bool{}}
}

// Inner starts a scope within a shared one.
func (s *Scope) Inner(extra map[string]string) Scope {
	next := New()
	next.outer = s
	maps.Copy(next.values, extra)
	return next
}

// With copies the scope, so that siblings do not see each other's additions.
func (s Scope) With(extra map[string]string) Scope {
	next := Scope{values: maps.Clone(s.values), artifacts: maps.Clone(s.artifacts), absent: maps.Clone(s.absent),
		lacking: maps.Clone(s.lacking),
		outer:   s.outer, caller: s.caller, mode: s.mode, hidden: s.hidden}
	maps.Copy(next.values, extra)
	return next
}

// Set gives a name a value.
func (s Scope) Set(name, value string) { s.values[name] = value }

// SetArtifact makes an artifact known under a name.
func (s Scope) SetArtifact(name string, a v1alpha1.Artifact) { s.artifacts[name] = a }

// Lack says that an artifact of that name may be there and is not.
func (s Scope) Lack(name string) { s.lacking[name] = true }

// Value is that of a name, here or around.
func (s Scope) Value(name string) (string, bool) {
	if s.hidden[name] {
		return "", false
	}
	if v, ok := s.values[name]; ok || s.outer == nil {
		return v, ok
	}
	return s.outer.Value(name)
}

// Artifact is the one of a name, here or around.
func (s Scope) Artifact(name string) (v1alpha1.Artifact, bool) {
	if a, ok := s.artifacts[name]; ok || s.outer == nil {
		return a, ok
	}
	return s.outer.Artifact(name)
}

// CalledBy is the scope of a template that another one called, nil when the workflow did.
func (s Scope) CalledBy(caller *Scope) Scope {
	s.caller = caller
	return s
}

// Callers are the scope itself, and those of all that called.
func (s Scope) Callers() iter.Seq[Scope] {
	return func(yield func(Scope) bool) {
		for at := &s; at != nil && yield(*at); at = at.caller {
		}
	}
}

// As is the scope with another way to treat tags without a value.
func (s Scope) As(mode Mode) Scope {
	s.mode = mode
	return s
}

// skipped reports whether a name belongs to a unit that did not run.
func (s Scope) skipped(name string) bool {
	prefix, _, asks := strings.Cut(name, ".outputs.")
	return asks && s.absent[prefix]
}
