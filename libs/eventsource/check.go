package eventsource

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// Severity says how much a problem matters.
type Severity int

// The severities, the worst first.
const (
	// Refused keeps an event from being served.
	Refused Severity = iota
	// NoEffect is a field that is taken and changes nothing, or not what it seems to.
	NoEffect
	// Advice is what works and may not be what is meant.
	Advice
)

// Problem is one thing that is wrong with an EventSource.
type Problem struct {
	// Path is where it is, such as spec.webhook.example.endpoint.
	Path string
	// Event is the event that does not work, or that the field belongs to; "" where others are concerned too.
	Event    string
	Severity Severity
	// Message says what is wrong and what would be right.
	Message string
}

// noKinds are the fields of the spec that declare no events.
var noKinds = []string{"eventBusName", "rateLimit", "replicas", "service", "template"}

// check gathers problems over one EventSource.
type check struct {
	es     *v1alpha1.EventSource
	found  []Problem
	names  map[string]string // of events, to where they stand
	listen []listening
	events int

	kind, event string // that is looked at
}

// listening is a hook by what tells its requests from others.
type listening struct{ path, method, port, at string }

// Check says what the service would refuse or leave without effect. It decides from the
// manifest alone: a secret that is missing is not found here.
func Check(es *v1alpha1.EventSource) []Problem {
	c := &check{es: es, names: map[string]string{}}
	c.object()
	spec := fields(es.Spec)
	for _, kind := range slices.Sorted(maps.Keys(spec)) {
		events, ok := spec[kind].(map[string]any)
		if !ok || slices.Contains(noKinds, kind) {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(events)) {
			config, _ := events[name].(map[string]any)
			c.kind, c.event = kind, name
			c.one(config)
		}
	}
	c.kind, c.event = "", ""
	if c.events == 0 {
		c.add(Refused, "spec", "has no events; name one below its kind, such as webhook")
	}
	if l := es.Spec.RateLimit; l != nil && l.Unit != "" &&
		!slices.Contains([]string{"Second", "Minute", "Hour"}, l.Unit) {
		c.add(NoEffect, "spec.rateLimit.unit", "%q is none of Second, Minute, Hour: a second is meant", l.Unit)
	}
	if l := es.Spec.RateLimit; l != nil && l.RequestsPerUnit <= 0 {
		c.add(
			NoEffect, "spec.rateLimit.requestsPerUnit", "%d limits nothing; a number above zero is wanted",
			l.RequestsPerUnit,
		)
	}
	return c.found
}

func (c *check) add(severity Severity, path, message string, args ...any) {
	c.found = append(
		c.found, Problem{Path: path, Event: c.event, Severity: severity, Message: fmt.Sprintf(message, args...)},
	)
}

// at is the path of a field of the event.
func (c *check) at(field string) string {
	path := "spec." + c.kind + "." + c.event
	if field != "" {
		path += "." + field
	}
	return path
}

func (c *check) refuse(field, message string, args ...any) {
	c.add(Refused, c.at(field), message, args...)
}

// shared refuses what others have already; the event itself goes on.
func (c *check) shared(field, message string, args ...any) {
	c.found = append(c.found, Problem{Path: c.at(field), Severity: Refused, Message: fmt.Sprintf(message, args...)})
}

// err adds what is wrong with the field that it names, or else with the given one.
func (c *check) err(field string, err error) {
	if err == nil {
		return
	}
	if fault, ok := errors.AsType[*FieldError](err); ok {
		field, err = strings.Trim(field+"."+fault.Field, "."), fault.Err
	}
	c.refuse(field, "%s", err)
}

