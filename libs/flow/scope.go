package flow

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/flow/exactjson"
	"github.com/argosy-mesh/argosy/libs/flow/tag"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// scope holds the values of tags, and the artifacts that tags may name.
type scope struct {
	values    map[string]string
	artifacts map[string]v1alpha1.Artifact
	absent    map[string]bool // prefixes such as steps.a of units that did not run
	lacking   map[string]bool // names of artifacts that may be there and are not
	hidden    map[string]bool // names of input parameters that are not those of this scope
	outer     *scope          // what is known everywhere; shared, so that a later global is seen
	caller    *scope          // of the template that called this one: volumes of the spec see it
	mode      tagMode
}

// tagMode is what becomes of tags without a value.
type tagMode int

const (
	callTags  tagMode = iota // those with a strict prefix are errors, those of loops may get their value later
	finalTags                // as above, and nothing gets a value later
	codeTags                 // the same, but {{item}} by itself is the program's own
	looseTags                // all stay as they are
)

func newScope() scope {
	return scope{values: map[string]string{}, artifacts: map[string]v1alpha1.Artifact{}, absent: map[string]bool{}, lacking: map[string]bool{}}
}

// inner starts a scope within a shared one.
func (s *scope) inner(extra map[string]string) scope {
	next := newScope()
	next.outer = s
	maps.Copy(next.values, extra)
	return next
}

// with copies the scope, so that siblings do not see each other's additions.
func (s scope) with(extra map[string]string) scope {
	next := scope{values: maps.Clone(s.values), artifacts: maps.Clone(s.artifacts), absent: maps.Clone(s.absent), lacking: maps.Clone(s.lacking),
		outer: s.outer, caller: s.caller, mode: s.mode, hidden: s.hidden}
	maps.Copy(next.values, extra)
	return next
}

func (s scope) value(name string) (string, bool) {
	if s.hidden[name] {
		return "", false
	}
	if v, ok := s.values[name]; ok || s.outer == nil {
		return v, ok
	}
	return s.outer.value(name)
}

func (s scope) artifact(name string) (v1alpha1.Artifact, bool) {
	if a, ok := s.artifacts[name]; ok || s.outer == nil {
		return a, ok
	}
	return s.outer.artifact(name)
}

// as is the scope with another way to treat tags without a value.
func (s scope) as(mode tagMode) scope {
	s.mode = mode
	return s
}

// skipped reports whether a name belongs to a unit that did not run.
func (s scope) skipped(name string) bool {
	prefix, _, asks := strings.Cut(name, ".outputs.")
	return asks && s.absent[prefix]
}

// globals are the variables of a workflow that are known everywhere.
func (k *engine) globalScope() (scope, error) {
	w, s := k.w, newScope()
	v := s.values
	v["workflow.name"], v["workflow.namespace"], v["workflow.uid"] = w.Name, w.Namespace, w.UID
	v["workflow.mainEntrypoint"] = w.Spec.Entrypoint
	v["workflow.serviceAccountName"] = cmp.Or(w.Spec.ServiceAccountName, "default")
	v["workflow.creationTimestamp"] = w.Created.UTC().Format(time.RFC3339)
	v["workflow.creationTimestamp.RFC3339"] = w.Created.UTC().Format(time.RFC3339)
	v["workflow.creationTimestamp.s"] = strconv.FormatInt(w.Created.Unix(), 10)
	addTimeFormats(v, w.Created.UTC())
	if w.Spec.Priority != nil {
		v["workflow.priority"] = strconv.Itoa(int(*w.Spec.Priority))
	}
	if at := w.Annotations["workflows.argoproj.io/scheduled-time"]; at != "" {
		v["workflow.scheduledTime"] = at
	}
	v["workflow.status"] = string(w.Run.Phase)
	if !w.Run.StartedAt.IsZero() {
		v["workflow.duration"] = fmt.Sprintf("%f", w.Now.Sub(w.Run.StartedAt).Seconds())
	}
	s.addMetadata(w.Labels, w.Annotations, w.Run.Metadata)
	if err := k.addArguments(s, w.Spec.Arguments); err != nil {
		return s, err
	}
	for _, name := range []string{"workflow.serviceAccountName", "workflow.mainEntrypoint"} {
		var err error
		if v[name], err = s.as(looseTags).text(v[name]); err != nil {
			return s, fmt.Errorf("{{%s}}: %w", name, err)
		}
	}
	return s, nil
}

