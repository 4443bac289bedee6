package check

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/libs/script"
	"github.com/argosy-mesh/argosy/libs/sensing"
	"github.com/argosy-mesh/argosy/libs/sensing/param"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/tidwall/gjson"
)

// needs are the fields without which a trigger of a kind fails each time; several with | between them stand for each
// other.
var needs = map[string][]string{
	"awsLambda": {
		"functionName", "region",
	},
	"azureEventHubs":  {"fqdn", "hubName"},
	"azureServiceBus": {"queueName|topicName"},
	"custom":          {"serverURL"},
	"email": {
		"host", "from", "to",
	},
	"http":      {"url"},
	"jetstream": {"url", "subject"},
	"kafka":     {"url", "topic"},
	"nats":      {"url", "subject"},
	"openWhisk": {
		"host", "actionName",
	},
	"pulsar":       {"url", "topic"},
	"slack":        {"slackToken"},
	"k8s":          {"source"},
	"argoWorkflow": {"source"},
}

// operations by kind; the empty one is the first.
var operations = map[string][]string{
	"k8s":          {"create", "update", "patch", "delete"},
	"argoWorkflow": {"submit", "submit-from", "resubmit", "resume", "retry", "suspend", "terminate", "stop"},
}

var patchStrategies = []string{
	"", "application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json",
	"application/apply-patch+yaml",
}

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
		l.wrongf(at, "%w", err)
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
		if !slices.ContainsFunc(
			strings.Split(need, "|"),
			func(field string) bool { return present(text, field) || touched(own, kind+"."+field) },
		) {
			l.wrongf(at, "%s is missing", strings.ReplaceAll(need, "|", " or "))
		}
	}
	if kind == "kafka" && present(text, "schemaRegistry") {
		l.wrongf(
			at+".schemaRegistry",
			"payloads are sent as JSON: encoding them by a schema is not supported by this version",
		)
	}
	l.operation(at, kind, c, touched(own, kind+".operation"))
	if c.Source != nil && !touched(l.given, kind+".source") {
		l.manifest(at, kind, c)
	}
}

// operation looks at what is done; open tells that an event says it.
func (l *look) operation(at, kind string, c common, open bool) {
	if names := operations[kind]; names != nil && c.Operation != "" && !slices.Contains(names, c.Operation) && !open {
		l.wrongf(at+".operation", "%q is none of %s", c.Operation, strings.Join(names, ", "))
	}
	if !slices.Contains(patchStrategies, c.PatchStrategy) {
		l.wrongf(at+".patchStrategy", "%q is none of %s", c.PatchStrategy, strings.Join(patchStrategies[1:], ", "))
	}
	if c.PatchStrategy != "" && c.Operation != "patch" && !open {
		l.warnf(at+".patchStrategy", "has no effect on the operation %s", word(c.Operation))
	}
	if c.LiveObject && word(c.Operation) == "create" {
		l.warnf(at+".liveObject", "has no effect on the operation create")
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
		l.wrongf(at+".source", "%w", err)
		return
	case !inline:
		return
	}
	o := object{text: raw, at: at + ".source.resource", operation: c.Operation}
	for i := range c.Parameters {
		p := &c.Parameters[i]
		if strings.Contains(p.Dest, "#(") &&
			!slices.ContainsFunc(o.dests, func(d string) bool { return strings.HasPrefix(p.Dest, d) }) {
			if _, err := param.Destination(raw, p.Dest); err != nil {
				l.wrongf(fmt.Sprintf("%s.parameters[%d].dest", at, i), "hits nothing: %w", err)
			}
		}
		o.dests = append(o.dests, strings.TrimSuffix(strings.SplitN(p.Dest, "#(", 2)[0], "."))
	}
	switch {
	case kind == "argoWorkflow" && c.Operation != "" && c.Operation != "submit" && !o.has("metadata.name"):
		l.wrongf(o.at, "metadata.name is missing: the operation %s needs to know which workflow", c.Operation)
	case kind == "k8s":
		if !c.LiveObject {
			l.typed(o)
		}
		l.named(o)
		l.labels(o)
	}
}

