package scope

import (
	"fmt"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/libs/flow/exactjson"
	"github.com/argosy-mesh/argosy/libs/flow/expression"
	"github.com/argosy-mesh/argosy/libs/flow/tag"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// ParameterValue is what a parameter says itself: its value, else its default.
func ParameterValue(p v1alpha1.Parameter) (string, bool) {
	switch {
	case p.Value != nil:
		return p.Value.String(), true
	case p.Default != nil:
		return p.Default.String(), true
	case p.ValueFrom != nil && p.ValueFrom.Default != nil:
		return p.ValueFrom.Default.String(), true
	}
	return "", false
}

// Settle gives parameters their values, each after those that it mentions.
func (s Scope) Settle(prefix string, open []Parameter) error {
	mentions := make([][]string, len(open))
	waits := map[string]bool{}
	for i, p := range open {
		mentions[i] = mentionedParameters(p.Text)
		waits[prefix+p.Name] = true
	}
	for len(waits) > 0 {
		moved := false
		for i, p := range open {
			name := prefix + p.Name
			if !waits[name] || slices.ContainsFunc(mentions[i], func(m string) bool { return waits[m] }) {
				continue
			}
			value, err := s.Text(p.Text)
			if err != nil {
				return fmt.Errorf("%q: %w", p.Name, err)
			}
			s.values[name], moved = value, true
			delete(waits, name)
		}
		if !moved {
			at := slices.IndexFunc(open, func(p Parameter) bool { return waits[prefix+p.Name] })
			return fmt.Errorf("%q: its value mentions itself, if by way of others: %s", open[at].Name,
				exactjson.Abbreviate(open[at].Text))
		}
	}
	return nil
}

// Parameter is a parameter whose value may mention others of its list.
type Parameter struct{ Name, Text string }

// mentionedParameters are the parameters that a text mentions, in tags and in expressions.
func mentionedParameters(text string) []string {
	var names []string
	for _, tag := range tag.List(text) {
		if source, ok := strings.CutPrefix(tag, "="); ok {
			names = append(names, expression.Parameters(source)...)
			continue
		}
		names = append(names, tag)
	}
	return names
}

// ParametersText lists parameters as JSON in the order of fields that programs in pods have met so far. Source: Argo
// Workflows.
func ParametersText(list []v1alpha1.Parameter) string {
	type shown struct {
		Name        string               `json:"name"`
		Default     *v1alpha1.AnyString  `json:"default,omitempty"`
		Value       *v1alpha1.AnyString  `json:"value,omitempty"`
		GlobalName  string               `json:"globalName,omitempty"`
		Description *v1alpha1.AnyString  `json:"description,omitempty"`
		Enum        []v1alpha1.AnyString `json:"enum,omitempty"`
	}
	var all []shown
	for _, p := range list {
		all = append(all, shown{p.Name, p.Default, p.Value, p.GlobalName, p.Description, p.Enum})
	}
	return exactjson.Text(all)
}
