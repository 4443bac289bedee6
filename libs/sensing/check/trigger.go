package check

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/libs/sensing"
	"github.com/argosy-mesh/argosy/libs/sensing/param"
	"github.com/argosy-mesh/argosy/libs/sensing/script"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/tidwall/gjson"
)

// needs are the fields without which a trigger of a kind fails each time; several with | between them stand for each other.
var needs = map[string][]string{
	"awsLambda": {"functionName", "region"}, "azureEventHubs": {"fqdn", "hubName"}, "azureServiceBus": {"queueName|topicName"}, "custom": {"serverURL"},
	"email": {"host", "from", "to"}, "http": {"url"}, "jetstream": {"url", "subject"}, "kafka": {"url", "topic"}, "nats": {"url", "subject"},
	"openWhisk": {"host", "actionName"}, "pulsar": {"url", "topic"}, "slack": {"slackToken"}, "k8s": {"source"}, "argoWorkflow": {"source"},
}

// operations by kind; the empty one is the first.
var operations = map[string][]string{
	"k8s":          {"create", "update", "patch", "delete"},
	"argoWorkflow": {"submit", "submit-from", "resubmit", "resume", "retry", "suspend", "terminate", "stop"},
}

var patchStrategies = []string{"", "application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json", "application/apply-patch+yaml"}

// common is what kinds have in common.
type common struct {
	Operation      string                          `json:"operation"`
	PatchStrategy  string                          `json:"patchStrategy"`
	LiveObject     bool                            `json:"liveObject"`
	Source         *v1alpha1.EventArtifactLocation `json:"source"`
	Parameters     []v1alpha1.TriggerParameter     `json:"parameters"`
	Payload        []v1alpha1.TriggerParameter     `json:"payload"`
	DynamicHeaders []v1alpha1.TriggerParameter     `json:"dynamicHeaders"`
}

func (l *look) kind(at, kind string, t *v1alpha1.TriggerTemplate) {
	raw, err := json.Marshal(t)
	if err != nil {
		return
	}
	text := gjson.GetBytes(raw, kind).Raw
	var c common
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		l.wrong(at, "%w", err)
		return
	}
	l.parameters(at+".parameters", c.Parameters, true)
	l.parameters(at+".payload", c.Payload, false)
	l.parameters(at+".dynamicHeaders", c.DynamicHeaders, true)
	own := slices.Clone(l.given)
	for _, p := range c.Parameters {
		if c.Source == nil {
			own = append(own, kind+"."+p.Dest)
		}
	}
	for _, need := range needs[kind] {
		if !slices.ContainsFunc(strings.Split(need, "|"), func(field string) bool { return present(text, field) || touched(own, kind+"."+field) }) {
			l.wrong(at, "%s is missing", strings.ReplaceAll(need, "|", " or "))
		}
	}
	if names := operations[kind]; names != nil && c.Operation != "" && !slices.Contains(names, c.Operation) && !touched(own, kind+".operation") {
		l.wrong(at+".operation", "%q is none of %s", c.Operation, strings.Join(names, ", "))
	}
	if !slices.Contains(patchStrategies, c.PatchStrategy) {
		l.wrong(at+".patchStrategy", "%q is none of %s", c.PatchStrategy, strings.Join(patchStrategies[1:], ", "))
	}
	if c.PatchStrategy != "" && c.Operation != "patch" && !touched(own, kind+".operation") {
		l.warn(at+".patchStrategy", "has no effect on the operation %s", word(c.Operation))
	}
	if c.LiveObject && word(c.Operation) == "create" {
		l.warn(at+".liveObject", "has no effect on the operation create")
	}
	if c.Source != nil && !touched(l.given, kind+".source") {
		l.manifest(at, kind, c)
	}
}

func word(operation string) string {
	if operation == "" {
		return "create"
	}
	return operation
}

func present(text, field string) bool {
	v := gjson.Get(text, field)
	return v.Exists() && v.Raw != `""` && v.Raw != "null" && v.Raw != "[]" && v.Raw != "{}"
}

