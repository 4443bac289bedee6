package eventsource

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/argosy-mesh/argosy/libs/eventsource"
	"github.com/argosy-mesh/argosy/libs/kube/object"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// State is how one event that is read, or one hook at its sender, is.
type State struct {
	Topic     string // the first part of its condition's type
	Event     string
	Elsewhere bool
	Up        bool
	Failure   string
	Note      string // what should be known although it is read
}

// Condition says it in the status.
func (s State) Condition() v1alpha1.EventCondition {
	c := v1alpha1.EventCondition{Type: s.Topic + "." + s.Event, Status: "False", Reason: "Connecting"}
	switch {
	case s.Failure != "":
		c.Reason, c.Message = "Broken", s.Failure
	case s.Elsewhere:
		c.Status, c.Reason = "Unknown", "ReadElsewhere"
	case s.Up && s.Topic == AboutHooks:
		c.Status, c.Reason = "True", "Kept"
	case s.Up:
		c.Status, c.Reason, c.Message = "True", "Reading", s.Note
	}
	return c
}

// What conditions are about.
const (
	AboutEvents = "Event"
	AboutHooks  = "Hook"
)

// verdict is one condition for the whole, and one for each event that does not
// work or that is read by us.
func verdict(endpoints []Endpoint, conflicts []string, states []State) []v1alpha1.EventCondition {
	if len(endpoints)+len(states) == 0 {
		return []v1alpha1.EventCondition{
			condition("NothingSupported", "spec: it has no event of a kind that this version knows"),
		}
	}
	var broken []string
	var out []v1alpha1.EventCondition
	names := map[string]bool{}
	once := func(event string) {
		if names[event] {
			broken = append(broken, event+": two events have this name; give each its own")
		}
		names[event] = true
	}
	for _, e := range endpoints {
		once(e.Route.Event)
		if e.Route.Broken != "" {
			broken = append(broken, e.Route.Event+": "+e.Route.Broken)
		}
	}
	for _, s := range states {
		once(s.Event)
		out = append(out, s.Condition())
		if s.Failure != "" {
			broken = append(broken, s.Event+": "+s.Failure)
		}
	}
	broken = append(broken, conflicts...)
	ready := condition("NotServed", strings.Join(broken, "; "))
	if len(broken) == 0 {
		ready = condition("Serving", fmt.Sprintf("%d event(s) served", len(endpoints)+len(states)))
		ready.Status = "True"
	}
	return append([]v1alpha1.EventCondition{ready}, out...)
}

// rejections say that senders were sent away since the last look.
func rejections(text string) []v1alpha1.EventCondition {
	if text == "" {
		return nil
	}
	return []v1alpha1.EventCondition{{Type: "Rejecting", Status: "True", Reason: "DeliveriesRefused", Message: text}}
}

// setAside says that events were kept beside the bus.
func setAside(text string) []v1alpha1.EventCondition {
	if text == "" {
		return nil
	}
	return []v1alpha1.EventCondition{{Type: "SetAside", Status: "True", Reason: "EventsNotStorable", Message: text}}
}

func condition(reason, message string) v1alpha1.EventCondition {
	return v1alpha1.EventCondition{Type: "Ready", Status: "False", Reason: reason, Message: message}
}

// withoutEffect are the fields that are taken and change nothing.
func withoutEffect(es *v1alpha1.EventSource) []v1alpha1.FieldWarning {
	var out []v1alpha1.FieldWarning
	for _, p := range eventsource.Check(es) {
		if p.Severity == eventsource.NoEffect {
			out = append(out, v1alpha1.FieldWarning{Path: p.Path, Message: p.Message})
		}
	}
	return out
}

// report writes the status when it says something new.
func (r *Reconciler) report(
	ctx context.Context, raw *unstructured.Unstructured, conditions []v1alpha1.EventCondition,
	warnings []v1alpha1.FieldWarning,
) error {
	if !r.Owns(raw.GetNamespace() + "/" + raw.GetName()) {
		return nil
	}
	conditions = object.Warned(conditions, warnings)
	written, err := object.ReportConditions(ctx, r.Client, raw, conditions)
	if written {
		r.announce(raw, conditions)
	}
	return err
}

// announce makes Kubernetes events of what turned.
func (r *Reconciler) announce(raw *unstructured.Unstructured, conditions []v1alpha1.EventCondition) {
	if r.Tell == nil {
		return
	}
	for _, c := range turned(raw.Object, conditions) {
		kind := corev1.EventTypeNormal
		if c.Status == "False" {
			kind = corev1.EventTypeWarning
		}
		r.Tell.Eventf(raw, nil, kind, c.Reason, "Serve", "%s: %.800s", c.Type, c.Message)
	}
}

// turned are the conditions that say something else than before and that people
// should hear of: those that stand or fell, not those on the way.
func turned(tree map[string]any, fresh []v1alpha1.EventCondition) []v1alpha1.EventCondition {
	var old v1alpha1.EventSourceStatus
	if text, err := json.Marshal(tree["status"]); err == nil {
		_ = json.Unmarshal(text, &old) // a status that cannot be read says nothing
	}
	before := map[string]v1alpha1.EventCondition{}
	for _, c := range old.Conditions {
		before[c.Type] = c
	}
	var out []v1alpha1.EventCondition
	for _, c := range fresh {
		if differs(before[c.Type], c) && c.Reason != "Connecting" && c.Status != "Unknown" &&
			c.Type != object.SpecWarning {
			out = append(out, c)
		}
	}
	return out
}

// differs ignores how well it goes, and not how badly.
func differs(was, is v1alpha1.EventCondition) bool {
	return was.Status != is.Status || was.Reason != is.Reason || was.Message != is.Message && is.Status != "True"
}
