package v1alpha1

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// EventDependencyFilter says which events of a dependency count. A manifest may also give a plain list of filters
// with scalar values; that form is read as data filters.
type EventDependencyFilter struct {
	// CloudEvents are filters of the CloudEvents Subscriptions API; all must hold.
	CloudEvents         []CloudEventsFilter `json:"cloudEvents,omitempty"`
	Context             *EventContext       `json:"context,omitempty"`
	Data                []DataFilter        `json:"data,omitempty"`
	DataLogicalOperator string              `json:"dataLogicalOperator,omitempty"`
	Exprs               []ExprFilter        `json:"exprs,omitempty"`
	ExprLogicalOperator string              `json:"exprLogicalOperator,omitempty"`
	Script              string              `json:"script,omitempty"`
	Time                *TimeFilter         `json:"time,omitempty"`
}

// UnmarshalJSON takes the object form and the list form.
func (f *EventDependencyFilter) UnmarshalJSON(data []byte) error {
	type plain EventDependencyFilter
	data = bytes.TrimSpace(data)
	if len(data) == 0 || data[0] != '[' {
		return json.Unmarshal(data, (*plain)(f))
	}
	var list []DataFilter
	if err := json.Unmarshal(data, &list); err != nil {
		return fmt.Errorf("read the list form of filters: %w", err)
	}
	f.Data = list
	return nil
}

// CloudEventsFilter is one filter of the CloudEvents Subscriptions API 1.0, section 3.2.4: exactly one field is set.
type CloudEventsFilter struct {
	// Exact wants attributes with these values.
	Exact map[string]string `json:"exact,omitempty"`
	// Prefix wants attributes that begin so.
	Prefix map[string]string `json:"prefix,omitempty"`
	// Suffix wants attributes that end so.
	Suffix map[string]string `json:"suffix,omitempty"`
	// All wants all of the filters to hold.
	All []CloudEventsFilter `json:"all,omitempty"`
	// Any wants one of the filters to hold.
	Any []CloudEventsFilter `json:"any,omitempty"`
	// Not wants the filter not to hold.
	Not *CloudEventsFilter `json:"not,omitempty"`
	// SQL is a CloudEvents SQL expression that must be true.
	SQL string `json:"sql,omitempty"`
}

// filterTypeExact is a type of the list form: a string compared as a whole.
const filterTypeExact = "exact"

// ComparatorExact compares strings as a whole, where "=" takes the value for an unanchored regular expression.
const ComparatorExact = "exact"

// UnmarshalJSON takes value as a list or as one scalar, and the type "exact" as an equal string.
func (f *DataFilter) UnmarshalJSON(data []byte) error {
	type plain DataFilter
	shape := struct {
		*plain
		Value json.RawMessage `json:"value"`
	}{plain: (*plain)(f)}
	if err := json.Unmarshal(data, &shape); err != nil {
		return err
	}
	if f.Type == filterTypeExact {
		f.Type, f.Comparator = "string", ComparatorExact
	}
	value := bytes.TrimSpace(shape.Value)
	if len(value) == 0 {
		return nil
	}
	if value[0] == '[' {
		return json.Unmarshal(value, &f.Value)
	}
	f.Value = make([]AnyString, 1)
	return json.Unmarshal(value, &f.Value[0])
}

// UnmarshalJSON takes inputs of a task as further arguments of it.
func (t *DAGTask) UnmarshalJSON(data []byte) error {
	type plain DAGTask
	shape := struct {
		*plain
		Inputs *Inputs `json:"inputs"`
	}{plain: (*plain)(t)}
	if err := json.Unmarshal(data, &shape); err != nil {
		return err
	}
	if shape.Inputs != nil {
		t.Arguments = t.Arguments.plus(*shape.Inputs)
	}
	return nil
}

// UnmarshalJSON takes inputs of a step as further arguments of it.
func (s *WorkflowStep) UnmarshalJSON(data []byte) error {
	type plain WorkflowStep
	shape := struct {
		*plain
		Inputs *Inputs `json:"inputs"`
	}{plain: (*plain)(s)}
	if err := json.Unmarshal(data, &shape); err != nil {
		return err
	}
	if shape.Inputs != nil {
		s.Arguments = s.Arguments.plus(*shape.Inputs)
	}
	return nil
}

// plus adds what in names and a does not.
func (a *Arguments) plus(in Inputs) *Arguments {
	out := &Arguments{}
	if a != nil {
		out = a.DeepCopy()
	}
	for _, artifact := range in.Artifacts {
		if !out.hasArtifact(artifact.Name) {
			out.Artifacts = append(out.Artifacts, artifact)
		}
	}
	for _, parameter := range in.Parameters {
		if !out.hasParameter(parameter.Name) {
			out.Parameters = append(out.Parameters, parameter)
		}
	}
	return out
}

func (a *Arguments) hasArtifact(name string) bool {
	for i := range a.Artifacts {
		if a.Artifacts[i].Name == name {
			return true
		}
	}
	return false
}

func (a *Arguments) hasParameter(name string) bool {
	for i := range a.Parameters {
		if a.Parameters[i].Name == name {
			return true
		}
	}
	return false
}

// looseKeys names the keys that the type reads although it has no field of that name, and says what becomes of them.
// It also marks a type with its own UnmarshalJSON as one whose fields may be looked at one by one.
type looseKeys interface {
	looseKeys() map[string]string
}

func (DAGTask) looseKeys() map[string]string {
	return map[string]string{
		"inputs":  "read as arguments",
		"outputs": "artifacts are read as optional outputs of its template",
	}
}

func (WorkflowStep) looseKeys() map[string]string {
	return map[string]string{
		"inputs":  "read as arguments",
		"outputs": "artifacts are read as optional outputs of its template",
	}
}

func (EventDependencyFilter) looseKeys() map[string]string { return nil }
