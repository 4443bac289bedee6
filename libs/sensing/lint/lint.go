// Package lint says what is wrong with the manifest of a Sensor before it runs, with
// the line of each finding. It compiles what the service would compile.
package lint

import (
	"errors"
	"fmt"
	"slices"

	"github.com/argosy-mesh/argosy/libs/sensing"
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
	for _, e := range fields(err) {
		add(lint.Error, e.Path, e.Err.Error())
	}
	options, err := sensing.ParseOptions(s.Annotations[sensing.OptionsAnnotation])
	if err != nil {
		add(lint.Error, "metadata.annotations", err.Error())
	}
	for _, p := range sensing.Compile(&s.Spec, options).Problems() {
		add(lint.Error, p.Path, p.Err.Error())
	}
	if len(s.Spec.Dependencies) == 0 {
		add(lint.Error, "spec.dependencies", "is empty")
	}
	for i := range s.Spec.Triggers {
		parameters(s, i, add)
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

// parameters finds parameters of dependencies that do not exist.
func parameters(s *v1alpha1.Sensor, i int, add func(severity lint.Severity, path, message string)) {
	known := map[string]bool{}
	for j := range s.Spec.Dependencies {
		known[s.Spec.Dependencies[j].Name] = true
	}
	for j, p := range s.Spec.Triggers[i].Parameters {
		path := fmt.Sprintf("spec.triggers[%d].parameters[%d]", i, j)
		switch {
		case p.Src == nil:
			add(lint.Error, path, "src: is missing")
		case !known[p.Src.DependencyName]:
			add(lint.Error, path+".src", fmt.Sprintf("no dependency is named %q", p.Src.DependencyName))
		case p.Dest == "":
			add(lint.Error, path, "dest: is empty")
		}
	}
}
