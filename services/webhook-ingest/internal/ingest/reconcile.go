package ingest

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/kube/object"
	"github.com/argosy-mesh/argosy/services/webhook-ingest/internal/core"

	"github.com/argosy-mesh/argosy/libs/eventsource"
	"github.com/argosy-mesh/argosy/libs/kube/secret"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kubeevents "k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// secretRefresh is how often secrets are read again: rotation must not need a
// restart.
const secretRefresh = 30 * time.Second

// resolver turns EventSources into routes and into sources that are read. Every
// replica does so for all of them, since any may be asked; the owner writes the
// status.
type resolver struct {
	client  client.Client
	secrets *secret.Reader
	routes  *routes
	sources *sources
	hooks   *sources // of hooks at their senders
	refused *refusals
	aside   func(key string) string // what of an EventSource could not be stored
	owns    func(key string) bool
	log     *slog.Logger
	tell    kubeevents.EventRecorder // may be nil
}

// Reconcile brings the routes and sources of one EventSource up to date.
func (r *resolver) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	raw := object.New("EventSource")
	if err := r.client.Get(ctx, req.NamespacedName, raw); err != nil {
		if apierrors.IsNotFound(err) {
			r.forget( //nolint:contextcheck // what is undone at the other side must not be cut short with the reconcile
				req.String(),
			)
			return reconcile.Result{}, nil
		}
		return reconcile.Result{}, fmt.Errorf("read eventsource %s: %w", req, err)
	}
	es, warnings, err := v1alpha1.DecodeTolerant[v1alpha1.EventSource](raw.Object)
	if err != nil {
		// What cannot be read must not go on under an old secret or endpoint.
		r.routes.remove(req.String())
		r.sources.halt(req.String())
		r.hooks.halt(req.String())
		return reconcile.Result{}, r.report(
			ctx, raw, []v1alpha1.EventCondition{condition("Malformed", err.Error())}, warnings,
		)
	}
	endpoints, err := r.endpoints(ctx, es)
	if err != nil {
		return reconcile.Result{}, err
	}
	conflicts := r.routes.set(
		req.String(), declared{created: es.CreationTimestamp.UTC().Format(time.RFC3339), routes: endpoints},
	)
	states := r.sources.set(ctx, es)
	kept := r.hooks.set(ctx, es)
	conditions := append(verdict(endpoints, conflicts, states), rejections(r.refused.take(req.String()))...)
	conditions = append(conditions, setAside(r.aside(req.String()))...)
	for _, k := range kept {
		// A hook that is there goes on delivering: keeping it says nothing about readiness.
		conditions = append(conditions, k.condition())
	}
	return reconcile.Result{
		RequeueAfter: secretRefresh,
	}, r.report(ctx, raw, conditions, append(warnings, withoutEffect(es)...))
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

func (r *resolver) forget(key string) {
	r.routes.remove(key)
	r.sources.remove(key)
	r.hooks.remove(key)
}

// verdict is one condition for the whole, and one for each event that does not
// work or that is read by us.
func verdict(endpoints []endpoint, conflicts []string, states []state) []v1alpha1.EventCondition {
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
		once(e.route.Event)
		if e.route.Broken != "" {
			broken = append(broken, e.route.Event+": "+e.route.Broken)
		}
	}
	for _, s := range states {
		once(s.event)
		out = append(out, s.condition())
		if s.failure != "" {
			broken = append(broken, s.event+": "+s.failure)
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

func (r *resolver) endpoints(ctx context.Context, es *v1alpha1.EventSource) ([]endpoint, error) {
	var out []endpoint
	refused := eventsource.Refusals(eventsource.Check(es))
	for _, h := range core.Hooks(es) {
		h.Route.Broken = refused[h.Route.Event]
		for _, ref := range h.Refs {
			value, err := r.secrets.Text(ctx, es.Namespace, ref.Ref)
			if missing, is := secret.IsMissing(err); is {
				// It breaks its own route only.
				h.Route.Broken = missing
				continue
			}
			if err != nil {
				return nil, err
			}
			*ref.Into(&h.Route) = value
		}
		if h.Filter != nil {
			if filter, err := eventsource.NewFilter(h.Filter.Expression); err == nil && filter != nil {
				h.Route.Filter = filter
			}
		}
		out = append(out, endpoint{h.Path, h.Route, h.Port})
	}
	return out, nil
}

// report writes the status when it says something new.
func (r *resolver) report(
	ctx context.Context, raw *unstructured.Unstructured, conditions []v1alpha1.EventCondition,
	warnings []v1alpha1.FieldWarning,
) error {
	if !r.owns(raw.GetNamespace() + "/" + raw.GetName()) {
		return nil
	}
	conditions = object.Warned(conditions, warnings)
	written, err := object.ReportConditions(ctx, r.client, raw, conditions)
	if written {
		r.announce(raw, conditions)
	}
	return err
}

// announce makes Kubernetes events of what turned.
func (r *resolver) announce(raw *unstructured.Unstructured, conditions []v1alpha1.EventCondition) {
	if r.tell == nil {
		return
	}
	for _, c := range turned(raw.Object, conditions) {
		kind := corev1.EventTypeNormal
		if c.Status == "False" {
			kind = corev1.EventTypeWarning
		}
		r.tell.Eventf(raw, nil, kind, c.Reason, "Serve", "%s: %.800s", c.Type, c.Message)
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
