// Package router drives what splits traffic: one descriptor for each kind of router, in a file of its own.
//
// Promise: a router is a function on trees. It changes the shares of the services that a Rollout names, the routes
// that its steps manage, and its own marks; everything else stays as it is. The controller reads, watches and writes.
package router

import (
	"reflect"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core/traffic"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Router is one system that splits traffic, and all that the rest knows of it.
type Router struct {
	// Field is its place below trafficRouting.
	Field string
	// Kinds are those of the objects that it reads and writes, with the versions it knows, the preferred one first.
	Kinds []Kind
	// Refs returns the objects that a configuration names. named says whether it is about this router at all.
	Refs func(in Input) (refs []traffic.Ref, named bool, err error)
	// Observe says what an object says. What is not in objects is asked for there, read, and Observe called again.
	Observe func(in Input, ref traffic.Ref, objects *Objects) traffic.Observed
	// Apply writes a split into objects.
	Apply func(in Input, ref traffic.Ref, objects *Objects, split traffic.Split)
	// Headers, Mirrors and Weights say what it can do beside sharing between two services.
	Headers, Mirrors, Weights bool
	// Total reports whether it takes another total than 100.
	Total bool
	// PingPong reports whether two services may swap their roles.
	PingPong bool
}

// Kind is a kind of objects and the versions of it that a router can read.
type Kind struct {
	schema.GroupKind

	Versions []string
}

// Input is what a router may know of a Rollout.
type Input struct {
	// Namespace and Name are those of the Rollout.
	Namespace, Name string
	// Canary is its strategy.
	Canary *v1alpha1.CanaryStrategy
	// Swapped says that the pong service is the stable one now.
	Swapped bool
}

// Routing is the configuration.
func (in Input) Routing() *v1alpha1.RolloutTrafficRouting { return in.Canary.TrafficRouting }

// services are the names of the services that share the traffic, in the roles that they have now.
func (in Input) services() (canary, stable string) {
	if p := in.Canary.PingPong; p != nil && in.Swapped {
		return p.PingService, p.PongService
	} else if p != nil {
		return p.PongService, p.PingService
	}
	return in.Canary.CanaryService, in.Canary.StableService
}

// InputOf is what a router may know of ro, which has a canary strategy.
func InputOf(ro *v1alpha1.Rollout) Input {
	return Input{
		Namespace: ro.Namespace, Name: ro.Name, Canary: ro.Spec.Strategy.Canary,
		Swapped: ro.Status.Canary.StablePingPong == v1alpha1.PingPongPong,
	}
}

// Routers are those that are served.
var Routers = []Router{
	gatewayAPI, istio, nginx, alb, smi, traefik, apisix, ambassador, appMesh, contour,
}

// Read returns what the routers make of the configuration of a Rollout. One without traffic routing names nothing.
func Read(ro *v1alpha1.Rollout) traffic.Routing {
	c := ro.Spec.Strategy.Canary
	out := traffic.Routing{Refs: map[string][]traffic.Ref{}, Headers: true, Mirrors: true, Weights: true}
	if c == nil || c.TrafficRouting == nil {
		return out
	}
	var named []string
	for _, r := range Routers {
		refs, is, err := r.Refs(InputOf(ro))
		if !is {
			continue
		}
		named = append(named, r.Field)
		problem := ""
		switch {
		case err != nil:
			problem = err.Error()
		case c.PingPong != nil && !r.PingPong:
			problem = "cannot swap the services of pingPong"
		case c.TrafficRouting.MaxTrafficWeight != nil && *c.TrafficRouting.MaxTrafficWeight != 100 && !r.Total:
			problem = "takes no other maxTrafficWeight than 100"
		}
		if problem != "" {
			out.Problems = append(out.Problems, traffic.Problem{Field: r.Field, Reason: problem})
			continue
		}
		out.Refs[r.Field] = refs
		out.Headers, out.Mirrors = out.Headers && r.Headers, out.Mirrors && r.Mirrors
		out.Weights = out.Weights && r.Weights
	}
	for _, field := range given(c.TrafficRouting) {
		if !slices.Contains(named, field) {
			out.Problems = append(
				out.Problems,
				traffic.Problem{Field: field, Reason: "is not served by this version"},
			)
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
