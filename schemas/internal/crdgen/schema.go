// Package crdgen writes the OpenAPI schemas of our CustomResourceDefinitions from the Go types.
//
// Promise: every field of a type stands in its schema, with the type that the decoder takes. Every object keeps fields
// that it does not know, since manifests of the Argo projects carry some and become a warning instead of a refusal, and
// no field is required, since services say what is missing in the object's own status.
package crdgen

import (
	"encoding/json"
	"reflect"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Schema is one node of an OpenAPI v3 schema.
type Schema = map[string]any

// Keys of a schema that Kubernetes adds to OpenAPI.
const (
	keepUnknown = "x-kubernetes-preserve-unknown-fields"
	intOrString = "x-kubernetes-int-or-string"
)

// ours is the prefix of packages whose types are written out. Types of Kubernetes itself are kept whole and unchecked:
// their definitions are long, and the API server checks them where they end up, in a pod.
const ours = "github.com/argosy-mesh/argosy/"

// special are types whose JSON is not what their Go kind says.
func special() map[reflect.Type]Schema {
	return map[reflect.Type]Schema{
		reflect.TypeFor[metav1.Time]():        {"type": "string", "format": "date-time"},
		reflect.TypeFor[metav1.MicroTime]():   {"type": "string", "format": "date-time"},
		reflect.TypeFor[metav1.Duration]():    {"type": "string"},
		reflect.TypeFor[intstr.IntOrString](): {intOrString: true},
		reflect.TypeFor[resource.Quantity]():  anything(),
	}
}

// stored reports what a status keeps whole of a spec that was checked when it was written. Checking it again would
// double definitions that are near the size an API server takes.
func stored(outer, t reflect.Type) bool {
	return strings.HasSuffix(outer.Name(), "Status") && (t.Name() == "Template" || t.Name() == "WorkflowSpec")
}

// expanded are types of Kubernetes that are small and often mistyped.
func expanded(t reflect.Type) bool {
	switch t.Name() {
	case "SecretKeySelector", "ConfigMapKeySelector", "LocalObjectReference":
		return t.PkgPath() == "k8s.io/api/core/v1"
	}
	return false
}

// Of returns the schema of a Go type as it is written in JSON.
func Of(t reflect.Type) Schema { return (&walk{special: special()}).of(t) }

type walk struct {
	special map[reflect.Type]Schema
	within  []reflect.Type // structs that are being written, outermost first
}

func (w *walk) of(t reflect.Type) Schema {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if s, ok := w.special[t]; ok {
		return s
	}
	if reads(t) && !plain(t) {
		// It takes more forms than one schema type can say.
		return anything()
	}
	switch t.Kind() {
	case reflect.String:
		return Schema{"type": "string"}
	case reflect.Bool:
		return Schema{"type": "boolean"}
	case reflect.Int32, reflect.Uint32:
		return Schema{"type": "integer", "format": "int32"}
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return Schema{"type": "integer", "format": "int64"}
	case reflect.Float32, reflect.Float64:
		return Schema{"type": "number"}
	case reflect.Slice, reflect.Array:
		return w.list(t)
	case reflect.Map:
		return Schema{"type": "object", "additionalProperties": w.of(t.Elem())}
	case reflect.Struct:
		return w.object(t)
	}
	return anything()
}

func (w *walk) list(t reflect.Type) Schema {
	if t.Elem().Kind() == reflect.Uint8 {
		return Schema{"type": "string", "format": "byte"}
	}
	return Schema{"type": "array", "items": w.of(t.Elem())}
}

func (w *walk) object(t reflect.Type) Schema {
	out := Schema{"type": "object", keepUnknown: true}
	foreign := !strings.HasPrefix(t.PkgPath(), ours) && !expanded(t)
	for _, outer := range w.within {
		// A schema cannot refer to itself, so that recursion is left unchecked.
		foreign = foreign || outer == t || stored(outer, t)
	}
	if foreign {
		return out
	}
	w.within = append(w.within, t)
	defer func() { w.within = w.within[:len(w.within)-1] }()
	properties := Schema{}
	w.fields(t, properties)
	if len(properties) > 0 {
		out["properties"] = properties
	}
	return out
}

func (w *walk) fields(t reflect.Type, into Schema) {
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "" && f.Anonymous:
			w.fields(f.Type, into)
		case name == "-" || !f.IsExported():
		default:
			into[name] = w.of(f.Type)
		}
	}
}

// plain are types that read more of the same form than they have fields for.
func plain(t reflect.Type) bool { return t.Name() == "WorkflowSpec" }

func anything() Schema { return Schema{keepUnknown: true} }

func reads(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]())
}
