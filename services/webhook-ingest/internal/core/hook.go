package core

import (
	"maps"
	"slices"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	corev1 "k8s.io/api/core/v1"
)

// Hook is one event of an EventSource that others send to us, before its secrets
// are read.
type Hook struct {
	// Path and Port are where it listens; "" is where all do.
	Path, Port string
	// Route is what is known without Secrets.
	Route Route
	// Filter is the one of the manifest, not compiled yet; may be nil.
	Filter *v1alpha1.EventSourceFilter
	// Refs are the Secrets that belong in the route.
	Refs []Reference
}

// Reference is a secret that belongs somewhere in the route.
type Reference struct {
	Ref  *corev1.SecretKeySelector
	Into func(*Route) *string
}

func (h *Hook) secret(ref *corev1.SecretKeySelector, into func(*Route) *string) {
	if ref != nil {
		h.Refs = append(h.Refs, Reference{ref, into})
	}
}

func intoSecret(r *Route) *string     { return &r.Secret }
func intoBearer(r *Route) *string     { return &r.Bearer }
func intoToken(r *Route) *string      { return &r.Token }
func intoPathSecret(r *Route) *string { return &r.PathSecret }
func intoKey(r *Route) *string        { return &r.Signature.Key }

// listen takes what all kinds share. Metadata of the kind goes before that of its
// webhook.
func (h *Hook) listen(w *v1alpha1.WebhookContext) {
	if w == nil {
		return
	}
	h.Path, h.Port, h.Route.Method, h.Route.MaxBody = w.Endpoint, string(w.Port), w.Method, limitOf(w.MaxPayloadSize)
	if h.Route.Metadata == nil {
		h.Route.Metadata = w.Metadata
	}
	h.secret(w.AuthSecret, intoBearer)
}

// signed asks for a signature when the manifest has a secret for it. Upstream
// checks only then; so do manifests here.
func (h *Hook) signed(ref *corev1.SecretKeySelector) {
	h.Route.Unsigned = ref == nil
	h.secret(ref, intoSecret)
}

func (h *Hook) hmac(c *v1alpha1.WebhookHMAC) {
	if c == nil {
		return
	}
	h.Route.Signature = Signature{
		Scheme: c.Scheme, Header: c.Header, Algorithm: c.Algorithm, Encoding: c.Encoding, Prefix: c.Prefix,
	}
	h.secret(&c.Secret, intoKey)
}

func eachHook[T any](sources map[string]T, read func(T) Hook) map[string]Hook {
	out := make(map[string]Hook, len(sources))
	for name, c := range sources {
		out[name] = read(c)
	}
	return out
}

// Hooks lists the hooks of an EventSource in a fixed order.
func Hooks(es *v1alpha1.EventSource) []Hook {
	var out []Hook
	for _, kind := range slices.Sorted(maps.Keys(Providers)) {
		hooks := Providers[kind].Hooks(&es.Spec)
		for _, name := range slices.Sorted(maps.Keys(hooks)) {
			h := hooks[name]
			h.Route.Provider, h.Route.Namespace, h.Route.EventSource, h.Route.Event = kind, es.Namespace, es.Name, name
			h.Route.Rate, h.Route.Burst = RateOf(es.Spec.RateLimit)
			out = append(out, h)
		}
	}
	return out
}

// RateOf is the rate of a limit for each second, and how many may come at once: all of
// a unit. An unknown unit means seconds, as upstream has it for triggers.
func RateOf(l *v1alpha1.TriggerRateLimit) (perSecond float64, burst int) {
	if l == nil || l.RequestsPerUnit <= 0 {
		return 0, 0
	}
	burst = int(l.RequestsPerUnit)
	switch l.Unit {
	case "Minute":
		return float64(l.RequestsPerUnit) / 60, burst
	case "Hour":
		return float64(l.RequestsPerUnit) / 3600, burst
	default:
		return float64(l.RequestsPerUnit), burst
	}
}

func limitOf(v *int64) int64 {
	if v == nil {
		return 0
	}
	return *v
}
