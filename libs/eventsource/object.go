package eventsource

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/tidwall/gjson"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
)

// Objects says which objects of the cluster a resource source tells of, by what is in
// them. Source: Argo Events, LabelSelector and filterFields of the resource source.
type Objects struct {
	// Labels is for the API server.
	Labels labels.Selector
	fields []fieldPattern
}

// fieldPattern is one condition on a field. Its value is a regular expression that may
// match anywhere, as upstream has it.
type fieldPattern struct {
	path    string
	pattern *regexp.Regexp
	not     bool
}

// NewObjects reads the filter of a resource source; nil means all objects.
func NewObjects(f *v1alpha1.ResourceFilter) (*Objects, error) {
	out := &Objects{Labels: labels.NewSelector()}
	if f == nil {
		return out, nil
	}
	for i, s := range f.Labels {
		r, err := requirement(s)
		if err != nil {
			return nil, &FieldError{fmt.Sprintf("filter.labels[%d]", i), err}
		}
		out.Labels = out.Labels.Add(*r)
	}
	for i, s := range f.Fields {
		p, err := newFieldPattern(s)
		if err != nil {
			return nil, &FieldError{fmt.Sprintf("filter.fields[%d]", i), err}
		}
		out.fields = append(out.fields, p)
	}
	return out, nil
}

// requirement reads a condition on a label.
func requirement(s v1alpha1.EventSelector) (*labels.Requirement, error) {
	operation := selection.Operator(s.Operation)
	if operation == "" {
		operation = selection.Equals
	}
	values := []string{s.Value}
	switch {
	case s.Value == "" && (operation == selection.Exists || operation == selection.DoesNotExist):
		values = nil
	case operation == selection.In || operation == selection.NotIn:
		values = strings.Split(s.Value, ",")
		for i := range values {
			values[i] = strings.TrimSpace(values[i])
		}
	}
	r, err := labels.NewRequirement(s.Key, operation, values)
	if err != nil {
		return nil, fmt.Errorf(
			"key %q, operation %q, value %q: %w; operations are =, ==, !=, in, notin, exists, !, gt, lt", s.Key,
			s.Operation, s.Value, err,
		)
	}
	return r, nil
}

func newFieldPattern(s v1alpha1.EventSelector) (fieldPattern, error) {
	p := fieldPattern{path: s.Key}
	switch s.Operation {
	case "", "=", "==":
	case "!=":
		p.not = true
	default:
		return p, fmt.Errorf("operation %q of %s is none of =, ==, !=", s.Operation, s.Key)
	}
	if s.Key == "" {
		return p, fmt.Errorf("key is empty; a path such as metadata.annotations.state is wanted")
	}
	var err error
	if p.pattern, err = regexp.Compile(s.Value); err != nil {
		return p, fmt.Errorf("value of %s: %w; a regular expression is wanted", s.Key, err)
	}
	return p, nil
}

// Keep says whether an object, as JSON, fits the conditions on fields. A field that is
// not there fits none, != included, as upstream has it; numbers and truth values are
// compared as they are written, which upstream takes for nothing.
func (o *Objects) Keep(object []byte) bool {
	for _, f := range o.fields {
		value := gjson.GetBytes(object, f.path)
		if !value.Exists() || f.pattern.MatchString(value.String()) == f.not {
			return false
		}
	}
	return true
}

// ObjectEvents are the types of events of a resource source.
var ObjectEvents = []string{"ADD", "UPDATE", "DELETE"}
