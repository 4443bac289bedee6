package project

import (
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Filter names kinds in clusters by patterns; an empty list is all. Source: Argo CD's resource.exclusions.
type Filter struct {
	APIGroups []string `json:"apiGroups,omitempty"`
	Kinds     []string `json:"kinds,omitempty"`
	Clusters  []string `json:"clusters,omitempty"`
}

func (f Filter) matches(kind schema.GroupKind, server string) bool {
	in := func(list []string, text string) bool {
		return len(list) == 0 || slices.ContainsFunc(list, func(pattern string) bool { return Match(pattern, text) })
	}
	return in(f.APIGroups, kind.Group) && in(f.Kinds, kind.Kind) && in(f.Clusters, server)
}

// Managed are the kinds that an installation manages: those of Inclusions, all where there are none, without those of
// Exclusions.
type Managed struct{ Inclusions, Exclusions []Filter }

// Manages reports whether objects of a kind are managed in a cluster.
func (m Managed) Manages(kind schema.GroupKind, server string) bool {
	in := func(list []Filter) bool {
		return slices.ContainsFunc(list, func(f Filter) bool { return f.matches(kind, server) })
	}
	return (len(m.Inclusions) == 0 || in(m.Inclusions)) && !in(m.Exclusions)
}
