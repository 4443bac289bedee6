package lint

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// tags looks at every tag of a template: those that the engine must resolve have to name something that the template
// can see, and expressions have to be ones.
func (k *linter) tags(path string, t *v1alpha1.Template) {
	own := t.DeepCopy()
	for i := range own.Steps {
		for j := range own.Steps[i].Steps {
			own.Steps[i].Steps[j].Inline = nil // they see inputs of their own
		}
	}
	if own.DAG != nil {
		for i := range own.DAG.Tasks {
			own.DAG.Tasks[i].Inline = nil
		}
	}
	text, err := json.Marshal(own)
	if err != nil {
		k.errorf(path, "%v", err)
		return
	}
	var value any
	if json.Unmarshal(text, &value) != nil {
		return
	}
	k.walk(path, value, k.visible(t))
}

func (k *linter) walk(path string, value any, sees map[string]bool) {
	switch v := value.(type) {
	case map[string]any:
		for key, child := range v {
			k.walk(path+"."+key, child, sees)
		}
	case []any:
		for i, child := range v {
			k.walk(fmt.Sprintf("%s[%d]", path, i), child, sees)
		}
	case string:
		for _, tag := range flow.Tags(v) {
			k.tag(path, tag, sees)
		}
	}
}

func (k *linter) tag(path, tag string, sees map[string]bool) {
	if source, ok := strings.CutPrefix(tag, "="); ok {
		k.check(path, flow.CheckExpression(source))
		return
	}
	parts := strings.SplitN(tag, ".", 4)
	if len(parts) < 2 || len(parts) == 2 && parts[1] == "name" {
		return
	}
	switch parts[0] {
	case "inputs":
		if len(parts) > 2 && !sees[strings.Join(parts[:3], ".")] && !sees[tag] {
			k.errorf(path, "{{%s}} names no input of the template", tag)
		}
	case "steps", "tasks":
		if !sees[parts[0]+"."+parts[1]] {
			k.errorf(path, "{{%s}} names no one of the template's %s", tag, parts[0])
		}
	case "workflow":
		k.globalTag(path, tag)
	}
}

// globalTag looks at a tag that may name a parameter of the workflow.
func (k *linter) globalTag(path, tag string) {
	name, ok := strings.CutPrefix(tag, "workflow.parameters.")
	if ok && k.globals != nil && name != "json" && !k.globals[name] {
		k.warnf(path, "{{%s}} names no one of spec.arguments.parameters: whoever submits it must give it", tag)
	}
}

// visible are the names that tags of a template may begin with.
func (k *linter) visible(t *v1alpha1.Template) map[string]bool {
	sees := map[string]bool{}
	if t.Inputs != nil {
		for _, p := range t.Inputs.Parameters {
			sees["inputs.parameters."+p.Name] = true
		}
		for _, a := range t.Inputs.Artifacts {
			sees["inputs.artifacts."+a.Name] = true
			sees["inputs.artifacts."+a.Name+".path"] = true
		}
	}
	for _, group := range t.Steps {
		for _, step := range group.Steps {
			sees["steps."+step.Name] = true
		}
	}
	if t.DAG != nil {
		for _, task := range t.DAG.Tasks {
			sees["tasks."+task.Name] = true
		}
	}
	return sees
}
