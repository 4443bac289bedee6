package diff

import (
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/value"
)

// concrete turns a path of managed fields into one of names (string) and places in lists (int64) of an object; false
// when the object has nothing there.
func concrete(node any, p fieldpath.Path) ([]any, bool) {
	var out []any
	for _, e := range p {
		switch {
		case e.FieldName != nil:
			m, ok := node.(map[string]any)
			if !ok {
				return nil, false
			}
			if node, ok = m[*e.FieldName]; !ok {
				return nil, false
			}
			out = append(out, *e.FieldName)
		default:
			list, ok := node.([]any)
			if !ok {
				return nil, false
			}
			i := place(list, e)
			if i < 0 {
				return nil, false
			}
			node = list[i]
			out = append(out, int64(i))
		}
	}
	return out, true
}

// place finds the item of a list that a step of a path names, -1 when there is none.
func place(list []any, e fieldpath.PathElement) int {
	if e.Index != nil && *e.Index < len(list) {
		return *e.Index
	}
	for i, item := range list {
		if e.Value != nil && value.Equals(value.NewValueInterface(item), *e.Value) {
			return i
		}
		if m, ok := item.(map[string]any); ok && e.Key != nil && keyed(m, *e.Key) {
			return i
		}
	}
	return -1
}

func keyed(item map[string]any, key value.FieldList) bool {
	for _, field := range key {
		if !value.Equals(value.NewValueInterface(item[field.Name]), field.Value) {
			return false
		}
	}
	return true
}

// removeOwned takes what a path of managed fields names out of an object, if it is there.
func removeOwned(o map[string]any, p fieldpath.Path) {
	path, ok := concrete(o, p)
	if !ok || len(path) == 0 {
		return
	}
	parent, _ := at(o, path[:len(path)-1])
	switch last := path[len(path)-1].(type) {
	case string:
		if m, ok := parent.(map[string]any); ok {
			delete(m, last)
		}
	case int64:
		// An item that one manager owns is compared by nobody: its content goes, its place stays.
		if list, ok := parent.([]any); ok {
			list[last] = nil
		}
	}
}

// at follows a path of names and places.
func at(node any, path []any) (any, bool) {
	for _, step := range path {
		switch step := step.(type) {
		case string:
			m, ok := node.(map[string]any)
			if !ok {
				return nil, false
			}
			if node, ok = m[step]; !ok {
				return nil, false
			}
		case int64:
			list, ok := node.([]any)
			if !ok || step < 0 || step >= int64(len(list)) {
				return nil, false
			}
			node = list[step]
		default:
			return nil, false
		}
	}
	return node, true
}

// adopt copies what a path names from one object to another, where all that is above it is there.
func adopt(to, from map[string]any, path []any) {
	v, ok := at(from, path)
	if !ok || len(path) == 0 {
		return
	}
	parent, ok := at(to, path[:len(path)-1])
	if !ok {
		return
	}
	switch last := path[len(path)-1].(type) {
	case string:
		if m, ok := parent.(map[string]any); ok {
			m[last] = runtime.DeepCopyJSONValue(v)
		}
	case int64:
		if list, ok := parent.([]any); ok && last >= 0 && last < int64(len(list)) {
			list[last] = runtime.DeepCopyJSONValue(v)
		}
	}
}