// addTimeFormats adds the creation time in the formats of strftime that upstream offers.
func addTimeFormats(v map[string]string, at time.Time) {
	for letter, layout := range map[string]string{
		"B": "January", "b": "Jan", "m": "01", "A": "Monday", "a": "Mon", "d": "02", "H": "15", "I": "03", "M": "04", "S": "05", "Y": "2006", "y": "06",
		"p": "PM", "Z": "MST", "z": "-0700", "L": ".000",
	} {
		v["workflow.creationTimestamp."+letter] = strings.TrimPrefix(at.Format(layout), ".")
	}
}

// resolveSpec resolves the tags of a spec that name what is known everywhere; what has no value yet stays. Templates,
// arguments, hooks, metadata and metrics are resolved where they are used, with more or later values.
func (s scope) resolveSpec(spec v1alpha1.WorkflowSpec) (v1alpha1.WorkflowSpec, error) {
	own := spec
	own.Templates, own.TemplateDefaults, own.Arguments, own.Hooks, own.WorkflowMetadata, own.Metrics = nil, nil, nil, nil, nil, nil
	if !strings.Contains(exactjson.Text(own), "{{") {
		return spec, nil
	}
	if err := substitute(&own, s.as(looseTags)); err != nil {
		return spec, err
	}
	own.Templates, own.TemplateDefaults, own.Arguments, own.Hooks, own.WorkflowMetadata, own.Metrics = spec.Templates, spec.TemplateDefaults, spec.Arguments,
		spec.Hooks, spec.WorkflowMetadata, spec.Metrics
	return own, nil
}

func parameterValue(p v1alpha1.Parameter) (string, bool) {
	switch {
	case p.Value != nil:
		return p.Value.String(), true
	case p.Default != nil:
		return p.Default.String(), true
	case p.ValueFrom != nil && p.ValueFrom.Default != nil:
		return p.ValueFrom.Default.String(), true
	}
	return "", false
}

// strict are the prefixes whose tags must resolve; others may be meant for the
// program in the pod and stay as they are.
var strict = []string{"inputs.", "steps.", "tasks.", "workflow.parameters."}

// substitute replaces the tags in every string of v, which must be a pointer, by
// way of its JSON text.
func substitute[T any](v *T, s scope) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode for substitution: %w", err)
	}
	if !bytes.Contains(text, []byte("{{")) {
		return nil
	}
	replaced, err := s.replace(string(text), exactjson.Escape)
	if err != nil {
		return err
	}
	var out T
	if err := json.Unmarshal([]byte(replaced), &out); err != nil {
		return fmt.Errorf("after substitution: %w", err)
	}
	*v = out
	return nil
}

// text replaces the tags in a plain string.
func (s scope) text(in string) (string, error) {
	return s.replace(in, func(v string) string { return v })
}

func (s scope) replace(in string, escape func(string) string) (string, error) {
	return tag.Replace(in, func(tag string) (string, bool, error) {
		value, found, err := s.resolve(tag)
		return escape(value), found, err
	})
}

func (s scope) resolve(tag string) (string, bool, error) {
	if source, ok := strings.CutPrefix(strings.TrimSpace(tag), "="); ok {
		value, found, err := s.evaluate(exactjson.Unescape(source))
		if err != nil && s.mode == looseTags {
			return "", false, nil
		}
		return value, found, err
	}
	name := strings.TrimSpace(tag)
	if value, ok := s.value(name); ok {
		return value, true, nil
	}
	if s.mode == looseTags {
		return "", false, nil
	}
	if name == "item" || strings.HasPrefix(name, "item.") {
		return "", false, s.itemError(name)
	}
	for _, prefix := range strict {
		if strings.HasPrefix(name, prefix) {
			if _, artifact := s.artifact(name); artifact {
				return "", false, nil
			}
			if s.skipped(name) {
				return "", false, fmt.Errorf("{{%s}} has no value: what it names did not run and has no default", name)
			}
			return "", false, fmt.Errorf("{{%s}} has no value here", name)
		}
	}
	return "", false, nil
}

// itemError says why a tag of a loop has no value, nil when it may get one later.
func (s scope) itemError(name string) error {
	switch {
	case s.knows("item"):
		return fmt.Errorf("{{%s}} names no field of the item; of what lies deeper {{=jsonpath(item.FIELD, '$.deeper')}} gives the value", name)
	case s.mode == finalTags, s.mode == codeTags && name != "item":
		return fmt.Errorf("{{%s}} has no value here: the items of a loop are known to the step or task that loops; pass them on as arguments", name)
	}
	return nil
}
