package diff

import (
	"fmt"
	"slices"

	"github.com/argosy-mesh/argosy/libs/script"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// Rules name fields whose differences do not count. The zero value names none.
type Rules struct{ rules []rule }

// rule is one entry, compiled.
type rule struct {
	v1alpha1.ResourceIgnoreDifferences
	deletes []*script.JQ // each takes what it names out of an object
	paths   []*script.JQ // each lists the paths of what it names
}

// NewRules compiles what an application and the installation say: groups and kinds are globs, names and namespaces
// are exact. An expression that cannot be read is an error that names it, and has no effect on the others. Source:
// Argo CD's ignoreDifferences.
func NewRules(lists ...[]v1alpha1.ResourceIgnoreDifferences) (Rules, []error) {
	var r Rules
	var problems []error
	for _, list := range lists {
		for i, entry := range list {
			made := rule{ResourceIgnoreDifferences: entry}
			for _, expression := range entry.JQPathExpressions {
				deletes, err := script.CompileJQ("del(" + expression + ")")
				if err != nil {
					problems = append(
						problems, fmt.Errorf("ignoreDifferences[%d].jqPathExpressions: %q: %w", i, expression, err),
					)
					continue
				}
				paths, err := script.CompileJQ("[path(" + expression + ")]")
				if err != nil {
					problems = append(
						problems, fmt.Errorf("ignoreDifferences[%d].jqPathExpressions: %q: %w", i, expression, err),
					)
					continue
				}
				made.deletes, made.paths = append(made.deletes, deletes), append(made.paths, paths)
			}
			r.rules = append(r.rules, made)
		}
	}
	return r, problems
}

func (r rule) applies(key track.Key) bool {
	return Glob(r.Group, key.Group) && Glob(r.Kind, key.Kind) &&
		(r.Name == "" || r.Name == key.Name) && (r.Namespace == "" || r.Namespace == key.Namespace)
}

// NeedsOwners reports whether the fields of an object that are ignored are known from its managed fields.
func (r Rules) NeedsOwners(key track.Key) bool {
	return slices.ContainsFunc(
		r.rules,
		func(x rule) bool { return len(x.ManagedFieldsManagers) > 0 && x.applies(key) },
	)
}

// Of returns what is ignored of one object. owners are its managed fields, needed where NeedsOwners says so.
func (r Rules) Of(key track.Key, owners []metav1.ManagedFieldsEntry) Filter {
	var f Filter
	for _, x := range r.rules {
		if !x.applies(key) {
			continue
		}
		f.pointers = append(f.pointers, x.JSONPointers...)
		f.deletes, f.paths = append(f.deletes, x.deletes...), append(f.paths, x.paths...)
		for _, entry := range owners {
			if !slices.Contains(x.ManagedFieldsManagers, entry.Manager) || entry.FieldsV1 == nil {
				continue
			}
			set := &fieldpath.Set{}
			if set.FromJSON(entry.FieldsV1.GetRawReader()) == nil {
				set.Leaves().Iterate(func(p fieldpath.Path) { f.owned = append(f.owned, p.Copy()) })
			}
		}
	}
	return f
}

// Filter takes out of objects what does not count. The zero value takes nothing.
type Filter struct {
	pointers []string
	deletes  []*script.JQ
	paths    []*script.JQ
	owned    []fieldpath.Path
}

func (f Filter) empty() bool { return len(f.pointers)+len(f.deletes)+len(f.owned) == 0 }

// Without is o less the fields that are ignored; o itself when there are none.
func (f Filter) Without(o *track.Object) *track.Object {
	if f.empty() || o == nil {
		return o
	}
	o = o.DeepCopy()
	for _, p := range f.pointers {
		Remove(o, p)
	}
	for _, p := range f.owned {
		removeOwned(o.Object, p)
	}
	for _, q := range f.deletes {
		// What fails, because a path is not there, leaves the object as it is.
		if out, err := q.Run(toJQ(o.Object), script.Limits{}); err == nil {
			if m, ok := fromJQ(out).(map[string]any); ok {
				o.Object = m
			}
		}
	}
	return o
}

// Respecting is a manifest with the live values of ignored fields.
func (f Filter) Respecting(o, live *track.Object) *track.Object {
	if f.empty() {
		return o
	}
	o = o.DeepCopy()
	for _, p := range f.pointers {
		Adopt(o, live, p)
	}
	for _, p := range f.owned {
		if path, ok := concrete(live.Object, p); ok {
			adopt(o.Object, live.Object, path)
		}
	}
	for _, q := range f.paths {
		out, err := q.Run(toJQ(live.Object), script.Limits{})
		list, _ := out.([]any)
		if err != nil {
			continue
		}
		for _, path := range list {
			if steps, ok := fromJQ(path).([]any); ok {
				adopt(o.Object, live.Object, steps)
			}
		}
	}
	return o
}

// toJQ copies decoded JSON with the numbers that queries take.
func toJQ(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, item := range v {
			out[k] = toJQ(item)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = toJQ(item)
		}
		return out
	case int64:
		return int(v)
	}
	return v
}

// fromJQ is the inverse of toJQ; it changes lists and maps in place.
func fromJQ(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, item := range v {
			v[k] = fromJQ(item)
		}
	case []any:
		for i, item := range v {
			v[i] = fromJQ(item)
		}
	case int:
		return int64(v)
	}
	return v
}
