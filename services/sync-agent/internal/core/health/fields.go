package health

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// view reads fields without errors: what is missing or of another type is zero.
type view struct{ o map[string]any }

func (v view) text(fields ...string) string {
	s, _, _ := unstructured.NestedString(v.o, fields...)
	return s
}

func (v view) flag(fields ...string) bool {
	b, _, _ := unstructured.NestedBool(v.o, fields...)
	return b
}

func (v view) count(fields ...string) int64 {
	value, _, _ := unstructured.NestedFieldNoCopy(v.o, fields...)
	switch n := value.(type) {
	case int64:
		return n
	case float64:
		return int64(n)
	}
	return 0
}

func (v view) has(fields ...string) bool {
	_, found, err := unstructured.NestedFieldNoCopy(v.o, fields...)
	return found && err == nil
}

func (v view) list(fields ...string) []view {
	items, _, _ := unstructured.NestedFieldNoCopy(v.o, fields...)
	list, _ := items.([]any)
	var out []view
	for _, item := range list {
		if m, ok := item.(map[string]any); ok {
			out = append(out, view{m})
		}
	}
	return out
}

func (v view) condition(kind string) (status, reason, message string) {
	for _, c := range v.list("status", "conditions") {
		if c.text("type") == kind {
			return c.text("status"), c.text("reason"), c.text("message")
		}
	}
	return "", "", ""
}

func (v view) replicas() int64 {
	if v.has("spec", "replicas") {
		return v.count("spec", "replicas")
	}
	return 1
}

func (v view) stale() bool {
	return v.count("metadata", "generation") > v.count("status", "observedGeneration")
}
