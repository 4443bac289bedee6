package appset

import (
	"encoding/json"
	"fmt"
	"maps"
)

// merge gives the sets of its first generator, overridden by those of the others that have the same keys, the last
// one most.
func (w *walk) merge(spec map[string]any, outer Params, depth int, path string) ([]Params, error) {
	children := list(spec["generators"])
	if len(children) < 2 {
		return nil, fmt.Errorf("%s.generators: there are %d, a merge has two or more", path, len(children))
	}
	var keys []string
	for _, k := range list(spec["mergeKeys"]) {
		s, _ := k.(string)
		keys = append(keys, s)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%s: %w", path, errNoKeys)
	}
	var base []Params
	var at map[string]int
	for i, c := range children {
		tree, _ := c.(map[string]any)
		where := fmt.Sprintf("%s.generators[%d]", path, i)
		sets, err := w.nested(tree, outer, depth+1, where)
		if err != nil {
			return nil, err
		}
		places, err := byKeys(sets, keys)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", where, err)
		}
		if i == 0 {
			base, at = sets, places
			continue
		}
		for key, j := range places {
			if n, there := at[key]; there {
				base[n] = w.override(base[n], sets[j])
			}
		}
	}
	return base, nil
}

func (w *walk) override(under, over Params) Params {
	if w.engine.tree {
		return overlay(under, over)
	}
	out := maps.Clone(under)
	maps.Copy(out, over)
	return out
}

// byKeys finds sets by the values of their keys, which must differ. A key that a set lacks is null.
func byKeys(sets []Params, keys []string) (map[string]int, error) {
	out := map[string]int{}
	for i, p := range sets {
		id := map[string]any{}
		for _, k := range keys {
			id[k], _ = p.lookup(k)
		}
		raw, err := json.Marshal(id)
		if err != nil {
			return nil, fmt.Errorf("encode merge keys: %w", err)
		}
		if _, twice := out[string(raw)]; twice {
			return nil, fmt.Errorf("two sets of parameters have the merge keys %s, which must be unique within a generator", raw)
		}
		out[string(raw)] = i
	}
	return out, nil
}
