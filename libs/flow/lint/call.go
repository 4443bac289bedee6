package lint

import (
	"fmt"
	"maps"
	"slices"

	"github.com/argosy-mesh/argosy/libs/flow/depends"
	"github.com/argosy-mesh/argosy/libs/flow/expression"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// maxTasks bounds a dag. Source: Argo Workflows' definitions bound it to 200; here only the size of a manifest does, so
// that a longer one is no mistake.
const maxTasks = 100_000

func (k *linter) steps(path string, t *v1alpha1.Template) {
	seen := map[string]bool{}
	for i, group := range t.Steps {
		for j, step := range group.Steps {
			at := fmt.Sprintf("%s.steps[%d][%d]", path, i, j)
			k.name(at, step.Name)
			k.once(at, step.Name, seen)
			k.call(at, step)
		}
	}
}

func (k *linter) dag(path string, t *v1alpha1.Template) {
	at := path + ".dag"
	if len(t.DAG.Tasks) > maxTasks {
		k.errorf(at+".tasks", "are %d; at most %d are allowed", len(t.DAG.Tasks), maxTasks)
		return
	}
	seen := map[string]bool{}
	for i, task := range t.DAG.Tasks {
		here := fmt.Sprintf("%s.tasks[%d]", at, i)
		k.name(here, task.Name)
		k.once(here, task.Name, seen)
		k.depends(here, task)
		k.call(here, stepOf(task))
	}
	k.check(at, depends.CheckOrder(t.DAG.Tasks))
}

func (k *linter) depends(path string, task v1alpha1.DAGTask) {
	if task.Depends == "" {
		return
	}
	switch {
	case len(task.Dependencies) > 0:
		k.errorf(path+".depends", "cannot stand beside dependencies; one of them is enough")
	case task.ContinueOn != nil:
		k.errorf(path+".continueOn", "cannot stand beside depends, which can say %q", task.Name+".Failed")
	}
	k.check(path+".depends", depends.Check(task))
}

// call looks at one step or task.
func (k *linter) call(path string, step v1alpha1.WorkflowStep) {
	k.callee(path, step)
	loops := 0
	for _, set := range []bool{step.WithItems != nil, step.WithParam != "", step.WithSequence != nil} {
		if set {
			loops++
		}
	}
	if loops > 1 {
		k.errorf(path, "only one of withItems, withParam, withSequence is possible")
	}
	if s := step.WithSequence; s != nil {
		if (s.Count == nil) == (s.End == nil) {
			k.errorf(path+".withSequence", "needs either count or end")
		}
		k.count(path+".withSequence.count", s.Count)
		k.count(path+".withSequence.start", s.Start)
		k.count(path+".withSequence.end", s.End)
	}
	if step.When != "" && !tagged(step.When) {
		k.check(path+".when", expression.CheckCondition(step.When))
	}
	if step.OnExit != "" {
		k.exists(path+".onExit", step.OnExit)
	}
	k.hooks(path, step.Hooks)
}

func (k *linter) callee(path string, step v1alpha1.WorkflowStep) {
	ways := 0
	for _, set := range []bool{step.Template != "", step.TemplateRef != nil, step.Inline != nil} {
		if set {
			ways++
		}
	}
	if ways != 1 {
		k.errorf(path, "needs exactly one of template, templateRef, inline")
		return
	}
	switch {
	case step.Inline != nil:
		k.shape(path+".inline", step.Inline)
	case step.TemplateRef != nil:
		k.templateRef(path+".templateRef", step.TemplateRef)
	default:
		k.exists(path+".template", step.Template)
		if t := k.templates[step.Template]; t != nil {
			k.supplied(path, t, step.Arguments)
		}
	}
}

func (k *linter) templateRef(path string, ref *v1alpha1.TemplateRef) {
	if ref.Name == "" {
		k.errorf(path, "name is missing")
	}
	if ref.Template == "" {
		k.errorf(path, "template is missing")
	}
}

func (k *linter) hooks(path string, hooks map[string]v1alpha1.LifecycleHook) {
	for _, name := range slices.Sorted(maps.Keys(hooks)) {
		h, at := hooks[name], path+".hooks."+name
		switch {
		case h.Template != "":
			k.exists(at+".template", h.Template)
		case h.TemplateRef != nil:
			k.templateRef(at+".templateRef", h.TemplateRef)
		default:
			k.errorf(at, "needs template or templateRef")
		}
		if name != "exit" && h.Expression == "" {
			k.errorf(at, "expression is missing: it says when the hook runs")
		}
		k.expression(at+".expression", h.Expression)
	}
}
