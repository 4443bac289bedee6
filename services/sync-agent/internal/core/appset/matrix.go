package appset

import "fmt"

// matrix gives each set of its first generator with each of its second, which may use the parameters of the first.
func (w *walk) matrix(spec map[string]any, outer Params, depth int, path string) ([]Params, error) {
	children := list(spec["generators"])
	if len(children) != 2 {
		return nil, fmt.Errorf("%s.generators: there are %d, a matrix has exactly two", path, len(children))
	}
	first, _ := children[0].(map[string]any)
	second, _ := children[1].(map[string]any)
	left, err := w.nested(first, outer, depth+1, path+".generators[0]")
	if err != nil {
		return nil, err
	}
	var out []Params
	for _, a := range left {
		known := a
		if len(outer) > 0 {
			known = overlay(outer, a)
		}
		right, err := w.nested(second, known, depth+1, path+".generators[1]")
		if err != nil {
			return nil, err
		}
		if len(out)+len(right) > maxSets {
			return nil, fmt.Errorf("%s: %w: over %d sets of parameters", path, ErrLimit, maxSets)
		}
		for _, b := range right {
			p, err := join(a, b, w.engine.tree)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			out = append(out, p)
		}
	}
	return out, nil
}
