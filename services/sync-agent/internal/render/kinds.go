package render

import (
	"fmt"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// kind is one way to render, and all that the rest knows of it. A new one is its file and its place in kinds.
type kind struct {
	// name is how status.sourceType calls it.
	name string
	// parameters are what a source says to this kind alone, part of the key under which results are remembered; nil
	// when it says nothing.
	parameters func(v1alpha1.ApplicationSource) any
	// found reports whether the files of a folder ask for this kind.
	found func(files map[string][]byte) bool
	// reachesOut reports whether the files refer to what is above their folder. It may say yes too often, which costs
	// only reuse of the result. Nil means never.
	reachesOut func(files map[string][]byte, s v1alpha1.ApplicationSource) bool
	// refused says why this version does not render it.
	refused string
	// render makes the objects of a folder; nil with refused.
	render func(files map[string][]byte, dir string, s v1alpha1.ApplicationSource) ([]*unstructured.Unstructured, error)
}

// kinds are all there are, in the order in which files are asked. Directory takes what nobody else does.
var kinds = []kind{kustomize, helm, plugin, directory}

// helm and plugin are what this version names and refuses.
var (
	helm = kind{
		name:    "Helm",
		refused: "Helm sources are not supported by this version",
		parameters: func(s v1alpha1.ApplicationSource) any {
			if s.Helm == nil && s.Chart == "" {
				return nil
			}
			return []any{s.Chart, s.Helm}
		},
		found: func(files map[string][]byte) bool { return files["Chart.yaml"] != nil },
	}
	plugin = kind{
		name:       "Plugin",
		refused:    "plugins are not supported",
		parameters: func(s v1alpha1.ApplicationSource) any { return given(s.Plugin) },
		found:      func(map[string][]byte) bool { return false },
	}
)

// given is what a pointer shows, nil without a type when it shows nothing.
func given[T any](p *T) any {
	if p == nil {
		return nil
	}
	return p
}

func (k kind) refusal() error {
	return fmt.Errorf("%w: %s", ErrSource, k.refused)
}

// check refuses a source that says what cannot be done, before anything is read.
func check(s v1alpha1.ApplicationSource) error {
	var named []string
	for _, k := range kinds {
		if k.parameters(s) == nil {
			continue
		}
		if k.render == nil {
			return k.refusal()
		}
		named = append(named, k.name)
	}
	if len(named) > 1 {
		return fmt.Errorf("%w: multiple application sources defined: %s", ErrSource, strings.Join(named, ", "))
	}
	return nil
}

// parametersOf is what a source says to all kinds.
func parametersOf(s v1alpha1.ApplicationSource) []any {
	out := make([]any, len(kinds))
	for i, k := range kinds {
		out[i] = k.parameters(s)
	}
	return out
}

// kindOf is the kind that a source names, else the one that its files ask for.
func kindOf(files map[string][]byte, s v1alpha1.ApplicationSource) kind {
	for _, k := range kinds {
		if k.parameters(s) != nil {
			return k
		}
	}
	for _, k := range kinds {
		if k.found(files) {
			return k
		}
	}
	return directory
}
