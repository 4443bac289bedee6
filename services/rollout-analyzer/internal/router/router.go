// Package router drives what splits traffic: one descriptor for each kind of router, in a file of its own.
//
// Promise: a router only changes the shares of the two services that a Rollout names, and its own mark.
package router

import (
	"reflect"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core/traffic"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Router is one system that splits traffic, and all that the rest knows of it. None of its functions does I/O: the
// controller reads, watches and writes the objects.
type Router struct {
	// Field is its place below trafficRouting.
	Field string
	// Kind is the kind of the objects that it writes to.
	Kind schema.GroupVersionKind
	// Refs returns the objects that a configuration names. named says whether it is about this router at all.
	Refs func(namespace string, t *v1alpha1.RolloutTrafficRouting) (refs []traffic.Ref, named bool, err error)
	// Observe returns the shares that an object gives to two services.
	Observe func(u *unstructured.Unstructured, canary, stable string) traffic.Observed
	// Apply writes the shares into an object.
	Apply func(u *unstructured.Unstructured, split traffic.Split)
}

// Routers are those that are served.
var Routers = []Router{gatewayAPI}

// ByKind returns the router of a kind of objects.
func ByKind(kind string) (Router, bool) {
	i := slices.IndexFunc(Routers, func(r Router) bool { return r.Kind.Kind == kind })
	if i < 0 {
		return Router{}, false
	}
	return Routers[i], true
}

// New returns an empty object to read into.
func (r Router) New() *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(r.Kind)
	return u
}

// Read returns what the routers make of the configuration of a Rollout. One without traffic routing names nothing.
func Read(ro *v1alpha1.Rollout) traffic.Routing {
	c := ro.Spec.Strategy.Canary
	out := traffic.Routing{Refs: map[string][]traffic.Ref{}}
	if c == nil || c.TrafficRouting == nil {
		return out
	}
	var named []string
	for _, r := range Routers {
		refs, is, err := r.Refs(ro.Namespace, c.TrafficRouting)
		if !is {
			continue
		}
		named = append(named, r.Field)
		if err != nil {
			out.Problems = append(out.Problems, traffic.Problem{Field: r.Field, Reason: err.Error()})
			continue
		}
		out.Refs[r.Field] = refs
	}
	for _, field := range given(c.TrafficRouting) {
		if !slices.Contains(named, field) {
			out.Problems = append(out.Problems, traffic.Problem{Field: field, Reason: "is not served by this version"})
		}
	}
	if len(named) == 0 && len(out.Problems) == 0 {
		out.Problems = append(
			out.Problems, traffic.Problem{Field: "plugins." + gatewayPlugin, Reason: "no router is named"},
		)
	}
	return out
}

// given are the fields of a configuration that name a router, whether it is served or not.
func given(t *v1alpha1.RolloutTrafficRouting) (out []string) {
	v := reflect.ValueOf(t).Elem()
	for field, value := range v.Fields() {
		// What is a pointer to a block is a router; numbers and lists are settings.
		if field.Type.Kind() == reflect.Pointer && field.Type.Elem().Kind() == reflect.Struct && !value.IsNil() {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			out = append(out, name)
		}
	}
	for name := range t.Plugins {
		out = append(out, "plugins."+name)
	}
	slices.Sort(out)
	return out
}
