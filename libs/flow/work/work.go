// Package work knows which fields of a template name work that it does, and which say how. The type says it: such a
// field has a tag with the type of the nodes that do the work.
package work

import (
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// tag of a field of [v1alpha1.Template] makes it a kind of work.
const tag = "node"

// Kind is a kind of work that a template may do.
type Kind struct {
	Name  string            // the field of the template that asks for it, in a manifest
	Node  v1alpha1.NodeType // of the nodes that do it
	field int
}

// Asked reports whether a template asks for it.
func (k Kind) Asked(t *v1alpha1.Template) bool {
	return !reflect.ValueOf(t).Elem().Field(k.field).IsZero()
}

// clear takes it out of a template.
func (k Kind) clear(t *v1alpha1.Template) { reflect.ValueOf(t).Elem().Field(k.field).SetZero() }

// order is that of the kinds where it matters: a template of several does the first. Those that are not named come
// last.
func order() []string {
	return []string{"container", "containerSet", "script", "steps", "dag", "suspend", "resource", "http"}
}

var kinds = sync.OnceValue(func() (out []Kind) {
	shape := reflect.TypeFor[v1alpha1.Template]()
	for i := range shape.NumField() {
		f := shape.Field(i)
		if node := f.Tag.Get(tag); node != "" {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			out = append(out, Kind{Name: name, Node: v1alpha1.NodeType(node), field: i})
		}
	}
	first := order()
	place := func(k Kind) int {
		if i := slices.Index(first, k.Name); i >= 0 {
			return i
		}
		return len(first)
	}
	slices.SortStableFunc(out, func(a, b Kind) int { return place(a) - place(b) })
	return out
})

// Kinds are all of them. They are not to be changed.
func Kinds() []Kind { return kinds() }

// ClearDefaults takes out of the defaults for a template the work that the template does not do by its own. Source:
// Argo Workflows merges only containers and scripts, and those only into their like.
func ClearDefaults(defaults, own *v1alpha1.Template) {
	for _, k := range Kinds() {
		if merged := k.Name == "container" || k.Name == "script"; !merged || !k.Asked(own) {
			k.clear(defaults)
		}
	}
}
