package health

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// view reads fields without errors: what is missing or of another type is zero.
type view struct{ o map[string]any }

func (v view) value(fields ...string) any {
	value, _, _ := unstructured.NestedFieldNoCopy(v.o, fields...)
	return value
}

func (v view) text(fields ...string) string {
	s, _ := v.value(fields...).(string)
	return s
}

func (v view) flag(fields ...string) bool {
	b, _ := v.value(fields...).(bool)
	return b
}

// no reports whether a field is there and false.
func (v view) no(fields ...string) bool {
	b, ok := v.value(fields...).(bool)
	return ok && !b
}

func (v view) count(fields ...string) int64 {
	n, _ := v.number(fields...)
	return n
}

func (v view) number(fields ...string) (int64, bool) {
	switch n := v.value(fields...).(type) {
	case int64:
		return n, true
	case float64:
		return int64(n), true
	}
	return 0, false
}

func (v view) has(fields ...string) bool { return v.value(fields...) != nil }

func (v view) at(fields ...string) view {
	m, _ := v.value(fields...).(map[string]any)
	return view{m}
}

func (v view) list(fields ...string) []view {
	list, _ := v.value(fields...).([]any)
	var out []view
	for _, item := range list {
		if m, ok := item.(map[string]any); ok {
			out = append(out, view{m})
		}
	}
	return out
}

// condition is one entry of status.conditions, or of a list of that shape elsewhere.
type condition struct {
	kind, status, reason, message string
	severity                      string
	generation                    int64 // 0 when it is not told
}

func (c condition) is(status string) bool { return c.status == status }

// because is what a person reads of it.
func (c condition) because() string {
	if c.message != "" {
		return c.message
	}
	return c.reason
}

// conditions reads a list of conditions.
func (v view) conditions(fields ...string) []condition {
	var out []condition
	for _, c := range v.list(fields...) {
		out = append(out, condition{
			c.text("type"), truth(c.value("status")), c.text("reason"), c.text("message"), c.text("severity"),
			c.count("observedGeneration"),
		})
	}
	return out
}

// truth reads the status of a condition, which some write as a boolean.
func truth(status any) string {
	switch x := status.(type) {
	case string:
		return x
	case bool:
		if x {
			return "True"
		}
		return "False"
	}
	return ""
}

// condition is the condition of a type in status, zero when there is none.
func (v view) condition(kind string) condition {
	for _, c := range v.conditions("status", "conditions") {
		if c.kind == kind {
			return c
		}
	}
	return condition{}
}

func (v view) replicas() int64 {
	if v.has("spec", "replicas") {
		return v.count("spec", "replicas")
	}
	return 1
}

func (v view) generation() int64 { return v.count("metadata", "generation") }

// stale reports whether the status is of an older spec. Without a generation in status it is where the kind is known
// to tell one.
func (v view) stale() bool { return v.generation() > v.count("status", "observedGeneration") }

// outdated is stale for kinds that may not tell a generation.
func (v view) outdated() bool {
	seen, told := v.number("status", "observedGeneration")
	return told && seen >= 0 && v.generation() > seen
}

func (v view) annotation(name string) string { return v.text("metadata", "annotations", name) }

func (v view) kind() string { return v.text("kind") }

func (v view) deleting() bool { return v.has("metadata", "deletionTimestamp") }

// empty reports whether nothing was written into status: zeros and empty texts are nothing.
func (v view) empty() bool {
	for _, value := range v.at("status").o {
		switch x := value.(type) {
		case nil:
		case string:
			if x != "" {
				return false
			}
		case int64:
			if x != 0 {
				return false
			}
		default:
			return false
		}
	}
	return true
}
