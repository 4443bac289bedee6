package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
)

// EventSourceKinds are the kinds of sources that only Argosy has.
type EventSourceKinds struct {
	// AzureEventGrid takes deliveries in the native schema of Event Grid.
	AzureEventGrid map[string]AzureEventGridEventSource `json:"azureEventGrid,omitempty"`
	// CloudEvents takes CloudEvents over HTTP: binary, structured and batched.
	CloudEvents map[string]CloudEventsEventSource `json:"cloudEvents,omitempty"`
	// Gitea takes the hooks of Gitea and Forgejo.
	Gitea map[string]GiteaEventSource `json:"gitea,omitempty"`
	// JetStream reads a stream of a NATS server.
	JetStream map[string]JetStreamEventSource `json:"jetstream,omitempty"`
	// RateLimit bounds each event of this object: hooks over it are answered 429, queues are read no faster.
	RateLimit *TriggerRateLimit `json:"rateLimit,omitempty"`
}

// WebhookHMAC says how the sender of a plain webhook signs its bodies.
type WebhookHMAC struct {
	// Scheme is standardWebhooks for what that specification says (headers webhook-id, webhook-timestamp and
	// webhook-signature, or those of Svix); the other fields but secret then have no effect. Empty means that they
	// count.
	Scheme string `json:"scheme,omitempty"`
	// Header is the header that carries the signature, such as X-Signature. It is needed unless there is a scheme.
	Header string `json:"header,omitempty"`
	// Secret is the key shared with the sender.
	Secret corev1.SecretKeySelector `json:"secret"`
	// Algorithm is sha256 (the default) or sha512.
	Algorithm string `json:"algorithm,omitempty"`
	// Encoding is hex (the default) or base64.
	Encoding string `json:"encoding,omitempty"`
	// Prefix stands before the signature in the header, such as "sha256=".
	Prefix string `json:"prefix,omitempty"`
}

// CloudEventsEventSource configures one source of CloudEvents over HTTP.
type CloudEventsEventSource struct {
	// Webhook says where it listens.
	Webhook *WebhookContext `json:"webhook,omitempty"`
	// HMAC asks for a signature of each body.
	HMAC *WebhookHMAC `json:"hmac,omitempty"`
	// Types are the types of events that are wanted; none means all.
	Types []string `json:"types,omitempty"`
	// AllowedOrigins are the senders that the OPTIONS handshake lets in; none means all.
	AllowedOrigins []string `json:"allowedOrigins,omitempty"`
	// Filter drops events.
	Filter *EventSourceFilter `json:"filter,omitempty"`
	// Metadata is added to each event.
	Metadata map[string]string `json:"metadata,omitempty"`
}

// AzureEventGridEventSource configures one source of Event Grid deliveries in their native schema.
type AzureEventGridEventSource struct {
	// Webhook says where it listens; its authSecret is the only check, since Event Grid signs nothing.
	Webhook *WebhookContext `json:"webhook,omitempty"`
	// EventTypes are the types of events that are wanted; none means all.
	EventTypes []string `json:"eventTypes,omitempty"`
	// Filter drops events.
	Filter *EventSourceFilter `json:"filter,omitempty"`
	// Metadata is added to each event.
	Metadata map[string]string `json:"metadata,omitempty"`
}

// GiteaEventSource configures one source of hooks of Gitea or Forgejo.
type GiteaEventSource struct {
	// Webhook says where it listens.
	Webhook *WebhookContext `json:"webhook,omitempty"`
	// Events are the events that are wanted, such as push; none or "*" means all.
	Events []string `json:"events,omitempty"`
	// WebhookSecret is the key that hooks are signed with.
	WebhookSecret *corev1.SecretKeySelector `json:"webhookSecret,omitempty"`
	// BaseURL is the server, when its hooks are to be kept by API.
	BaseURL string `json:"baseURL,omitempty"`
	// AccessToken may keep hooks of the repositories.
	AccessToken *corev1.SecretKeySelector `json:"accessToken,omitempty"`
	// Repositories are those whose hooks are kept.
	Repositories []OwnedRepositories `json:"repositories,omitempty"`
	// Organizations are those whose hooks are kept.
	Organizations []string `json:"organizations,omitempty"`
	// DeleteHookOnFinish removes the hooks with this object.
	DeleteHookOnFinish bool `json:"deleteHookOnFinish,omitempty"`
	// Filter drops events.
	Filter *EventSourceFilter `json:"filter,omitempty"`
	// Metadata is added to each event.
	Metadata map[string]string `json:"metadata,omitempty"`
}

// JetStreamEventSource configures one source of messages of a JetStream stream.
type JetStreamEventSource struct {
	// URL is the server, such as nats://host:4222.
	URL string `json:"url"`
	// Stream is the name of the stream.
	Stream string `json:"stream"`
	// Subjects are those of the stream that are wanted; none means all.
	Subjects []string `json:"subjects,omitempty"`
	// Durable names the consumer; by default it is derived from the namespace, this object and the event.
	Durable string `json:"durable,omitempty"`
	// Oldest starts a new consumer at the first message of the stream instead of the next one.
	Oldest bool `json:"oldest,omitempty"`
	// JSONBody embeds bodies as JSON instead of base64 text.
	JSONBody bool `json:"jsonBody,omitempty"`
	// Auth says who we are.
	Auth *NATSAuth `json:"auth,omitempty"`
	// TLS encrypts the connection.
	TLS *EventTLSConfig `json:"tls,omitempty"`
	// Filter drops events.
	Filter *EventSourceFilter `json:"filter,omitempty"`
	// Metadata is added to each event.
	Metadata map[string]string `json:"metadata,omitempty"`
}
