package appset

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Params is one set of parameters: a tree with Go templates, else texts by their dotted names.
type Params map[string]any

// plainTree gives the tree the types that it can be copied with.
func plainTree(p map[string]any) map[string]any {
	out, _ := plain(p).(map[string]any)
	return out
}

// plain copies decoded JSON: numbers keep their text.
func plain(v any) any {
	switch v := v.(type) {
	case Params:
		return plain(map[string]any(v))
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, item := range v {
			out[k] = plain(item)
		}
		return out
	case map[string]string:
		out := make(map[string]any, len(v))
		for k, item := range v {
			out[k] = item
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = plain(item)
		}
		return out
	case []string:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = item
		}
		return out
	case int:
		return int64(v)
	}
	return v
}

// overlay puts what is given over what is there: maps are joined, all else is replaced unless it is empty.
func overlay(under, over map[string]any) map[string]any {
	out := maps.Clone(under)
	if out == nil {
		out = map[string]any{}
	}
	for k, v := range over {
		inner, is := v.(map[string]any)
		if below, ok := out[k].(map[string]any); ok && is {
			out[k] = overlay(below, inner)
			continue
		}
		if _, there := out[k]; !there || !empty(v) {
			out[k] = v
		}
	}
	return out
}

func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case bool:
		return !v
	case map[string]any:
		return len(v) == 0
	case []any:
		return len(v) == 0
	case int64:
		return v == 0
	case float64:
		return v == 0
	case json.Number:
		return v == "0"
	}
	return false
}

// flatten gives the leaves of a tree dotted names; items of lists are numbered from 0.
func flatten(tree map[string]any) map[string]string {
	out := map[string]string{}
	flattenInto(out, "", tree)
	return out
}

func flattenInto(out map[string]string, prefix string, v any) {
	name := func(key string) string {
		if prefix == "" {
			return key
		}
		return prefix + "." + key
	}
	switch v := v.(type) {
	case map[string]any:
		for k, item := range v {
			flattenInto(out, name(k), item)
		}
	case Params:
		flattenInto(out, prefix, map[string]any(v))
	case []any:
		for i, item := range v {
			flattenInto(out, name(strconv.Itoa(i)), item)
		}
	default:
		out[prefix] = text(v)
	}
}

// text is how a value is written in flat parameters.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}

// flat makes flat parameters of a tree.
func flat(tree map[string]any) Params {
	out := Params{}
	for k, v := range flatten(tree) {
		out[k] = v
	}
	return out
}

// join makes one set of two of a matrix. With Go templates the trees are joined, where the first has something it
// counts. Flat names must not say two things. Source: the matrix generator of Argo CD.
func join(first, second Params, tree bool) (Params, error) {
	if tree {
		return overlay(second, first), nil
	}
	out := maps.Clone(first)
	for _, k := range slices.Sorted(maps.Keys(second)) {
		if there, twice := out[k]; twice && there != second[k] {
			return nil, fmt.Errorf("both generators give %q, as %q and as %q; have one give it under another name",
				k, there, second[k])
		}
		out[k] = second[k]
	}
	return out, nil
}

// lookup finds a parameter by its name, or by its dotted name.
func (p Params) lookup(name string) (any, bool) {
	if v, ok := p[name]; ok {
		return v, true
	}
	var node any = map[string]any(p)
	for part := range strings.SplitSeq(name, ".") {
		m, ok := node.(map[string]any)
		if !ok {
			return nil, false
		}
		if node, ok = m[part]; !ok {
			return nil, false
		}
	}
	return node, true
}
