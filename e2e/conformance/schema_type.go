package conformance

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// fits reports whether a Go type reads what a table calls want.
func fits(want string, t reflect.Type) error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() == reflect.Interface || t == reflect.TypeFor[json.RawMessage]() {
		return nil
	}
	if reads(want, t) {
		return nil
	}
	return fmt.Errorf("%s does not read %s", t, want)
}

func reads(want string, t reflect.Type) bool {
	own := reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]())
	switch {
	case own && t.PkgPath() != "" && !strings.HasPrefix(t.PkgPath(), "k8s.io"):
		// It takes several forms; try the plain one.
		return json.Unmarshal([]byte(example(want)), reflect.New(t).Interface()) == nil
	case strings.HasPrefix(want, "[]"):
		return t.Kind() == reflect.Slice && reads(want[2:], element(t))
	case strings.HasPrefix(want, "map:"):
		return t.Kind() == reflect.Map && reads(want[4:], element(t))
	case strings.Contains(want, "."):
		// A type of Kubernetes: its package's last folders and its name.
		dot := strings.LastIndex(want, ".")
		return t.Name() == want[dot+1:] && strings.HasSuffix(t.PkgPath(), strings.ReplaceAll(want[:dot], ".", "/"))
	}
	return scalar(want, t)
}

func element(t reflect.Type) reflect.Type {
	e := t.Elem()
	for e.Kind() == reflect.Pointer {
		e = e.Elem()
	}
	return e
}

func scalar(want string, t reflect.Type) bool {
	switch want {
	case "string":
		return t.Kind() == reflect.String || t.Name() == "Time" || t.Name() == "Duration" || t.Name() == "Quantity"
	case "integer":
		return slices.Contains(
			[]reflect.Kind{reflect.Int, reflect.Int32, reflect.Int64, reflect.Uint32, reflect.Uint64}, t.Kind(),
		)
	case "number":
		return t.Kind() == reflect.Float64 || t.Kind() == reflect.Float32
	case "boolean":
		return t.Kind() == reflect.Bool
	case "string(byte)":
		return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8
	case "integer|string", "int-or-string":
		return t.Name() == "IntOrString"
	case "any":
		return true
	}
	return composite(want, t.Kind())
}

func composite(want string, k reflect.Kind) bool {
	switch want {
	case "array":
		return k == reflect.Slice
	case "map":
		return k == reflect.Map
	}
	return k == reflect.Struct || k == reflect.Map
}

// elementOf is the type of what a list or map holds; a type that reads itself stands for its elements too.
func elementOf(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		return t.Elem()
	}
	return t
}

// example is the shortest JSON of a type of a table.
func example(want string) string {
	switch {
	case strings.HasPrefix(want, "[]"), want == "array":
		return "[]"
	case want == "string", want == "string(byte)", want == "any":
		return `"1"`
	case want == "integer", want == "number", want == "integer|string", want == "int-or-string":
		return "1"
	case want == "boolean":
		return "true"
	}
	return "{}"
}

// jsonFields returns the fields of a struct by their JSON names.
func jsonFields(t reflect.Type) map[string]reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	out := map[string]reflect.Type{}
	if t.Kind() != reflect.Struct {
		return out
	}
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" && f.Anonymous {
			for k, v := range jsonFields(f.Type) {
				if _, shadowed := out[k]; !shadowed {
					out[k] = v
				}
			}
			continue
		}
		if name != "" && name != "-" {
			out[name] = f.Type
		}
	}
	return out
}
