package ingest

import (
	"maps"
	"net/url"
	"slices"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/webhook-ingest/internal/core"
	corev1 "k8s.io/api/core/v1"
)

// hook is one event of an EventSource that others send to us, before its secrets
// are read.
type hook struct {
	path   string
	port   string
	route  core.Route
	filter *v1alpha1.EventSourceFilter
	refs   []reference
}

// reference is a secret that belongs somewhere in the route.
type reference struct {
	ref  *corev1.SecretKeySelector
	into func(*core.Route) *string
}

func (h *hook) secret(ref *corev1.SecretKeySelector, into func(*core.Route) *string) {
	if ref != nil {
		h.refs = append(h.refs, reference{ref, into})
	}
}

func intoSecret(r *core.Route) *string     { return &r.Secret }
func intoBearer(r *core.Route) *string     { return &r.Bearer }
func intoToken(r *core.Route) *string      { return &r.Token }
func intoPathSecret(r *core.Route) *string { return &r.PathSecret }
func intoKey(r *core.Route) *string        { return &r.Signature.Key }

// listen takes what all kinds share. Metadata of the kind goes before that of its
// webhook.
func (h *hook) listen(w *v1alpha1.WebhookContext) {
	if w == nil {
		return
	}
	h.path, h.port, h.route.Method, h.route.MaxBody = w.Endpoint, string(w.Port), w.Method, limit(w.MaxPayloadSize)
	if h.route.Metadata == nil {
		h.route.Metadata = w.Metadata
	}
	h.secret(w.AuthSecret, intoBearer)
}

// signed asks for a signature when the manifest has a secret for it. Upstream
// checks only then; so do manifests here.
func (h *hook) signed(ref *corev1.SecretKeySelector) {
	h.route.Unsigned = ref == nil
	h.secret(ref, intoSecret)
}

func (h *hook) hmac(c *v1alpha1.WebhookHMAC) {
	if c == nil {
		return
	}
	h.route.Signature = core.Signature{Scheme: c.Scheme, Header: c.Header, Algorithm: c.Algorithm, Encoding: c.Encoding, Prefix: c.Prefix}
	h.secret(&c.Secret, intoKey)
}

// hookKinds make the hooks of one kind of an EventSource, by event. The keys are
// those of core.Providers.
var hookKinds = map[string]func(*v1alpha1.EventSourceSpec) map[string]hook{
	"azureEventGrid": func(s *v1alpha1.EventSourceSpec) map[string]hook { return each(s.AzureEventGrid, azureEventGrid) },
	"bitbucket":      func(s *v1alpha1.EventSourceSpec) map[string]hook { return each(s.Bitbucket, bitbucket) },
	"bitbucketserver": func(s *v1alpha1.EventSourceSpec) map[string]hook {
		return each(s.Bitbucketserver, bitbucketServer)
	},
	"cloudEvents": func(s *v1alpha1.EventSourceSpec) map[string]hook { return each(s.CloudEvents, cloudEvents) },
	"gerrit":      func(s *v1alpha1.EventSourceSpec) map[string]hook { return each(s.Gerrit, gerrit) },
	"gitea":       func(s *v1alpha1.EventSourceSpec) map[string]hook { return each(s.Gitea, gitea) },
	"github":      func(s *v1alpha1.EventSourceSpec) map[string]hook { return each(s.Github, github) },
	"gitlab":      func(s *v1alpha1.EventSourceSpec) map[string]hook { return each(s.Gitlab, gitlab) },
	"registry":    func(s *v1alpha1.EventSourceSpec) map[string]hook { return each(s.Registry, registry) },
	"slack":       func(s *v1alpha1.EventSourceSpec) map[string]hook { return each(s.Slack, slack) },
	"sns":         func(s *v1alpha1.EventSourceSpec) map[string]hook { return each(s.SNS, sns) },
	"storageGrid": func(s *v1alpha1.EventSourceSpec) map[string]hook { return each(s.StorageGrid, storageGrid) },
	"stripe":      func(s *v1alpha1.EventSourceSpec) map[string]hook { return each(s.Stripe, stripe) },
	"webhook":     func(s *v1alpha1.EventSourceSpec) map[string]hook { return each(s.Webhook, webhook) },
}

func each[T any](sources map[string]T, read func(T) hook) map[string]hook {
	out := make(map[string]hook, len(sources))
	for name, c := range sources {
		out[name] = read(c)
	}
	return out
}

// hooksOf lists the hooks of an EventSource in a fixed order.
func hooksOf(es *v1alpha1.EventSource) []hook {
	var out []hook
	for _, kind := range slices.Sorted(maps.Keys(hookKinds)) {
		hooks := hookKinds[kind](&es.Spec)
		for _, name := range slices.Sorted(maps.Keys(hooks)) {
			h := hooks[name]
			h.route.Provider, h.route.Namespace, h.route.EventSource, h.route.Event = kind, es.Namespace, es.Name, name
			h.route.Rate, h.route.Burst = rateOf(es.Spec.RateLimit)
			out = append(out, h)
		}
	}
	return out
}

