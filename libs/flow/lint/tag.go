package lint

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/libs/flow/depends"
	"github.com/argosy-mesh/argosy/libs/flow/expression"
	"github.com/argosy-mesh/argosy/libs/flow/tag"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// sight is what the tags of one place may name.
type sight struct {
	names map[string]bool        // beginnings of names
	waits func(task string) bool // whether a task has ended here; nil: there is none but those of names
	loops bool                   // items are known here
	items map[string]bool        // the fields that items have; nil: only the run knows
	code  bool                   // the text of a program, whose language may have braces of its own
}

// with is the sight of a place that sees more.
func (s sight) with(names ...string) sight {
	seen := make(map[string]bool, len(s.names)+len(names))
	maps.Copy(seen, s.names)
	s.names = seen
	for _, name := range names {
		s.names[name] = true
	}
	return s
}

// tags looks at every tag of a template: those that the engine must resolve have to name something that the template
// can see, and expressions have to be ones.
func (k *linter) tags(path string, t *v1alpha1.Template, around sight) {
	own := t.DeepCopy()
	sees := around.with(inputNames(t)...)
	sees.loops = around.loops
	if own.Script != nil {
		code := sees
		code.code = true
		k.textTags(path+".script.source", own.Script.Source, code)
		own.Script.Source = ""
	}
	own.Steps = nil
	if own.DAG != nil {
		own.DAG.Tasks = nil
	}
	k.walk(path, own, sees.with(unitNames(t)...))
	for i := range t.Steps {
		for j, step := range t.Steps[i].Steps {
			// Those of a group begin together; what they may still ask of each other is whether they have.
			k.unitTags(fmt.Sprintf("%s.steps[%d][%d]", path, i, j), "steps."+step.Name, step,
				sees.with(groupNames(t.Steps[:i+1])...))
		}
	}
	if t.DAG == nil {
		return
	}
	waits := map[string][]string{}
	for _, task := range t.DAG.Tasks {
		waits[task.Name] = depends.On(task)
	}
	for i, task := range t.DAG.Tasks {
		sees.waits = func(name string) bool { return follows(waits, task.Name, name) }
		k.unitTags(fmt.Sprintf("%s.dag.tasks[%d]", path, i), "tasks."+task.Name, stepOf(task), sees)
	}
}

// unitTags looks at the tags of one step or task, of its hooks, and of the template that stands in it.
func (k *linter) unitTags(path, name string, step v1alpha1.WorkflowStep, sees sight) {
	inline, hooks := step.Inline, step.Hooks
	step.Inline, step.Hooks = nil, nil
	sees.loops = step.WithItems != nil || step.WithParam != "" || step.WithSequence != nil
	sees.items = itemFields(step)
	k.walk(path, step, sees)
	for hook, h := range hooks {
		k.walk(path+".hooks."+hook, h, sees.with(name))
	}
	if inline != nil {
		k.tags(path+".inline", inline, sees)
	}
}

// itemFields are the fields that the items of a loop have, nil when only the run knows. Source: Argo Workflows looks at
// those of all items together.
func itemFields(step v1alpha1.WorkflowStep) map[string]bool {
	if step.WithItems == nil || step.WithParam != "" || step.WithSequence != nil {
		return nil
	}
	fields := map[string]bool{}
	for _, item := range step.WithItems {
		var one map[string]any
		if json.Unmarshal(item.Value, &one) != nil {
			if strings.Contains(string(item.Value), "{{") {
				return nil
			}
			continue
		}
		for name := range one {
			fields[name] = true
		}
	}
	return fields
}

func stepOf(task v1alpha1.DAGTask) v1alpha1.WorkflowStep {
	return v1alpha1.WorkflowStep{Name: task.Name, Arguments: task.Arguments, Hooks: task.Hooks, Inline: task.Inline,
		OnExit: task.OnExit, Template: task.Template,
		TemplateRef: task.TemplateRef, When: task.When, WithItems: task.WithItems, WithParam: task.WithParam,
		WithSequence: task.WithSequence}
}

// follows reports whether a task waits for another, if by way of others.
func follows(waits map[string][]string, task, other string) bool {
	seen, next := map[string]bool{}, waits[task]
	for len(next) > 0 {
		name := next[0]
		next = next[1:]
		if name == other {
			return true
		}
		if !seen[name] {
			seen[name] = true
			next = append(slices.Clip(next), waits[name]...)
		}
	}
	return false
}

