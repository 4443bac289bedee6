package eventsource

import (
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"k8s.io/apimachinery/pkg/labels"
)

// Case 10: fields are paths, and values are patterns.
func TestFieldsOfObjects(t *testing.T) {
	object := []byte(
		`{"metadata":{"name":"shop-eu","annotations":{"state":"done","a.b/c":"x"},"labels":{"app":"web"}},"data":{"v":"2"},"spec":{"replicas":3,"paused":true,"list":[{"name":"a"}],"empty":""},"status":{"phase":"Running"}}`,
	)
	for name, c := range map[string]struct {
		key, operation, value string
		keep                  bool
	}{
		"data":                  {"data.v", "==", "2", true},
		"other data":            {"data.v", "==", "3", false},
		"annotation":            {"metadata.annotations.state", "==", "done", true},
		"annotation with a dot": {`metadata.annotations.a\.b/c`, "=", "x", true},
		"pattern":               {"metadata.name", "==", "^shop-(eu|us)$", true},
		"pattern, not":          {"metadata.name", "!=", "^shop-(eu|us)$", false},
		"pattern in the middle": {"metadata.name", "==", "op-e", true},
		"no operation":          {"status.phase", "", "Running", true},
		"a number":              {"spec.replicas", "==", "^3$", true},
		"not a number":          {"spec.replicas", "!=", "^3$", false},
		"a truth":               {"spec.paused", "==", "true", true},
		"a list":                {"spec.list.0.name", "==", "a", true},
		"all of a list":         {"spec.list.#.name", "==", `\["a"\]`, true},
		"empty":                 {"spec.empty", "==", "^$", true},
		"missing":               {"spec.none", "==", "", false},
		"missing, not":          {"spec.none", "!=", "x", false},
	} {
		o, err := NewObjects(
			&v1alpha1.ResourceFilter{
				Fields: []v1alpha1.EventSelector{{Key: c.key, Operation: c.operation, Value: c.value}},
			},
		)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := o.Keep(object); got != c.keep {
			t.Errorf("%s: %v", name, got)
		}
	}
	two := &v1alpha1.ResourceFilter{
		Fields: []v1alpha1.EventSelector{{Key: "data.v", Value: "2"}, {Key: "status.phase", Value: "Failed"}},
	}
	if o, err := NewObjects(two); err != nil || o.Keep(object) {
		t.Errorf("all conditions count: %v", err)
	}
	for name, s := range map[string]v1alpha1.EventSelector{
		"operation": {Key: "a", Operation: "in", Value: "b"}, "pattern": {Key: "a", Value: "("}, "key": {Value: "a"},
	} {
		if _, err := NewObjects(&v1alpha1.ResourceFilter{Fields: []v1alpha1.EventSelector{s}}); err == nil {
			t.Errorf("%s: not refused", name)
		}
	}
}

// Case 11: labels with all of upstream's operators.
func TestLabelsOfObjects(t *testing.T) {
	for name, c := range map[string]struct {
		s    v1alpha1.EventSelector
		keep bool
	}{
		"exists":        {v1alpha1.EventSelector{Key: "team", Operation: "exists"}, true},
		"does not":      {v1alpha1.EventSelector{Key: "team", Operation: "!"}, false},
		"none such":     {v1alpha1.EventSelector{Key: "other", Operation: "!"}, true},
		"no operation":  {v1alpha1.EventSelector{Key: "team", Value: "a"}, true},
		"==":            {v1alpha1.EventSelector{Key: "team", Operation: "==", Value: "b"}, false},
		"!=":            {v1alpha1.EventSelector{Key: "team", Operation: "!=", Value: "b"}, true},
		"in":            {v1alpha1.EventSelector{Key: "team", Operation: "in", Value: "a,b"}, true},
		"in with space": {v1alpha1.EventSelector{Key: "team", Operation: "in", Value: "b, a"}, true},
		"notin":         {v1alpha1.EventSelector{Key: "team", Operation: "notin", Value: "a,b"}, false},
		"gt":            {v1alpha1.EventSelector{Key: "n", Operation: "gt", Value: "4"}, true},
		"lt":            {v1alpha1.EventSelector{Key: "n", Operation: "lt", Value: "4"}, false},
		"empty":         {v1alpha1.EventSelector{Key: "void", Operation: "=="}, true},
	} {
		o, err := NewObjects(&v1alpha1.ResourceFilter{Labels: []v1alpha1.EventSelector{c.s}})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := o.Labels.Matches(labels.Set{"team": "a", "n": "5", "void": ""}); got != c.keep {
			t.Errorf("%s: %v", name, got)
		}
	}
	for name, s := range map[string]v1alpha1.EventSelector{
		"operation": {Key: "a", Operation: "like", Value: "b"}, "key": {Key: "a b", Value: "c"},
		"value":               {Key: "a", Value: "no label value!"},
		"exists with a value": {Key: "a", Operation: "exists", Value: "b"},
	} {
		if _, err := NewObjects(&v1alpha1.ResourceFilter{Labels: []v1alpha1.EventSelector{s}}); err == nil {
			t.Errorf("%s: not refused", name)
		}
	}
	if o, err := NewObjects(nil); err != nil || !o.Labels.Empty() || !o.Keep([]byte(`{}`)) {
		t.Errorf("no filter: %v", err)
	}
}

func FuzzObjects(f *testing.F) {
	f.Add("data.v", "==", "^2$", `{"data":{"v":"2"}}`)
	f.Fuzz(func(_ *testing.T, key, operation, value, object string) {
		if o, err := NewObjects(
			&v1alpha1.ResourceFilter{Fields: []v1alpha1.EventSelector{{Key: key, Operation: operation, Value: value}}},
		); err == nil {
			o.Keep([]byte(object))
		}
	})
}
