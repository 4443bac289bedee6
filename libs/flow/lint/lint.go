// Package lint says what is wrong with the manifest of a workflow before it runs, with
// the line of each finding. It decides from the text alone: whether what a templateRef
// names exists, only the cluster knows.
//
// What keeps a workflow, or one of its nodes, from running is an error. What has no
// effect, or may be meant for the program in the pod, is a warning.
package lint

import (
	"errors"
	"fmt"
	"slices"

	"github.com/argosy-mesh/argosy/schemas/argoproj/lint"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// Kinds are the kinds that Manifest knows.
var Kinds = []string{"Workflow", "WorkflowTemplate", "ClusterWorkflowTemplate", "CronWorkflow"}

// Manifest looks at one manifest of one of Kinds. A text that is not YAML is one finding.
func Manifest(text []byte) []lint.Finding {
	object, lines, err := lint.Read(text)
	if err != nil {
		return []lint.Finding{{Path: "manifest", Message: err.Error(), Line: 1, Severity: lint.Error}}
	}
	k := &linter{}
	kind, _ := object["kind"].(string)
	switch kind {
	case "Workflow":
		wf := decode[v1alpha1.Workflow](k, object)
		k.metadata(wf.Name, wf.GenerateName)
		k.spec("spec", &wf.Spec, true)
	case "WorkflowTemplate", "ClusterWorkflowTemplate":
		template := decode[v1alpha1.WorkflowTemplate](k, object)
		k.metadata(template.Name, "")
		k.spec("spec", &template.Spec, false)
	case "CronWorkflow":
		cron := decode[v1alpha1.CronWorkflow](k, object)
		k.submitted = true // by a clock, which gives no arguments
		k.metadata(cron.Name, "")
		k.cron(&cron.Spec)
		k.spec("spec.workflowSpec", &cron.Spec.WorkflowSpec, true)
	default:
		k.errorf("kind", "%q is none of %v", kind, Kinds)
	}
	return lint.Sorted(k.found, lines)
}

// Spec looks at the spec of a workflow that is about to run, merged with the template
// that it refers to.
func Spec(spec *v1alpha1.WorkflowSpec) []lint.Finding {
	merged := *spec
	merged.WorkflowTemplateRef = nil
	k := &linter{submitted: true}
	k.spec("spec", &merged, true)
	return k.found
}

// Errors returns those findings that keep a workflow from running, as one error; nil
// when there are none.
func Errors(found []lint.Finding) error {
	var all []error
	for _, f := range found {
		if f.Severity == lint.Error {
			all = append(all, fmt.Errorf("%s: %s", f.Path, f.Message))
		}
	}
	return errors.Join(all...)
}

// linter collects what is found in one manifest.
type linter struct {
	found     []lint.Finding
	templates map[string]*v1alpha1.Template
	globals   map[string]bool // parameters of the workflow; nil: anyone may add some
	submitted bool            // nobody gives arguments any more
}

func (k *linter) errorf(path, format string, args ...any) {
	k.found = append(k.found, lint.Finding{Path: path, Message: fmt.Sprintf(format, args...), Severity: lint.Error})
}

func (k *linter) warnf(path, format string, args ...any) {
	k.found = append(k.found, lint.Finding{Path: path, Message: fmt.Sprintf(format, args...), Severity: lint.Warning})
}

// check notes an error that something else found at path.
func (k *linter) check(path string, err error) {
	if err != nil {
		k.errorf(path, "%v", err)
	}
}

// oneOf says that a value must be one of some; empty is the default.
func (k *linter) oneOf(path, value string, allowed ...string) {
	if value != "" && !slices.Contains(allowed, value) {
		k.errorf(path, "%q is none of %v", value, allowed)
	}
}

// decode reads an object tolerantly. What the decoder does not know has no effect in the engine, but is a mistake to
// whoever wrote it: upstream's strict reading, which its command line uses, refuses it.
func decode[T any](k *linter, object map[string]any) *T {
	into, found := lint.Decode[T](object)
	k.found = append(k.found, found...)
	return into
}

func (k *linter) metadata(name, generated string) {
	if name == "" && generated == "" {
		k.errorf("metadata", "name is missing")
	}
}
