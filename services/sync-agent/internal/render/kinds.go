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
	// also are what else a result depends on beside files and parameters. Nil means nothing.
	also func(*Job) any
	// found reports whether the names in a folder ask for this kind.
	found func(names map[string]bool) bool
	// switchName is how settings and parameters call it where it may be switched off.
	switchName string
	// render makes the objects of a source. What it reads it asks of files.
	render func(job *Job, f *files) ([]*unstructured.Unstructured, error)
}

// kinds are all there are, in the order in which files are asked. Directory takes what nobody else does.
var kinds = []kind{helm, kustomize, plugin, directory}

// given is what a pointer shows, nil without a type when it shows nothing.
func given[T any](p *T) any {
	if p == nil {
		return nil
	}
	return p
}

// check refuses a source that says what cannot be done, before anything is read.
func check(s v1alpha1.ApplicationSource) error {
	var named []string
	for _, k := range kinds {
		if k.parameters(s) == nil {
			continue
		}
		named = append(named, k.name)
	}
	if len(named) > 1 {
		return fmt.Errorf(
			"%w: multiple application sources defined: %s; keep one of these blocks",
			ErrSource,
			strings.Join(named, ", "),
		)
	}
	if s.Ref != "" && s.Chart != "" {
		return fmt.Errorf("%w: ref %q: a chart has no files to refer to; take ref or chart away", ErrSource, s.Ref)
	}
	return nil
}

// kindOf is the kind that a source names, else the one that the names in its folder ask for. What is switched off is
// read as a plain directory.
func kindOf(names map[string]bool, s v1alpha1.ApplicationSource, disabled []string) kind {
	for _, k := range kinds {
		if k.parameters(s) != nil {
			return k.unless(disabled)
		}
	}
	for _, k := range kinds {
		if k.found(names) {
			return k.unless(disabled)
		}
	}
	return directory
}

func (k kind) unless(disabled []string) kind {
	for _, name := range disabled {
		if name == k.switchName && k.name != plugin.name {
			return directory
		}
	}
	return k
}
