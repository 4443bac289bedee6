package ingest

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/webhook-ingest/internal/core"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// secretRefresh is how often secrets are read again: rotation must not need a
// restart.
const secretRefresh = 30 * time.Second

// resolver turns EventSources into routes. Every replica does so for all of them,
// since any may be asked; the owner writes the status.
type resolver struct {
	client client.Client
	reader client.Reader // not cached: secrets are not kept in memory for all namespaces
	routes *routes
	owns   func(key string) bool
	log    *slog.Logger
}

// Reconcile brings the routes of one EventSource up to date.
func (r *resolver) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	raw := &unstructured.Unstructured{}
	raw.SetGroupVersionKind(v1alpha1.Kind("EventSource"))
	if err := r.client.Get(ctx, req.NamespacedName, raw); err != nil {
		if apierrors.IsNotFound(err) {
			r.routes.remove(req.String())
			return reconcile.Result{}, nil
		}
		return reconcile.Result{}, fmt.Errorf("read eventsource %s: %w", req, err)
	}
	es, warnings, err := v1alpha1.DecodeTolerant[v1alpha1.EventSource](raw.Object)
	if err != nil {
		// What cannot be read must not go on under an old secret or endpoint.
		r.routes.remove(req.String())
		return reconcile.Result{}, r.report(ctx, raw, condition("Malformed", err.Error()), warnings)
	}
	endpoints, err := r.endpoints(ctx, es)
	if err != nil {
		return reconcile.Result{}, err
	}
	conflicts := r.routes.set(req.String(), declared{created: es.CreationTimestamp.UTC().Format(time.RFC3339), routes: endpoints})
	return reconcile.Result{RequeueAfter: secretRefresh}, r.report(ctx, raw, verdict(endpoints, conflicts), warnings)
}

func verdict(endpoints []endpoint, conflicts []string) v1alpha1.EventCondition {
	if len(endpoints) == 0 {
		return condition("NothingSupported", "spec: none of its kinds is supported by this version; github, webhook and registry are")
	}
	var broken []string
	for _, e := range endpoints {
		if e.route.Broken != "" {
			broken = append(broken, e.route.Event+": "+e.route.Broken)
		}
	}
	for _, path := range conflicts {
		broken = append(broken, fmt.Sprintf("endpoint %s belongs to an older EventSource; use the path under /hooks/", path))
	}
	if len(broken) > 0 {
		return condition("NotServed", strings.Join(broken, "; "))
	}
	c := condition("Serving", fmt.Sprintf("%d event(s) served", len(endpoints)))
	c.Status = "True"
	return c
}

func condition(reason, message string) v1alpha1.EventCondition {
	return v1alpha1.EventCondition{Type: "Ready", Status: "False", Reason: reason, Message: message}
}

func (r *resolver) endpoints(ctx context.Context, es *v1alpha1.EventSource) ([]endpoint, error) {
	var out []endpoint
	base := core.Route{Namespace: es.Namespace, EventSource: es.Name}
	for _, name := range slices.Sorted(maps.Keys(es.Spec.Github)) {
		route, path := github(base, es.Spec.Github[name])
		route.Event = name
		hook := es.Spec.Github[name]
		if err := r.secret(ctx, &route, hook.WebhookSecret, &route.Secret); err != nil {
			return nil, err
		}
		out = append(out, endpoint{path, route})
	}
	for _, name := range slices.Sorted(maps.Keys(es.Spec.Webhook)) {
		hook := es.Spec.Webhook[name]
		route := base
		route.Event, route.Provider, route.Method, route.Metadata, route.MaxBody = name, "webhook", hook.Method, hook.Metadata, limit(hook.MaxPayloadSize)
		if err := r.secret(ctx, &route, hook.AuthSecret, &route.Bearer); err != nil {
			return nil, err
		}
		out = append(out, endpoint{clean(hook.Endpoint), route})
	}
	for _, name := range slices.Sorted(maps.Keys(es.Spec.Registry)) {
		hook := es.Spec.Registry[name]
		route := base
		route.Event, route.Provider, route.Repositories, route.Metadata = name, "registry", hook.Repositories, hook.Metadata
		route.Registry = hook.RegistryURL
		path := ""
		auth := hook.AuthSecret
		if hook.Webhook != nil {
			path, route.MaxBody = clean(hook.Webhook.Endpoint), limit(hook.Webhook.MaxPayloadSize)
			if auth == nil {
				auth = hook.Webhook.AuthSecret
			}
		}
		if err := r.secret(ctx, &route, auth, &route.Bearer); err != nil {
			return nil, err
		}
		out = append(out, endpoint{path, route})
	}
	return out, nil
}

func github(base core.Route, hook v1alpha1.GithubEventSource) (core.Route, string) {
	base.Provider, base.Events, base.Metadata = "github", hook.Events, hook.Metadata
	// Upstream checks a signature only if there is a secret; so do manifests here.
	base.Unsigned = hook.WebhookSecret == nil
	if hook.Webhook == nil {
		return base, ""
	}
	base.Method, base.MaxBody = hook.Webhook.Method, limit(hook.Webhook.MaxPayloadSize)
	return base, clean(hook.Webhook.Endpoint)
}

func limit(v *int64) int64 {
	if v == nil {
		return 0
	}
	return *v
}

func clean(endpoint string) string {
	endpoint = strings.TrimSuffix(endpoint, "/")
	if endpoint != "" && !strings.HasPrefix(endpoint, "/") {
		endpoint = "/" + endpoint
	}
	return endpoint
}

// secret resolves a reference into target. A secret that is not there breaks its
// own route only.
func (r *resolver) secret(ctx context.Context, route *core.Route, ref *corev1.SecretKeySelector, target *string) error {
	if ref == nil {
		return nil
	}
	var s corev1.Secret
	err := r.reader.Get(ctx, types.NamespacedName{Namespace: route.Namespace, Name: ref.Name}, &s)
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("read secret %s/%s: %w", route.Namespace, ref.Name, err)
	}
	value := strings.TrimSpace(string(s.Data[ref.Key]))
	if value == "" {
		route.Broken = fmt.Sprintf("secret %s/%s has no key %q", route.Namespace, ref.Name, ref.Key)
		return nil
	}
	*target = value
	return nil
}

// report writes the status when it says something new.
func (r *resolver) report(ctx context.Context, raw *unstructured.Unstructured, ready v1alpha1.EventCondition, warnings []v1alpha1.FieldWarning) error {
	if !r.owns(raw.GetNamespace() + "/" + raw.GetName()) {
		return nil
	}
	conditions := []v1alpha1.EventCondition{ready}
	if len(warnings) > 0 {
		var texts []string
		for _, w := range warnings {
			texts = append(texts, w.String())
		}
		conditions = append(conditions, v1alpha1.EventCondition{Type: "SpecWarning", Status: "True", Reason: "FieldsWithoutEffect", Message: strings.Join(texts, "; ")})
	}
	if v1alpha1.SameConditions(raw.Object, conditions) {
		return nil
	}
	now := metav1.Now()
	for i := range conditions {
		conditions[i].LastTransitionTime = &now
	}
	body, err := json.Marshal(map[string]any{"status": v1alpha1.EventSourceStatus{Conditions: conditions}})
	if err != nil {
		return fmt.Errorf("encode status: %w", err)
	}
	err = r.client.Status().Patch(ctx, raw.DeepCopy(), client.RawPatch(types.MergePatchType, body))
	return client.IgnoreNotFound(err)
}