func (k *linter) walk(path string, value any, sees sight) {
	text, err := json.Marshal(value)
	if err != nil {
		k.errorf(path, "%v", err)
		return
	}
	var plain any
	if json.Unmarshal(text, &plain) == nil {
		k.walkPlain(path, plain, sees)
	}
}

func (k *linter) walkPlain(path string, value any, sees sight) {
	switch v := value.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			k.walkPlain(path+"."+key, v[key], sees)
		}
	case []any:
		for i, child := range v {
			k.walkPlain(fmt.Sprintf("%s[%d]", path, i), child, sees)
		}
	case string:
		k.textTags(path, v, sees)
	}
}

func (k *linter) textTags(path, text string, sees sight) {
	for _, tag := range tag.List(text) {
		k.tag(path, tag, sees)
	}
}

func (k *linter) tag(path, tag string, sees sight) {
	if source, ok := strings.CutPrefix(tag, "="); ok {
		k.check(path, expression.Check(source))
		return
	}
	parts := strings.SplitN(tag, ".", 4)
	if parts[0] == "item" {
		k.itemTag(path, tag, sees)
		return
	}
	if len(parts) < 2 || len(parts) == 2 && parts[1] == "name" {
		return
	}
	unit := parts[0] + "." + parts[1]
	switch parts[0] {
	case "inputs":
		k.inputTag(path, tag, parts, sees)
	case "steps":
		if !sees.names[unit] {
			k.errorf(path, "{{%s}} names no step of the template that begins with this one or before it", tag)
		}
	case "tasks":
		if !sees.names[unit] && (sees.waits == nil || !sees.waits(parts[1])) {
			k.errorf(path, "{{%s}} names no task that this one waits for: name it in depends", tag)
		}
	case "workflow":
		k.globalTag(path, tag)
	}
}

func (k *linter) inputTag(path, tag string, parts []string, sees sight) {
	if len(parts) > 2 && !sees.names[strings.Join(parts[:3], ".")] && !sees.names[tag] {
		k.errorf(path, "{{%s}} names no input of the template", tag)
	}
}

// itemTag looks at a tag of a loop. Source: Argo Workflows refuses {{item.x}} where nothing loops.
func (k *linter) itemTag(path, tag string, sees sight) {
	field, asks := strings.CutPrefix(tag, "item.")
	switch {
	case !sees.loops && sees.code && !asks:
		k.warnf(path, "{{item}} stays as it is: no loop is here; the items of one are known to the step or task that loops")
	case !sees.loops:
		k.errorf(path, "{{%s}} has no value here: the items of a loop are known to the step or task that loops; pass them on as arguments", tag)
	case asks && sees.items != nil && !sees.items[field]:
		k.errorf(path, "{{%s}} names no field of withItems; of what lies deeper {{=jsonpath(item.FIELD, '$.deeper')}} gives the value", tag)
	}
}

// globalTag looks at a tag that may name a parameter of the workflow.
func (k *linter) globalTag(path, tag string) {
	name, ok := strings.CutPrefix(tag, "workflow.parameters.")
	if ok && k.globals != nil && name != "json" && !k.globals[name] {
		k.warnf(path, "{{%s}} names no one of spec.arguments.parameters: whoever submits it must give it", tag)
	}
}

// inputNames are the names that tags have for the inputs of a template.
func inputNames(t *v1alpha1.Template) []string {
	if t.Inputs == nil {
		return nil
	}
	var names []string
	for _, p := range t.Inputs.Parameters {
		names = append(names, "inputs.parameters."+p.Name)
	}
	for _, a := range t.Inputs.Artifacts {
		names = append(names, "inputs.artifacts."+a.Name, "inputs.artifacts."+a.Name+".path")
	}
	return names
}

// unitNames are the names that tags have for the steps and tasks of a template.
func unitNames(t *v1alpha1.Template) []string {
	names := groupNames(t.Steps)
	if t.DAG != nil {
		for _, task := range t.DAG.Tasks {
			names = append(names, "tasks."+task.Name)
		}
	}
	return names
}

func groupNames(groups []v1alpha1.ParallelSteps) []string {
	var names []string
	for _, group := range groups {
		for _, step := range group.Steps {
			names = append(names, "steps."+step.Name)
		}
	}
	return names
}
