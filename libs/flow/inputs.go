package flow

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/libs/flow/exactjson"
	"github.com/argosy-mesh/argosy/libs/flow/expression"
	"github.com/argosy-mesh/argosy/libs/flow/location"
	"github.com/argosy-mesh/argosy/libs/flow/tag"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// inputs resolves what a template gets: the argument's value wins over the
// input's own, which wins over its default.
func (k *engine) inputs(c call, t v1alpha1.Template) (scope, *v1alpha1.Inputs, error) {
	sc := k.globals.inner(c.extra)
	sc.caller = c.caller
	sc.values["node.name"] = c.name
	sc.values["inputs.parameters"] = "null" // as upstream writes a list that is not there
	if t.Inputs == nil {
		return sc, nil, nil
	}
	resolved := &v1alpha1.Inputs{}
	var err error
	if resolved.Parameters, err = k.inputParameters(c, t, sc); err != nil {
		return sc, nil, err
	}
	sc.values["inputs.parameters"] = parametersText(resolved.Parameters)
	resolved.Artifacts, err = k.inputArtifacts(c, t, sc)
	return sc, resolved, err
}

// inputParameters resolves the input parameters of a template into the scope, each after those that it mentions.
func (k *engine) inputParameters(c call, t v1alpha1.Template, sc scope) ([]v1alpha1.Parameter, error) {
	var open []openParameter
	for _, p := range t.Inputs.Parameters {
		text, given, ok, err := k.argument(c.args, p, sc)
		switch {
		case err != nil:
			return nil, fmt.Errorf("template %q: input parameter %q: %w", c.template, p.Name, err)
		case !ok && t.Suspend != nil: // a person supplies it
		case !ok:
			return nil, fmt.Errorf("template %q: input parameter %q was not supplied", c.template, p.Name)
		case given:
			sc.values["inputs.parameters."+p.Name] = text
		default:
			open = append(open, openParameter{p.Name, text})
		}
	}
	if err := sc.settle("inputs.parameters.", open); err != nil {
		return nil, fmt.Errorf("template %q: input parameter %w", c.template, err)
	}
	var out []v1alpha1.Parameter
	for _, p := range t.Inputs.Parameters {
		if value, ok := sc.values["inputs.parameters."+p.Name]; ok {
			p.Value, p.ValueFrom = v1alpha1.AnyStringPtr(value), nil
			out = append(out, p)
		}
	}
	return out, nil
}

// openParameter is a parameter whose value may mention others of its list.
type openParameter struct{ name, text string }

// settle gives parameters their values, each after those that it mentions.
func (s scope) settle(prefix string, open []openParameter) error {
	mentions := make([][]string, len(open))
	waits := map[string]bool{}
	for i, p := range open {
		mentions[i] = mentionedParameters(p.text)
		waits[prefix+p.name] = true
	}
	for len(waits) > 0 {
		moved := false
		for i, p := range open {
			name := prefix + p.name
			if !waits[name] || slices.ContainsFunc(mentions[i], func(m string) bool { return waits[m] }) {
				continue
			}
			value, err := s.text(p.text)
			if err != nil {
				return fmt.Errorf("%q: %w", p.name, err)
			}
			s.values[name], moved = value, true
			delete(waits, name)
		}
		if !moved {
			at := slices.IndexFunc(open, func(p openParameter) bool { return waits[prefix+p.name] })
			return fmt.Errorf("%q: its value mentions itself, if by way of others: %s", open[at].name, exactjson.Abbreviate(open[at].text))
		}
	}
	return nil
}

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

// argument is the value of an input by what the caller gave, or else by its own: then its tags are not resolved.
func (k *engine) argument(args v1alpha1.Arguments, p v1alpha1.Parameter, sc scope) (value string, given, ok bool, err error) {
	for _, a := range args.Parameters {
		if a.Name != p.Name {
			continue
		}
		if value, ok, err = k.parameter(a); err != nil || ok {
			if err == nil {
				value, err = k.globals.text(value)
			}
			return value, true, ok, err
		}
	}
	if p.ValueFrom != nil {
		p.ValueFrom = p.ValueFrom.DeepCopy()
		if err := substitute(p.ValueFrom, sc); err != nil {
			return "", false, false, err
		}
	}
	value, ok, err = k.parameter(p)
	return value, false, ok, err
}