// manifest looks at an object that stands in the Sensor.
func (l *look) manifest(at, kind string, c common) {
	raw, inline, err := param.Inline(c.Source)
	switch {
	case err != nil:
		l.wrong(at+".source", "%w", err)
		return
	case !inline:
		return
	}
	var dests []string
	for i := range c.Parameters {
		p := &c.Parameters[i]
		if strings.Contains(p.Dest, "#(") && !slices.ContainsFunc(dests, func(d string) bool { return strings.HasPrefix(p.Dest, d) }) {
			if _, err := param.Destination(raw, p.Dest); err != nil {
				l.wrong(fmt.Sprintf("%s.parameters[%d].dest", at, i), "hits nothing: %w", err)
			}
		}
		dests = append(dests, strings.TrimSuffix(strings.SplitN(p.Dest, "#(", 2)[0], "."))
	}
	where := at + ".source.resource"
	need := func(path string) bool {
		return present(string(raw), path) || touched(dests, path)
	}
	if kind == "k8s" && !c.LiveObject {
		for _, field := range []string{"apiVersion", "kind"} {
			if !need(field) {
				l.wrong(where, "%s is missing", field)
			}
		}
	}
	switch {
	case kind == "k8s" && word(c.Operation) == "create" && !need("metadata.name") && !need("metadata.generateName"):
		l.wrong(where, "metadata.name or metadata.generateName is missing")
	case kind == "k8s" && slices.Contains(operations[kind][1:], c.Operation) && !need("metadata.name"):
		l.wrong(where, "metadata.name is missing: the operation %s needs to know which object", c.Operation)
	case kind == "argoWorkflow" && c.Operation != "" && c.Operation != "submit" && !need("metadata.name"):
		l.wrong(where, "metadata.name is missing: the operation %s needs to know which workflow", c.Operation)
	}
	if name := gjson.GetBytes(raw, "metadata.name").String(); kind == "k8s" && word(c.Operation) == "create" && name != "" && !touched(dests, "metadata.name") && !touched(dests, "metadata") {
		l.warn(where+".metadata.name", "only the first event makes %q, each further one fails: use generateName, or the operation update or patch", name)
	}
	gjson.GetBytes(raw, "metadata.labels").ForEach(func(key, value gjson.Result) bool {
		if !touched(dests, "metadata.labels."+key.String()) && sensing.LabelValue(value.String()) != value.String() {
			l.wrong(where+".metadata.labels."+key.String(), "%q is no value of a label: letters, digits, - _ . and at most 63 of them", value.String())
		}
		return true
	})
}

// parameters looks at one list.
func (l *look) parameters(at string, list []v1alpha1.TriggerParameter, needsDest bool) {
	for i := range list {
		p, here := &list[i], fmt.Sprintf("%s[%d]", at, i)
		if p.Src == nil {
			l.wrong(here, "src: is missing")
			continue
		}
		switch {
		case l.dependencies[p.Src.DependencyName]:
		case p.Src.Value != nil:
			l.warn(here+".src", "no dependency is named %q: the value is always taken", p.Src.DependencyName)
		default:
			l.wrong(here+".src", "no dependency is named %q", p.Src.DependencyName)
		}
		if p.Dest == "" && needsDest {
			l.wrong(here, "dest: is empty")
		}
		if !slices.Contains([]string{"", "append", "prepend", "overwrite"}, p.Operation) {
			l.wrong(here+".operation", "%q is none of append, prepend, overwrite", p.Operation)
		}
		for field, source := range map[string]string{"dataTemplate": p.Src.DataTemplate, "contextTemplate": p.Src.ContextTemplate} {
			if source == "" {
				continue
			}
			if _, err := script.CompileTemplate(source); err != nil {
				l.wrong(here+".src."+field, "%w", err)
			}
		}
		if key := p.Src.ContextKey; key != "" && p.Src.DataKey == "" && p.Src.DataTemplate == "" && p.Src.Value == nil && !slices.Contains(contextKeys, strings.SplitN(key, ".", 2)[0]) {
			l.wrong(here+".src.contextKey", "%q is none of %s", key, strings.Join(contextKeys, ", "))
		}
	}
}

// contextKeys are what an event shows of its context.
var contextKeys = []string{"id", "type", "source", "subject", "datacontenttype", "specversion", "time"}

// templateFields finds trigger.parameters that set what the template does not have.
func (l *look) templateFields(at string, list []v1alpha1.TriggerParameter, kind string) {
	for i := range list {
		first, _, _ := strings.Cut(list[i].Dest, ".")
		if list[i].Src != nil && first != "" && kind != "" && first != kind && first != "name" {
			l.warn(fmt.Sprintf("%s[%d].dest", at, i), "hits nothing: the template is of kind %s, so that dest begins with %s", kind, kind)
		}
	}
}
