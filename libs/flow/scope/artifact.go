package scope

import (
	"fmt"
	"strings"

	"github.com/argosy-mesh/argosy/libs/flow/tag"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// Follow replaces "from" of artifacts, whose other tags are resolved, by the place it points to. Those that point to
// nothing are left out, and named with the reason: whether they are needed only the one who gets them knows. Text that
// names nothing that could ever be there is an error.
func (s Scope) Follow(artifacts []v1alpha1.Artifact) (found []v1alpha1.Artifact, missing map[string]string, err error) {
	for _, a := range artifacts {
		source, reason, err := s.source(a)
		switch {
		case err != nil:
			return nil, nil, fmt.Errorf("artifact %q: %w", a.Name, err)
		case reason != "":
			if missing == nil {
				missing = map[string]string{}
			}
			missing[a.Name] = reason
			if a.Optional {
				missing[a.Name] = ""
			}
			continue
		case source != nil:
			a.ArtifactLocation, a.Archive, a.From, a.FromExpression = source.ArtifactLocation, source.Archive, "", ""
		}
		found = append(found, a)
	}
	return found, missing, nil
}

// source is what an artifact points to: nil when it points to nothing else, a reason when that is not there.
func (s Scope) source(a v1alpha1.Artifact) (source *v1alpha1.Artifact, missing string, err error) {
	expression, from := a.FromExpression, ""
	if expression == "" && a.From != "" {
		if from, err = s.Text(tag.Name(a.From)); err != nil {
			return nil, "", fmt.Errorf("from %s: %w", a.From, err)
		}
		expression = strings.TrimPrefix(from, "=")
	}
	switch {
	case expression == "":
		return nil, "", nil
	case a.FromExpression != "", expression != from:
		got, err := s.artifactOf(expression)
		if err != nil {
			return nil, "", fmt.Errorf("fromExpression: %w", err)
		}
		return &got, "", nil
	}
	if got, ok := s.Artifact(from); ok {
		return &got, "", nil
	}
	if !a.Optional && !s.mayLack(from) {
		return nil, "", fmt.Errorf("from %s names nothing that exists", a.From)
	}
	return nil, fmt.Sprintf("from %s names nothing that is there", a.From), nil
}

// mayLack reports whether an artifact of that name could be there: what would have left it behind is known, and did
// not.
func (s Scope) mayLack(name string) bool {
	if s.lacking[name] {
		return true
	}
	prefix, _, output := strings.Cut(name, ".outputs.artifacts.")
	_, known := s.Value(prefix + ".status")
	return output && known
}

// SubstituteArtifacts replaces the tags of artifacts, but for "from", which is no text but names an artifact.
func SubstituteArtifacts(artifacts []v1alpha1.Artifact, s Scope) error {
	if len(artifacts) == 0 {
		return nil
	}
	from := make([]string, len(artifacts))
	for i := range artifacts {
		from[i], artifacts[i].From = artifacts[i].From, ""
	}
	filled := artifacts
	err := Substitute(&filled, s)
	copy(artifacts, filled)
	for i := range artifacts {
		artifacts[i].From = from[i]
	}
	return err
}

// SubstituteArguments replaces the tags of arguments, and what their artifacts point to. Missing are those that point
// to nothing, with the reason; it is empty for those that are optional.
func SubstituteArguments(args v1alpha1.Arguments, s Scope) (out v1alpha1.Arguments, missing map[string]string,
	err error) {
	args = *args.DeepCopy()
	s.dropAbsent(&args)
	if err := Substitute(&args.Parameters, s); err != nil {
		return args, nil, err
	}
	if err := SubstituteArtifacts(args.Artifacts, s); err != nil {
		return args, nil, err
	}
	args.Artifacts, missing, err = s.Follow(args.Artifacts)
	return args, missing, err
}

// dropAbsent takes away arguments that are nothing but the output of a unit that did not run: the input's own default
// then counts.
func (s Scope) dropAbsent(args *v1alpha1.Arguments) {
	if args == nil {
		return
	}
	for i, p := range args.Parameters {
		if p.Value == nil {
			continue
		}
		name := tag.Name(p.Value.String())
		if _, known := s.Value(name); !known && p.Value.String() != name && s.skipped(name) {
			args.Parameters[i].Value = nil
		}
	}
}
