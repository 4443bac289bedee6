package v1alpha1

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
)

// FieldWarning is something in an object that has no effect, or another one than it seems.
//
// +kubebuilder:object:generate=false
type FieldWarning struct {
	// Path is where it stands, such as spec.template.spec.containers[0].imag.
	Path string
	// Message says what is the matter.
	Message string
}

// String returns "path: message".
func (w FieldWarning) String() string { return w.Path + ": " + w.Message }

// FieldError is a field whose value cannot be read. Every error of [DecodeTolerant] wraps one or more.
//
// +kubebuilder:object:generate=false
type FieldError struct {
	// Path is where it stands.
	Path string
	// Err says why it cannot be read.
	Err error
}

// Error returns "path: reason".
func (e *FieldError) Error() string { return e.Path + ": " + e.Err.Error() }

// Unwrap returns the reason.
func (e *FieldError) Unwrap() error { return e.Err }

// DecodeTolerant reads an object as far as it can be read. Unknown fields are left out and become warnings. Fields
// that cannot be read are left out and become the error, one [FieldError] each; the returned value then holds
// the rest, so that a caller can still name and mark the object.
func DecodeTolerant[T any](object map[string]any) (*T, []FieldWarning, error) {
	into := new(T)
	var d decoding
	clean, _ := d.value(object, reflect.TypeFor[T](), "")
	text, err := json.Marshal(clean)
	if err != nil {
		return into, d.warnings, fmt.Errorf("encode the readable part: %w", err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		d.refuse("", err)
	}
	return into, d.warnings, errors.Join(d.errs...)
}

// decoding collects what is found on the way.
//
// +kubebuilder:object:generate=false
type decoding struct {
	warnings []FieldWarning
	errs     []error
}

func (d *decoding) refuse(path string, err error) {
	d.errs = append(d.errs, &FieldError{Path: path, Err: err})
}

func (d *decoding) warn(path, message string) {
	d.warnings = append(d.warnings, FieldWarning{Path: path, Message: message})
}

// value returns the part of v that t can read, and whether there is one.
func (d *decoding) value(v any, t reflect.Type, path string) (any, bool) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if v == nil {
		return nil, true
	}
	switch v := v.(type) {
	case map[string]any:
		if t.Kind() == reflect.Struct && walkable(t) {
			return d.object(v, t, path), true
		}
		if t.Kind() == reflect.Map && !unmarshals(t) {
			return d.table(v, t.Elem(), path), true
		}
	case []any:
		if t.Kind() == reflect.Slice && !unmarshals(t) && t.Elem().Kind() != reflect.Uint8 {
			return d.list(v, t.Elem(), path), true
		}
		if t == reflect.TypeFor[ParallelSteps]() {
			return d.list(v, reflect.TypeFor[WorkflowStep](), path), true
		}
	}
	return d.leaf(v, t, path)
}

// leaf tries to read v as t.
func (d *decoding) leaf(v any, t reflect.Type, path string) (any, bool) {
	switch v.(type) {
	case string:
		if t.Kind() == reflect.String && !readsItself(t) {
			return v, true
		}
	case bool:
		if t.Kind() == reflect.Bool && !readsItself(t) {
			return v, true
		}
	}
	text, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(text, reflect.New(t).Interface())
	}
	if err != nil {
		d.refuse(path, err)
		return nil, false
	}
	return v, true
}

func (d *decoding) object(v map[string]any, t reflect.Type, path string) map[string]any {
	known := fieldsOf(t)
	loose := map[string]string{}
	if l, ok := reflect.TypeAssert[looseKeys](reflect.New(t)); ok {
		loose = l.looseKeys()
	}
	if m, ok := reflect.TypeAssert[modernizer](reflect.New(t)); ok {
		now, told := m.modern(v)
		for _, key := range slices.Sorted(maps.Keys(told)) {
			d.warn(join(path, key), told[key])
		}
		v = now
	}
	out := make(map[string]any, len(v))
	for _, key := range sortedKeys(v) {
		at := join(path, key)
		field, ok := known[key]
		if message, is := loose[key]; is {
			d.warn(at, message)
			out[key] = v[key]
			continue
		}
		if !ok {
			d.warn(at, "unknown field")
			continue
		}
		if clean, ok := d.value(v[key], field, at); ok {
			out[key] = clean
		}
	}
	return out
}

func (d *decoding) table(v map[string]any, elem reflect.Type, path string) map[string]any {
	out := make(map[string]any, len(v))
	for _, key := range sortedKeys(v) {
		if clean, ok := d.value(v[key], elem, join(path, key)); ok {
			out[key] = clean
		}
	}
	return out
}

func (d *decoding) list(v []any, elem reflect.Type, path string) []any {
	out := make([]any, 0, len(v))
	for i := range v {
		if clean, ok := d.value(v[i], elem, path+"["+strconv.Itoa(i)+"]"); ok {
			out = append(out, clean)
		}
	}
	return out
}

// fieldsKnown are the answers of fieldsOf, by type: objects are decoded at each look at them.
var fieldsKnown sync.Map

// fieldsOf returns the JSON fields of a struct, those of embedded structs included. They are not to be changed.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	if known, ok := fieldsKnown.Load(t); ok {
		return known.(map[string]reflect.Type) //nolint:forcetypeassert // nothing else is put there
	}
	known, _ := fieldsKnown.LoadOrStore(t, readFields(t))
	return known.(map[string]reflect.Type) //nolint:forcetypeassert // nothing else is put there
}

func readFields(t reflect.Type) map[string]reflect.Type {
	out := map[string]reflect.Type{}
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-" || !f.IsExported():
		case name == "" && f.Anonymous:
			for k, v := range fieldsOf(f.Type) {
				if _, shadowed := out[k]; !shadowed {
					out[k] = v
				}
			}
		default:
			out[name] = f.Type
		}
	}
	return out
}

// walkable reports whether the fields of a struct may be looked at one by one.
func walkable(t reflect.Type) bool {
	if _, ok := reflect.TypeAssert[looseKeys](reflect.New(t)); ok {
		return true
	}
	return !unmarshals(t)
}

func unmarshals(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]())
}

// readsItself reports whether a type has a say in how it is read.
func readsItself(t reflect.Type) bool {
	return unmarshals(t) || reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