// object looks at the names that the API server and others will look at.
func (c *check) object() {
	if name := c.es.Name; name != "" {
		for _, why := range validation.IsDNS1123Subdomain(name) {
			c.add(Refused, "metadata.name", "%q: %s", name, why)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(c.es.Labels)) {
		for _, why := range append(validation.IsQualifiedName(key), validation.IsValidLabelValue(c.es.Labels[key])...) {
			c.add(Refused, "metadata.labels."+key, "%q: %s", c.es.Labels[key], why)
		}
	}
}

// one looks at one event.
func (c *check) one(config map[string]any) {
	c.events++
	at := c.at("")
	if other, twice := c.names[c.event]; twice {
		c.shared("", "%s has the same name, and Sensors could not tell them apart: give each its own", other)
	}
	c.names[c.event] = at
	c.err("", NameError(c.es.Namespace, c.es.Name, c.event))
	if needs, read := needs[c.kind]; read {
		for _, need := range needs {
			if !slices.ContainsFunc(strings.Split(need, "|"), func(path string) bool { return given(config, path) }) {
				c.refuse("", "%s is missing", strings.ReplaceAll(need, "|", " or "))
			}
		}
	}
	for _, field := range slices.Sorted(maps.Keys(refusals[c.kind])) {
		if given(config, field) {
			c.refuse(field, "%s", refusals[c.kind][field])
		}
	}
	for _, ignored := range []map[string]string{ignored[c.kind], ignored[""]} {
		for _, field := range slices.Sorted(maps.Keys(ignored)) {
			if given(config, field) {
				c.add(NoEffect, c.at(field), "has no effect: %s", ignored[field])
			}
		}
	}
	c.filter(config)
	c.hooked(config)
	if rule := rules[c.kind]; rule != nil {
		rule(c, c.event, config)
	}
	c.signature(config)
}

func (c *check) filter(config map[string]any) {
	filter, ok := config["filter"].(map[string]any)
	if !ok || c.kind == "minio" || c.kind == "resource" || c.kind == "storageGrid" {
		return
	}
	expression, _ := filter["expression"].(string)
	if strings.TrimSpace(expression) == "" {
		c.add(NoEffect, c.at("filter"), "has no effect: its expression is empty, and keeps everything")
		return
	}
	if _, err := NewFilter(expression); err != nil {
		c.refuse("filter.expression", "%s", strings.TrimPrefix(err.Error(), "read the filter: "))
	}
}

// signatures are the fields that make a kind check who sent a hook, by kind: the first of signing that it has. An
// unsigned hook of a registry is a hint alone, which the registry is asked about.
var signatures = func() map[string]string {
	out := map[string]string{}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[v1alpha1.EventSourceSpec]()) {
		kind, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Type.Kind() != reflect.Map || f.Type.Elem().Kind() != reflect.Struct || kind == "registry" {
			continue
		}
		for _, name := range signing {
			if hasField(f.Type.Elem(), name) && hasField(f.Type.Elem(), "webhook") {
				out[kind] = name
				break
			}
		}
	}
	return out
}()

// signing are the fields that hold what a signature is made with, or ask for one.
var signing = []string{"webhookSecret", "secretToken", "signingSecret", "validateSignature"}

func hasField(t reflect.Type, name string) bool {
	return slices.ContainsFunc(reflect.VisibleFields(t), func(f reflect.StructField) bool {
		own, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		return own == name
	})
}

func (c *check) signature(config map[string]any) {
	field := signatures[c.kind]
	if field == "" || given(config, field) || given(config, "webhook.authSecret") ||
		c.kind == "slack" && given(config, "token") {
		return
	}
	c.add(Advice, c.at(""), "without %s anyone may send events", field)
}

// Refusals are why events cannot be served, by event.
func Refusals(problems []Problem) map[string]string {
	out := map[string]string{}
	for _, p := range problems {
		if p.Severity != Refused || p.Event == "" {
			continue
		}
		text := strings.TrimPrefix(p.Path, "spec.") + ": " + p.Message
		if out[p.Event] != "" {
			text = out[p.Event] + "; " + text
		}
		out[p.Event] = text
	}
	return out
}
