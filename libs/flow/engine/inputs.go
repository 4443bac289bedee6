package engine

import (
	"errors"
	"fmt"
	"slices"

	"github.com/argosy-mesh/argosy/libs/flow/location"
	"github.com/argosy-mesh/argosy/libs/flow/scope"
	"github.com/argosy-mesh/argosy/libs/flow/state"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// inputs resolves what a template gets: the argument's value wins over the
// input's own, which wins over its default.
func (k *engine) inputs(c state.Call, t v1alpha1.Template) (scope.Scope, *v1alpha1.Inputs, error) {
	sc := k.Globals.Inner(c.Extra).CalledBy(c.Caller)
	sc.Set("node.name", c.Name)
	sc.Set("inputs.parameters", "null") // as upstream writes a list that is not there
	if t.Inputs == nil {
		return sc, nil, nil
	}
	resolved := &v1alpha1.Inputs{}
	var err error
	if resolved.Parameters, err = k.inputParameters(c, t, sc); err != nil {
		return sc, nil, err
	}
	sc.Set("inputs.parameters", scope.ParametersText(resolved.Parameters))
	resolved.Artifacts, err = k.inputArtifacts(c, t, sc)
	return sc, resolved, err
}

// inputParameters resolves the input parameters of a template into the scope, each after those that it mentions.
func (k *engine) inputParameters(c state.Call, t v1alpha1.Template, sc scope.Scope) ([]v1alpha1.Parameter, error) {
	var open []scope.Parameter
	for _, p := range t.Inputs.Parameters {
		text, given, ok, err := k.argument(c.Args, p, sc)
		switch {
		case err != nil:
			return nil, fmt.Errorf("template %q: input parameter %q: %w", c.Template, p.Name, err)
		case !ok && t.Suspend != nil: // a person supplies it
		case !ok:
			return nil, fmt.Errorf("template %q: input parameter %q was not supplied", c.Template, p.Name)
		case given:
			sc.Set("inputs.parameters."+p.Name, text)
		default:
			open = append(open, scope.Parameter{Name: p.Name, Text: text})
		}
	}
	if err := sc.Settle("inputs.parameters.", open); err != nil {
		return nil, fmt.Errorf("template %q: input parameter %w", c.Template, err)
	}
	var out []v1alpha1.Parameter
	for _, p := range t.Inputs.Parameters {
		if value, ok := sc.Value("inputs.parameters." + p.Name); ok {
			p.Value, p.ValueFrom = v1alpha1.AnyStringPtr(value), nil
			out = append(out, p)
		}
	}
	return out, nil
}

// argument is the value of an input by what the caller gave, or else by its own: then its tags are not resolved.
func (k *engine) argument(args v1alpha1.Arguments, p v1alpha1.Parameter, sc scope.Scope) (value string, given, ok bool,
	err error) {
	for _, a := range args.Parameters {
		if a.Name != p.Name {
			continue
		}
		if value, ok, err = k.Parameter(a); err != nil || ok {
			if err == nil {
				value, err = k.Globals.Text(value)
			}
			return value, true, ok, err
		}
	}
	if p.ValueFrom != nil {
		p.ValueFrom = p.ValueFrom.DeepCopy()
		if err := scope.Substitute(p.ValueFrom, sc); err != nil {
			return "", false, false, err
		}
	}
	value, ok, err = k.Parameter(p)
	return value, false, ok, err
}

// inputArtifacts resolves the input artifacts of a template into the scope. Those that are optional and not there are
// left out.
func (k *engine) inputArtifacts(c state.Call, t v1alpha1.Template, sc scope.Scope) ([]v1alpha1.Artifact, error) {
	declared := t.Inputs.DeepCopy().Artifacts
	if err := scope.SubstituteArtifacts(declared, sc); err != nil {
		return nil, fmt.Errorf("template %q: input artifacts: %w", c.Template, err)
	}
	own, missing, err := sc.Follow(slices.Clone(declared))
	if err != nil {
		return nil, fmt.Errorf("template %q: input %w", c.Template, err)
	}
	for name, reason := range missing {
		if _, given := c.Missing[name]; !given && reason != "" {
			return nil, fmt.Errorf("template %q: input artifact %q: %s", c.Template, name, reason)
		}
	}
	var out []v1alpha1.Artifact
	for _, a := range declared {
		sc.Set("inputs.artifacts."+a.Name+".path", a.Path)
		if at := slices.IndexFunc(own, func(o v1alpha1.Artifact) bool { return o.Name == a.Name }); at >= 0 {
			a = own[at]
		}
		got, err := inputArtifact(c, a)
		if err != nil {
			return nil, fmt.Errorf("template %q: input artifact %q %w", c.Template, a.Name, err)
		}
		if got == nil {
			sc.Lack("inputs.artifacts." + a.Name)
			continue
		}
		sc.SetArtifact("inputs.artifacts."+a.Name, *got)
		out = append(out, *got)
	}
	return out, nil
}

// inputArtifact merges where an artifact comes from with how the template wants
// it. Nil without error means an optional one that is not there.
func inputArtifact(c state.Call, want v1alpha1.Artifact) (*v1alpha1.Artifact, error) {
	got := want
	for _, a := range c.Args.Artifacts {
		if a.Name == want.Name {
			got.ArtifactLocation, got.Archive, got.SubPath = a.ArtifactLocation, orArchive(a.Archive, want.Archive),
				a.SubPath
			got.Optional = want.Optional || a.Optional
		}
	}
	if location.Located(got) {
		return &got, nil
	}
	reason, missing := c.Missing[want.Name]
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
