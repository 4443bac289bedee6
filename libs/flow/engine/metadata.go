package engine

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// describe works out spec.workflowMetadata once, at the start of a run. Source: Argo Workflows; a label whose value
// cannot be one ends the run.
func (k *engine) describe(change *flow.RunChange) error {
	m := k.World.Spec.WorkflowMetadata
	if m == nil || k.World.Run.Metadata != nil {
		return nil
	}
	out := &v1alpha1.Metadata{Labels: map[string]string{}, Annotations: map[string]string{}}
	for _, part := range []struct{ from, to map[string]string }{{m.Labels, out.Labels},
		{m.Annotations, out.Annotations}} {
		for name, text := range part.from {
			value, err := k.Globals.Text(text)
			if err != nil {
				return fmt.Errorf("spec.workflowMetadata: %q: %w", name, err)
			}
			part.to[name] = value
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.LabelsFrom)) {
		result, err := k.Globals.Evaluate(m.LabelsFrom[name].Expression)
		if err != nil {
			return fmt.Errorf("spec.workflowMetadata.labelsFrom: %q: %w", name, err)
		}
		value, ok := result.(string)
		if !ok {
			return fmt.Errorf("spec.workflowMetadata.labelsFrom: %q: expression %q gives %v, which is no text", name,
				m.LabelsFrom[name].Expression, result)
		}
		out.Labels[name] = value
	}
	for _, name := range slices.Sorted(maps.Keys(out.Labels)) {
		if wrong := validation.IsValidLabelValue(out.Labels[name]); len(wrong) > 0 {
			return fmt.Errorf("spec.workflowMetadata: label %q cannot be %q: %s", name, out.Labels[name],
				strings.Join(wrong, "; "))
		}
	}
	change.Metadata, k.World.Run.Metadata = out, out
	k.Globals.AddMetadata(k.World.Labels, k.World.Annotations, out)
	return nil
}
