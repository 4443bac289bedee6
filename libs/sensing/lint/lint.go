// Package lint says what is wrong with the manifest of a Sensor before it runs, with
// the line of each finding. It compiles what the service would compile.
package lint

import (
	"errors"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/libs/sensing/check"
	"github.com/argosy-mesh/argosy/schemas/argoproj/lint"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// Sensor looks at one manifest. A text that is not YAML is one finding.
func Sensor(text []byte) []lint.Finding {
	object, lines, err := lint.Read(text)
	if err != nil {
		return []lint.Finding{{Message: err.Error(), Line: 1, Severity: lint.Error}}
	}
	s, warnings, err := v1alpha1.DecodeTolerant[v1alpha1.Sensor](object)
	var out []lint.Finding
	add := func(severity lint.Severity, path, message string) {
		out = append(out, lint.Finding{Path: path, Message: message, Line: lines.Of(path), Severity: severity})
	}
	for _, w := range warnings {
		add(lint.Warning, w.Path, w.Message)
	}
	unread := fields(err)
	for _, e := range unread {
		add(lint.Error, e.Path, e.Err.Error())
	}
	found := check.Sensor(s)
	for _, p := range found.Problems {
		// What could not be read looks empty.
		if slices.ContainsFunc(
			unread,
			func(e *v1alpha1.FieldError) bool { return strings.HasPrefix(e.Path, p.Path) && p.Path != "" },
		) {
			continue
		}
		add(lint.Error, p.Path, p.Err.Error())
	}
	for _, p := range found.Warnings {
		add(lint.Warning, p.Path, p.Err.Error())
	}
	if len(s.Spec.Dependencies) == 0 {
		add(lint.Error, "spec.dependencies", "is empty")
	}
	slices.SortStableFunc(out, func(a, b lint.Finding) int { return a.Line - b.Line })
	return out
}

// fields splits the error of the decoder.
func fields(err error) []*v1alpha1.FieldError {
	if err == nil {
		return nil
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var out []*v1alpha1.FieldError
		for _, e := range many.Unwrap() {
			out = append(out, fields(e)...)
		}
		return out
	}
	if f, ok := errors.AsType[*v1alpha1.FieldError](err); ok {
		return []*v1alpha1.FieldError{f}
	}
	return []*v1alpha1.FieldError{{Err: err}}
}