// object is a manifest, and which paths of it parameters set.
type object struct {
	text      []byte
	at        string
	operation string
	dests     []string
}

func (o object) has(path string) bool {
	return present(string(o.text), path) || touched(o.dests, path)
}

func (l *look) typed(o object) {
	for _, field := range []string{"apiVersion", "kind"} {
		if !o.has(field) {
			l.wrongf(o.at, "%s is missing", field)
		}
	}
}

func (l *look) named(o object) {
	creates := word(o.operation) == "create"
	switch {
	case creates && !o.has("metadata.name") && !o.has("metadata.generateName"):
		l.wrongf(o.at, "metadata.name or metadata.generateName is missing")
	case slices.Contains(operations["k8s"][1:], o.operation) && !o.has("metadata.name"):
		l.wrongf(o.at, "metadata.name is missing: the operation %s needs to know which object", o.operation)
	}
	if name := gjson.GetBytes(o.text, "metadata.name").String(); creates && name != "" &&
		!touched(o.dests, "metadata.name") {
		l.warnf(
			o.at+".metadata.name",
			"only the first event makes %q, each further one fails: use generateName, or the operation update or patch",
			name,
		)
	}
}

func (l *look) labels(o object) {
	gjson.GetBytes(o.text, "metadata.labels").ForEach(func(key, value gjson.Result) bool {
		if !touched(o.dests, "metadata.labels."+key.String()) && sensing.LabelValue(value.String()) != value.String() {
			l.wrongf(
				o.at+".metadata.labels."+key.String(),
				"%q is no value of a label: letters, digits, - _ . and at most 63 of them", value.String(),
			)
		}
		return true
	})
}

// parameters looks at one list.
func (l *look) parameters(at string, list []v1alpha1.TriggerParameter, needsDest bool) {
	for i := range list {
		p, here := &list[i], fmt.Sprintf("%s[%d]", at, i)
		if p.Src == nil {
			l.wrongf(here, "src: is missing")
			continue
		}
		switch {
		case l.dependencies[p.Src.DependencyName]:
		case p.Src.Value != nil:
			l.warnf(here+".src", "no dependency is named %q: the value is always taken", p.Src.DependencyName)
		default:
			l.wrongf(here+".src", "no dependency is named %q", p.Src.DependencyName)
		}
		if p.Dest == "" && needsDest {
			l.wrongf(here, "dest: is empty")
		}
		if !slices.Contains([]string{"", "append", "prepend", "overwrite"}, p.Operation) {
			l.wrongf(here+".operation", "%q is none of append, prepend, overwrite", p.Operation)
		}
		l.source(here+".src", p.Src)
	}
}

func (l *look) source(at string, src *v1alpha1.TriggerParameterSource) {
	for field, text := range map[string]string{
		"dataTemplate": src.DataTemplate, "contextTemplate": src.ContextTemplate,
	} {
		if text == "" {
			continue
		}
		if _, err := script.CompileTemplate(text); err != nil {
			l.wrongf(at+"."+field, "%w", err)
		}
	}
	if key := src.ContextKey; key != "" && src.DataKey == "" && src.DataTemplate == "" && src.Value == nil &&
		!slices.Contains(contextKeys, strings.SplitN(key, ".", 2)[0]) {
		l.wrongf(at+".contextKey", "%q is none of %s", key, strings.Join(contextKeys, ", "))
	}
}

// contextKeys are what an event shows of its context.
var contextKeys = []string{"id", "type", "source", "subject", "datacontenttype", "specversion", "time"}

// templateFields finds trigger.parameters that set what the template does not have.
func (l *look) templateFields(at string, list []v1alpha1.TriggerParameter, kind string) {
	for i := range list {
		first, _, _ := strings.Cut(list[i].Dest, ".")
		if list[i].Src != nil && first != "" && kind != "" && first != kind && first != "name" {
			l.warnf(
				fmt.Sprintf("%s[%d].dest", at, i),
				"hits nothing: the template is of kind %s, so that dest begins with %s", kind, kind,
			)
		}
	}
}