// rateOf is the rate of a limit for each second, and how many may come at once: all of
// a unit. An unknown unit means seconds, as upstream has it for triggers.
func rateOf(l *v1alpha1.TriggerRateLimit) (perSecond float64, burst int) {
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

func azureEventGrid(c v1alpha1.AzureEventGridEventSource) hook {
	h := hook{filter: c.Filter, route: core.Route{Events: c.EventTypes, Metadata: c.Metadata}}
	h.listen(c.Webhook)
	return h
}

func bitbucket(c v1alpha1.BitbucketEventSource) hook {
	h := hook{filter: c.Filter, route: core.Route{Events: c.Events, Metadata: c.Metadata}}
	h.listen(&c.Webhook)
	h.signed(c.WebhookSecret)
	return h
}

func bitbucketServer(c v1alpha1.BitbucketServerEventSource) hook {
	h := hook{filter: c.Filter, route: core.Route{Events: c.Events, Metadata: c.Metadata, Split: c.OneEventPerChange}}
	h.listen(c.Webhook)
	h.signed(c.WebhookSecret)
	return h
}

func cloudEvents(c v1alpha1.CloudEventsEventSource) hook {
	h := hook{filter: c.Filter, route: core.Route{Events: c.Types, Origins: c.AllowedOrigins, Metadata: c.Metadata}}
	h.listen(c.Webhook)
	h.hmac(c.HMAC)
	return h
}

func gerrit(c v1alpha1.GerritEventSource) hook {
	h := hook{filter: c.Filter, route: core.Route{Events: c.Events, Metadata: c.Metadata}}
	h.listen(c.Webhook)
	return h
}

func gitea(c v1alpha1.GiteaEventSource) hook {
	h := hook{filter: c.Filter, route: core.Route{Events: c.Events, Metadata: c.Metadata}}
	h.listen(c.Webhook)
	h.signed(c.WebhookSecret)
	return h
}

func github(c v1alpha1.GithubEventSource) hook {
	h := hook{filter: c.Filter, route: core.Route{Events: c.Events, Metadata: c.Metadata}}
	h.listen(c.Webhook)
	h.signed(c.WebhookSecret)
	return h
}

func gitlab(c v1alpha1.GitlabEventSource) hook {
	h := hook{filter: c.Filter, route: core.Route{Events: c.Events, Metadata: c.Metadata}}
	h.listen(c.Webhook)
	h.signed(c.SecretToken)
	return h
}

func registry(c v1alpha1.RegistryEventSource) hook {
	h := hook{filter: c.Filter, route: core.Route{Form: c.Provider, Repositories: c.Repositories, Registry: c.RegistryURL, Metadata: c.Metadata}}
	h.listen(c.Webhook)
	h.secret(c.AuthSecret, intoBearer)
	h.secret(c.WebhookSecret, intoSecret)
	h.secret(c.PathSecret, intoPathSecret)
	return h
}

func slack(c v1alpha1.SlackEventSource) hook {
	h := hook{filter: c.Filter, route: core.Route{Metadata: c.Metadata}}
	h.listen(c.Webhook)
	h.secret(c.SigningSecret, intoSecret)
	h.secret(c.Token, intoToken)
	h.route.Unsigned = c.SigningSecret == nil && c.Token == nil
	return h
}

func sns(c v1alpha1.SNSEventSource) hook {
	h := hook{filter: c.Filter, route: core.Route{Topic: c.TopicArn, Metadata: c.Metadata, Unsigned: !c.ValidateSignature}}
	if u, err := url.Parse(c.Endpoint); err == nil && u.Host != "" {
		h.route.Hosts = []string{u.Host}
	}
	h.listen(c.Webhook)
	return h
}

func storageGrid(c v1alpha1.StorageGridEventSource) hook {
	h := hook{route: core.Route{Topic: c.TopicArn, Events: c.Events, Metadata: c.Metadata}}
	if c.Filter != nil {
		h.route.Prefix, h.route.Suffix = c.Filter.Prefix, c.Filter.Suffix
	}
	h.listen(c.Webhook)
	return h
}

func stripe(c v1alpha1.StripeEventSource) hook {
	h := hook{route: core.Route{Events: c.EventFilter, Metadata: c.Metadata}}
	h.listen(c.Webhook)
	h.signed(c.SigningSecret)
	return h
}

func webhook(c v1alpha1.WebhookEventSource) hook {
	h := hook{filter: c.Filter, path: c.Endpoint, port: string(c.Port), route: core.Route{Method: c.Method, Metadata: c.Metadata, MaxBody: limit(c.MaxPayloadSize)}}
	h.secret(c.AuthSecret, intoBearer)
	h.hmac(c.HMAC)
	return h
}

func limit(v *int64) int64 {
	if v == nil {
		return 0
	}
	return *v
}
