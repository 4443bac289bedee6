package conformance

import (
	"fmt"
	"reflect"
	"strings"
)

// node is one node of a definition's schema. Nil is a place that the schema leaves open.
type node map[string]any

func (n node) open() bool {
	return n == nil || n["x-kubernetes-preserve-unknown-fields"] == true && n["properties"] == nil
}

// property returns what stands below a field; an error says that the schema is silent about it.
func (n node) property(name string) (node, error) {
	if n.open() {
		return nil, nil
	}
	if values, ok := n["additionalProperties"].(map[string]any); ok {
		return values, nil
	}
	properties, _ := n["properties"].(map[string]any)
	below, ok := properties[name].(map[string]any)
	if !ok {
		if n["type"] == "object" && n["properties"] == nil {
			return nil, nil
		}
		return nil, fmt.Errorf("the definition has no property %q", name)
	}
	return below, nil
}

func (n node) items() node {
	below, _ := n["items"].(map[string]any)
	return below
}

func (n node) values() node {
	below, _ := n["additionalProperties"].(map[string]any)
	return below
}

// fits reports whether the schema takes what a table calls want.
func (n node) fits(want string) error {
	got, typed := n["type"].(string)
	if !typed {
		return nil
	}
	asked := "object"
	switch {
	case strings.HasPrefix(want, "[]"), want == "array":
		asked = "array"
	case want == "meta.v1.Time", want == "meta.v1.MicroTime", want == "meta.v1.Duration", want == "string(byte)":
		asked = "string"
	case want == "string", want == "boolean", want == "integer", want == "number":
		asked = want
	case want == "any":
		asked = got
	}
	if got != asked {
		return fmt.Errorf("the definition says %s for %s", got, want)
	}
	return nil
}

// comparePaths checks one kind by the paths of its expanded definition.
func comparePaths(report *Report, k kind, name string, rows [][]string) {
	for _, row := range rows {
		id := name + row[0]
		if k.goType == nil {
			report.Failf(id, "no type of ours stands for %s", name)
			continue
		}
		report.Judge(id, k.path(row[0], row[1]))
	}
}

// path follows ".spec.strategy.canary.steps[].pause" in the Go type and in the definition.
func (k kind) path(path, want string) error {
	t, at := k.goType, k.schema
	for step := range strings.SplitSeq(strings.TrimPrefix(path, "."), ".") {
		field := strings.TrimRight(step, "[]{}*")
		below := step[len(field):]
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		var err error
		switch {
		case field == "":
		case t.Kind() == reflect.Map:
			t, at = t.Elem(), at.values()
		default:
			if t.Kind() != reflect.Struct || strings.HasPrefix(t.PkgPath(), "k8s.io/") && len(jsonFields(t)) == 0 {
				return nil // read as a whole
			}
			next, ok := jsonFields(t)[field]
			if !ok {
				return fmt.Errorf("%s has no field %q", t, field)
			}
			if at, err = at.property(field); err != nil {
				return err
			}
			t = next
		}
		for ; len(below) >= 2; below = below[2:] {
			for t.Kind() == reflect.Pointer {
				t = t.Elem()
			}
			switch {
			case below[:2] == "[]" && t.Kind() == reflect.Slice:
				t, at = t.Elem(), at.items()
			case below[:2] == "{}" && t.Kind() == reflect.Map:
				t, at = t.Elem(), at.values()
			default:
				return nil // read as a whole
			}
		}
	}
	if err := fits(pathType(want), t); err != nil {
		return err
	}
	return at.fits(pathType(want))
}

// pathType brings the words of path tables to those of type tables.
func pathType(want string) string {
	if name, ok := strings.CutPrefix(want, "core/v1."); ok {
		return "core.v1." + name
	}
	return want
}
