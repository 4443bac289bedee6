package router

import (
	"encoding/json"
	"math"
	"strings"

	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core/traffic"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// maps returns the objects of a list, leaving out what is none. They are parts of the tree: writing to one writes to
// it.
func objectsOf(list any) (out []map[string]any) {
	items, _ := list.([]any)
	for _, item := range items {
		if m, is := item.(map[string]any); is {
			out = append(out, m)
		}
	}
	return out
}

// at returns what stands at a path of objects, nil when one of them is missing.
func at(tree map[string]any, path ...string) any {
	var v any = tree
	for _, key := range path {
		m, is := v.(map[string]any)
		if !is {
			return nil
		}
		v = m[key]
	}
	return v
}

// object returns the object at a path, made when it is missing.
func object(tree map[string]any, path ...string) map[string]any {
	for _, key := range path {
		next, is := tree[key].(map[string]any)
		if !is {
			next = map[string]any{}
			tree[key] = next
		}
		tree = next
	}
	return tree
}

func text(v any) string { s, _ := v.(string); return s }

// whole reads a number of a tree, fallback when there is none.
func whole(v any, fallback int32) int32 {
	switch v := v.(type) {
	case int64:
		return int32(min(max(v, 0), math.MaxInt32))
	case float64:
		return int32(min(max(v, 0), math.MaxInt32))
	case int32:
		return v
	default:
		return fallback
	}
}

func number(n int32) int64 { return int64(n) }

// host is the service that a host name of a mesh means: its first label.
func host(v any) string {
	name, _, _ := strings.Cut(text(v), ".")
	return name
}

func annotate(u *unstructured.Unstructured, key, value string) {
	all := u.GetAnnotations()
	if all == nil {
		all = map[string]string{}
	}
	all[key] = value
	u.SetAnnotations(all)
}

func unannotate(u *unstructured.Unstructured, key string) {
	all := u.GetAnnotations()
	if _, has := all[key]; has {
		delete(all, key)
		if len(all) == 0 {
			all = nil
		}
		u.SetAnnotations(all)
	}
}

// plain turns a value into what a decoded tree would hold.
func plain(v any) any {
	data, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	var out any
	decoder := json.NewDecoder(strings.NewReader(string(data)))
	decoder.UseNumber()
	if err := decoder.Decode(&out); err != nil {
		return nil
	}
	return integers(out)
}

// integers replaces numbers by those that trees of Kubernetes hold.
func integers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, err := v.Float64()
		if err != nil {
			return v.String()
		}
		return f
	case map[string]any:
		for k := range v {
			v[k] = integers(v[k])
		}
	case []any:
		for i := range v {
			v[i] = integers(v[i])
		}
	}
	return v
}

func copied(v map[string]any) map[string]any {
	out, _ := plain(v).(map[string]any)
	return out
}

// annotationExperiments holds the services of experiments that a router object sends traffic to.
const annotationExperiments = "argosy.dev/experiment-services"

// track notes in an object which services of experiments it will send traffic to, and returns those of before.
func track(u *unstructured.Unstructured, split traffic.Split) (before []string) {
	if had := u.GetAnnotations()[annotationExperiments]; had != "" {
		before = strings.Split(had, ",")
	}
	var now []string
	for _, d := range split.Additional {
		now = append(now, d.Service)
	}
	if len(now) == 0 {
		unannotate(u, annotationExperiments)
		return before
	}
	annotate(u, annotationExperiments, strings.Join(now, ","))
	return before
}