// inputArtifacts resolves the input artifacts of a template into the scope. Those that are optional and not there are
// left out.
func (k *engine) inputArtifacts(c call, t v1alpha1.Template, sc scope) ([]v1alpha1.Artifact, error) {
	declared := t.Inputs.DeepCopy().Artifacts
	if err := substituteArtifacts(declared, sc); err != nil {
		return nil, fmt.Errorf("template %q: input artifacts: %w", c.template, err)
	}
	own, missing, err := sc.follow(slices.Clone(declared))
	if err != nil {
		return nil, fmt.Errorf("template %q: input %w", c.template, err)
	}
	for name, reason := range missing {
		if _, given := c.missing[name]; !given && reason != "" {
			return nil, fmt.Errorf("template %q: input artifact %q: %s", c.template, name, reason)
		}
	}
	var out []v1alpha1.Artifact
	for _, a := range declared {
		sc.values["inputs.artifacts."+a.Name+".path"] = a.Path
		if at := slices.IndexFunc(own, func(o v1alpha1.Artifact) bool { return o.Name == a.Name }); at >= 0 {
			a = own[at]
		}
		got, err := inputArtifact(c, a)
		if err != nil {
			return nil, fmt.Errorf("template %q: input artifact %q %w", c.template, a.Name, err)
		}
		if got == nil {
			sc.lacking["inputs.artifacts."+a.Name] = true
			continue
		}
		sc.artifacts["inputs.artifacts."+a.Name] = *got
		out = append(out, *got)
	}
	return out, nil
}

// inputArtifact merges where an artifact comes from with how the template wants
// it. Nil without error means an optional one that is not there.
func inputArtifact(c call, want v1alpha1.Artifact) (*v1alpha1.Artifact, error) {
	got := want
	for _, a := range c.args.Artifacts {
		if a.Name == want.Name {
			got.ArtifactLocation, got.Archive, got.SubPath = a.ArtifactLocation, orArchive(a.Archive, want.Archive), a.SubPath
			got.Optional = want.Optional || a.Optional
		}
	}
	if location.Located(got) {
		return &got, nil
	}
	reason, missing := c.missing[want.Name]
	switch {
	case got.Optional || missing && reason == "":
		return nil, nil
	case missing:
		return nil, errors.New("was not supplied: " + reason)
	}
	return nil, errors.New("was not supplied")
}

func orArchive(a, b *v1alpha1.ArchiveStrategy) *v1alpha1.ArchiveStrategy {
	if a != nil {
		return a
	}
	return b
}

func (k *engine) addArguments(s scope, args *v1alpha1.Arguments) error {
	if args == nil {
		args = &v1alpha1.Arguments{}
	}
	args = args.DeepCopy()
	var open []openParameter
	for _, p := range args.Parameters {
		if err := substitute(&p.ValueFrom, s.as(looseTags)); err != nil {
			return fmt.Errorf("spec.arguments.parameters: %q: valueFrom: %w", p.Name, err)
		}
		value, ok, err := k.parameter(p)
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("spec.arguments.parameters: %q has no value", p.Name)
		}
		open = append(open, openParameter{p.Name, value})
	}
	if err := s.settle("workflow.parameters.", open); err != nil {
		return fmt.Errorf("spec.arguments.parameters: %w", err)
	}
	for i, p := range args.Parameters {
		args.Parameters[i].Value, args.Parameters[i].ValueFrom = v1alpha1.AnyStringPtr(s.values["workflow.parameters."+p.Name]), nil
	}
	s.values["workflow.parameters"] = parametersText(args.Parameters)
	s.values["workflow.parameters.json"] = s.values["workflow.parameters"]
	if err := substitute(&args.Artifacts, s); err != nil {
		return fmt.Errorf("spec.arguments.artifacts: %w", err)
	}
	for _, a := range args.Artifacts {
		s.artifacts["workflow.artifacts."+a.Name] = a
	}
	return nil
}

// parametersText lists parameters as JSON in the order of fields that programs in pods have met so far. Source: Argo Workflows.
func parametersText(list []v1alpha1.Parameter) string {
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
