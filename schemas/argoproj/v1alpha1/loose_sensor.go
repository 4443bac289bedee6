package v1alpha1

import (
	"maps"
	"strings"
)

// modernizer is a type whose objects may be written in a form of earlier versions. The object given is not changed;
// told says what became of which key.
//
// +kubebuilder:object:generate=false
type modernizer interface {
	modern(v map[string]any) (now map[string]any, told map[string]string)
}

// modern takes gatewayName, the name of eventSourceName before version 0.17 of Argo Events.
func (EventDependency) modern(v map[string]any) (map[string]any, map[string]string) {
	return renamed(v, [][2]string{{"gatewayName", "eventSourceName"}})
}

// modern takes event and path, the names of dependencyName and dataKey before version 0.13 of Argo Events.
func (TriggerParameterSource) modern(v map[string]any) (map[string]any, map[string]string) {
	return renamed(v, [][2]string{{"event", "dependencyName"}, {"path", "dataKey"}})
}

// modern takes openwhisk, as an example of Argo Events itself writes it.
func (TriggerTemplate) modern(v map[string]any) (map[string]any, map[string]string) {
	return renamed(v, [][2]string{{"openwhisk", "openWhisk"}})
}

// renamed moves values of old keys to new ones that are not there.
func renamed(v map[string]any, names [][2]string) (map[string]any, map[string]string) {
	var out map[string]any
	told := map[string]string{}
	for _, n := range names {
		value, ok := v[n[0]]
		if !ok {
			continue
		}
		if out == nil {
			out = maps.Clone(v)
		}
		delete(out, n[0])
		told[n[0]] = "old name, read as " + n[1]
		if _, there := v[n[1]]; !there {
			out[n[1]] = value
		}
	}
	if out == nil {
		return v, nil
	}
	return out, told
}

// modern takes dependencyGroups with circuit, and switch of a trigger's template, which conditions replaced in version
// 1.0 of Argo Events.
func (SensorSpec) modern(v map[string]any) (map[string]any, map[string]string) {
	circuit, _ := v["circuit"].(string)
	triggers, _ := v["triggers"].([]any)
	groups := groupsOf(v["dependencyGroups"])
	told := map[string]string{}
	for _, key := range []string{"circuit", "dependencyGroups"} {
		if _, ok := v[key]; ok {
			told[key] = "old form, read as conditions of the triggers"
		}
	}
	list := make([]any, 0, len(triggers))
	changed := len(told) > 0
	for _, t := range triggers {
		fresh, ok := withConditions(t, circuit, groups)
		changed = changed || ok
		list = append(list, fresh)
	}
	if !changed {
		return v, nil
	}
	out := maps.Clone(v)
	delete(out, "circuit")
	delete(out, "dependencyGroups")
	out["triggers"] = list
	return out, told
}

func groupsOf(v any) map[string]string {
	groups := map[string]string{}
	list, _ := v.([]any)
	for _, g := range list {
		group, _ := g.(map[string]any)
		name, _ := group["name"].(string)
		if names := words(group["dependencies"]); name != "" && len(names) > 0 {
			groups[name] = "(" + strings.Join(names, " && ") + ")"
		}
	}
	return groups
}

func words(v any) []string {
	list, _ := v.([]any)
	var out []string
	for _, e := range list {
		if s, ok := e.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// withConditions gives a trigger the conditions that its switch or the circuit stands for.
func withConditions(trigger any, circuit string, groups map[string]string) (any, bool) {
	t, _ := trigger.(map[string]any)
	template, _ := t["template"].(map[string]any)
	if template == nil || template["conditions"] != nil {
		return trigger, false
	}
	if w, ok := template["switch"].(map[string]any); ok {
		circuit = strings.Join(words(w["any"]), " || ")
		if all := words(w["all"]); len(all) > 0 {
			circuit = strings.Join(all, " && ")
		}
	}
	if circuit == "" {
		return trigger, false
	}
	t, template = maps.Clone(t), maps.Clone(template)
	delete(template, "switch")
	template["conditions"] = groupCondition(circuit, groups)
	t["template"] = template
	return t, true
}

// groupCondition puts the dependencies of groups in place of their names.
func groupCondition(circuit string, groups map[string]string) string {
	for _, operator := range []string{"&&", "||", "(", ")"} {
		circuit = strings.ReplaceAll(circuit, operator, " "+operator+" ")
	}
	names := strings.Fields(circuit)
	for i, name := range names {
		if group, ok := groups[name]; ok {
			names[i] = group
		}
	}
	return strings.Join(names, " ")
}
