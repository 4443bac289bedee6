package appset

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	jsonpatch "github.com/evanphx/json-patch/v5"
	kjson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// maxOperations bounds a JSON patch: each may copy a part of the object.
const maxOperations = 1000

// applyPatch changes an Application by a patch in YAML or JSON: a list is a JSON patch (RFC 6902), an object a
// strategic merge patch. No list of an Application has a merge key, so lists are replaced whole.
func applyPatch(o map[string]any, text string) (map[string]any, error) {
	raw, err := yaml.ToJSON([]byte(text))
	if err != nil {
		return nil, err
	}
	var patch any
	if err := kjson.Unmarshal(raw, &patch); err != nil {
		return nil, err
	}
	switch patch := patch.(type) {
	case nil:
		return o, nil
	case map[string]any:
		return strategic(o, patch)
	case []any:
		return operations(o, raw, len(patch))
	}
	return nil, errors.New("it is neither an object nor a list of operations")
}

// operations applies a JSON patch.
func operations(o map[string]any, raw []byte, n int) (map[string]any, error) {
	if n > maxOperations {
		return nil, fmt.Errorf("%w: over %d operations", ErrLimit, maxOperations)
	}
	patch, err := jsonpatch.DecodePatch(raw)
	if err != nil {
		return nil, err
	}
	before, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	options := jsonpatch.NewApplyOptions()
	options.AccumulatedCopySizeLimit, options.EnsurePathExistsOnAdd = maxRendered, false
	after, err := patch.ApplyWithOptions(before, options)
	if err != nil {
		return nil, err
	}
	out := map[string]any{}
	return out, kjson.Unmarshal(after, &out)
}

// Directives of strategic merge patches.
const (
	directive      = "$patch"
	retainKeys     = "$retainKeys"
	deletePrefix   = "$deleteFromPrimitiveList/"
	elementOrderOf = "$setElementOrder/"
)

// strategic merges a patch into an object: null takes away, maps are merged, all else is replaced.
func strategic(o, patch map[string]any) (map[string]any, error) {
	switch d := patch[directive]; d {
	case nil, "merge":
	case "delete":
		return map[string]any{}, nil
	case "replace":
		return without(patch, directive), nil
	default:
		return nil, fmt.Errorf("%s: %v: there is merge, replace and delete", directive, d)
	}
	out := map[string]any{}
	retained, retains := patch[retainKeys].([]any)
	for k, v := range o {
		if !retains || slices.Contains(retained, any(k)) {
			out[k] = v
		}
	}
	for k, v := range patch {
		name, deletes := strings.CutPrefix(k, deletePrefix)
		switch {
		case k == directive || k == retainKeys || strings.HasPrefix(k, elementOrderOf):
		case deletes:
			out[name] = removed(list(out[name]), list(v))
		case v == nil:
			delete(out, k)
		default:
			merged, err := strategicValue(out[k], v)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", k, err)
			}
			out[k] = merged
		}
	}
	return out, nil
}

func strategicValue(under, patch any) (any, error) {
	m, is := patch.(map[string]any)
	if !is {
		return patch, nil
	}
	below, _ := under.(map[string]any)
	return strategic(below, m)
}

func without(m map[string]any, key string) map[string]any {
	out := map[string]any{}
	for k, v := range m {
		if k != key {
			out[k] = v
		}
	}
	return out
}

func removed(from, items []any) []any {
	return slices.DeleteFunc(slices.Clone(from), func(v any) bool {
		return slices.ContainsFunc(items, func(x any) bool { return reflect.DeepEqual(v, x) })
	})
}
