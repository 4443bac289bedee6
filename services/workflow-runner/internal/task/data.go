package task

import (
	"context"
	"encoding/json"

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/libs/flow/expression"
	"github.com/argosy-mesh/argosy/libs/flow/location"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// namesLimit bounds the keys that a data template may list.
const namesLimit = 10_000

// dataRunner does data templates.
type dataRunner struct{ store Store }

func (l *dataRunner) do(ctx context.Context, j Job) flow.Task {
	source := j.Template.Data.Source.ArtifactPaths
	if source == nil || location.Key(source.ArtifactLocation) == "" && source.S3 == nil {
		return failed("data: source.artifactPaths names no place; give s3.key, or the key of another store")
	}
	names, err := l.store.Names(ctx, j.Namespace, source.ArtifactLocation, namesLimit)
	if err != nil {
		return failed("data: list %q: %v", location.Key(source.ArtifactLocation), err)
	}
	return transform(names, j.Template.Data.Transformation)
}

// transform applies the expressions one after the other: each sees what the one before gave as data.
func transform(names []string, steps []v1alpha1.TransformationStep) flow.Task {
	list := make([]any, len(names))
	for i, n := range names {
		list[i] = n
	}
	var data any = list
	for i, s := range steps {
		var err error
		if data, err = expression.Evaluate(s.Expression, map[string]any{"data": data}); err != nil {
			return failed("data: transformation %d: %v", i+1, err)
		}
	}
	text, err := json.Marshal(data)
	if err != nil {
		return failed("data: the result is no JSON: %v", err)
	}
	if len(text) > answerLimit {
		return failed("data: the result has more than %d bytes", answerLimit)
	}
	result := string(text)
	return done(&v1alpha1.Outputs{Result: &result})
}
