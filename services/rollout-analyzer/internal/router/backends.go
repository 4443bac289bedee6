package router

import (
	"fmt"
	"slices"

	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core/traffic"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// observeBackends reads the weights of the one list of backends of an object.
func observeBackends(in Input, ref traffic.Ref, objects *Objects, name string, path ...string) traffic.Observed {
	u := objects.Get(ref)
	if u == nil {
		return traffic.Observed{Missing: true}
	}
	return weightsOf(in, []any{at(u.Object, path...)}, name)
}

// weightsOf reads lists of backends: name is the field that names a service.
func weightsOf(in Input, lists []any, name string) (out traffic.Observed) {
	canary, stable := in.services()
	paired := false
	for _, list := range lists {
		var c, s map[string]any
		for _, b := range objectsOf(list) {
			switch text(b[name]) {
			case canary:
				c = b
			case stable:
				s = b
			}
		}
		if c != nil && s != nil {
			paired = true
			out.CanaryWeight = max(out.CanaryWeight, whole(c["weight"], 0))
		}
	}
	if !paired {
		out.Problem = fmt.Sprintf("has no rule with both %s and %s", canary, stable)
	}
	return out
}

// shareBackends writes the shares into one list of backends that has both services; another list stays as it is.
func shareBackends(list any, name string, before []string, split traffic.Split) any {
	var canary, stable map[string]any
	for _, b := range objectsOf(list) {
		switch text(b[name]) {
		case split.Canary:
			canary = b
		case split.Stable:
			stable = b
		}
	}
	if canary == nil || stable == nil {
		return list
	}
	canary["weight"], stable["weight"] = number(split.CanaryWeight), number(split.StableWeight())
	items := slices.DeleteFunc(slices.Clone(asList(list)), func(b any) bool {
		backend, _ := b.(map[string]any)
		return slices.Contains(before, text(backend[name]))
	})
	for _, d := range split.Additional {
		further := copied(canary)
		further[name], further["weight"] = d.Service, number(d.Weight)
		items = append(items, further)
	}
	return items
}

// foreign says whose an object is that a router makes beside a named one, empty when it is ours or nobody's.
func foreign(u *unstructured.Unstructured, in Input) string {
	owner := metav1.GetControllerOf(u)
	if owner == nil || owner.Kind == "Rollout" && owner.Name == in.Name {
		return ""
	}
	return "needs " + u.GetKind() + " " + u.GetName() + ", which belongs to " + owner.Kind + " " + owner.Name
}
