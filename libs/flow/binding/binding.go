// Package binding says which workflow a WorkflowEventBinding submits for an event.
package binding

import (
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/argosy-mesh/argosy/libs/flow/expression"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Label names the WorkflowEventBinding that submitted a workflow. Source: Argo Workflows.
const Label = "workflows.argoproj.io/workflow-event-binding"

// Occurrence is an event as expressions of a WorkflowEventBinding see it. Source: Argo Workflows, payload, metadata and
// discriminator.
type Occurrence struct {
	Discriminator string
	Payload       any                 // as JSON decodes
	Metadata      map[string][]string // headers; names in lower case
}

func (o Occurrence) environment() map[string]any {
	metadata := map[string]any{}
	for name, values := range o.Metadata {
		list := make([]any, len(values))
		for i, v := range values {
			list[i] = v
		}
		metadata[strings.ToLower(name)] = list
	}
	return map[string]any{"discriminator": o.Discriminator, "payload": o.Payload, "metadata": metadata}
}

// Bind returns the workflow that a binding submits for an event, without a name; nil when it does not select the event,
// or submits nothing. The prefix begins its name.
func Bind(b v1alpha1.WorkflowEventBinding, o Occurrence) (wf *v1alpha1.Workflow, prefix string, err error) {
	env := o.environment()
	if b.Spec.Event.Selector == "" {
		return nil, "", errors.New("spec.event.selector is missing")
	}
	selected, err := expression.Holds(b.Spec.Event.Selector, env)
	if err != nil {
		return nil, "", fmt.Errorf("spec.event.selector: %w", err)
	}
	submit := b.Spec.Submit
	if !selected || submit == nil {
		return nil, "", nil
	}
	ref := submit.WorkflowTemplateRef
	if ref.Name == "" {
		return nil, "", errors.New("spec.submit.workflowTemplateRef: name is missing")
	}
	wf = &v1alpha1.Workflow{ObjectMeta: metav1.ObjectMeta{Namespace: b.Namespace, Labels: map[string]string{},
		Annotations: map[string]string{}}}
	prefix = ref.Name + "-"
	if m := submit.Metadata; m != nil {
		maps.Copy(wf.Labels, m.Labels)
		maps.Copy(wf.Annotations, m.Annotations)
		if m.Name != "" {
			prefix = m.Name + "-"
		}
		if m.GenerateName != "" {
			prefix = m.GenerateName
		}
	}
	wf.Labels[Label] = b.Name
	wf.Spec.WorkflowTemplateRef = &ref
	wf.Spec.Arguments, err = bound(submit.Arguments, env)
	return wf, prefix, err
}

// bound fills arguments from an event.
func bound(args *v1alpha1.Arguments, env map[string]any) (*v1alpha1.Arguments, error) {
	if args == nil {
		return nil, nil
	}
	out := args.DeepCopy()
	for i, p := range out.Parameters {
		if p.ValueFrom == nil || p.ValueFrom.Event == "" {
			continue
		}
		result, err := expression.Evaluate(p.ValueFrom.Event, env)
		if err != nil && p.ValueFrom.Default == nil {
			return nil, fmt.Errorf("spec.submit.arguments.parameters: %q: %w", p.Name, err)
		}
		value := v1alpha1.AnyStringPtr(expression.ResultText(result))
		if (err != nil || result == nil) && p.ValueFrom.Default != nil {
			value = p.ValueFrom.Default
		}
		out.Parameters[i].Value, out.Parameters[i].ValueFrom = value, nil
	}
	return out, nil
}
