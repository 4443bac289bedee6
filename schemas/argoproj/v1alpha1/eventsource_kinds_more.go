package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// KafkaEventSource configures one source of kafka events.
type KafkaEventSource struct {
	Topic                string                `json:"topic"`
	URL                  string                `json:"url"`
	AWSMSKIAMAuth        *AWSMSKIAMConfig      `json:"awsMskIamAuth,omitempty"`
	Config               string                `json:"config,omitempty"`
	ConnectionBackoff    *EventBackoff         `json:"connectionBackoff,omitempty"`
	ConsumerGroup        *KafkaConsumerGroup   `json:"consumerGroup,omitempty"`
	Filter               *EventSourceFilter    `json:"filter,omitempty"`
	JSONBody             bool                  `json:"jsonBody,omitempty"`
	LimitEventsPerSecond int64                 `json:"limitEventsPerSecond,omitempty"`
	Metadata             map[string]string     `json:"metadata,omitempty"`
	Partition            string                `json:"partition,omitempty"`
	SASL                 *SASLConfig           `json:"sasl,omitempty"`
	SchemaRegistry       *SchemaRegistryConfig `json:"schemaRegistry,omitempty"`
	TLS                  *EventTLSConfig       `json:"tls,omitempty"`
	Version              string                `json:"version,omitempty"`
}

// EventS3Artifact locates an artifact through S3.
type EventS3Artifact struct {
	AccessKey     corev1.SecretKeySelector  `json:"accessKey"`
	Bucket        EventS3Bucket             `json:"bucket"`
	Endpoint      string                    `json:"endpoint"`
	SecretKey     corev1.SecretKeySelector  `json:"secretKey"`
	CaCertificate *corev1.SecretKeySelector `json:"caCertificate,omitempty"`
	Events        []string                  `json:"events,omitempty"`
	Filter        *EventS3Filter            `json:"filter,omitempty"`
	Insecure      bool                      `json:"insecure,omitempty"`
	Metadata      map[string]string         `json:"metadata,omitempty"`
	Region        string                    `json:"region,omitempty"`
}

// MNSEventSource configures one source of MNS events.
type MNSEventSource struct {
	Queue     string                    `json:"queue"`
	AccessKey *corev1.SecretKeySelector `json:"accessKey,omitempty"`
	Endpoint  string                    `json:"endpoint,omitempty"`
	Filter    *EventSourceFilter        `json:"filter,omitempty"`
	JSONBody  bool                      `json:"jsonBody,omitempty"`
	SecretKey *corev1.SecretKeySelector `json:"secretKey,omitempty"`
}

// MQTTEventSource configures one source of MQTT events.
type MQTTEventSource struct {
	ClientID          string             `json:"clientId"`
	Topic             string             `json:"topic"`
	URL               string             `json:"url"`
	Auth              *EventBasicAuth    `json:"auth,omitempty"`
	ConnectionBackoff *EventBackoff      `json:"connectionBackoff,omitempty"`
	Filter            *EventSourceFilter `json:"filter,omitempty"`
	JSONBody          bool               `json:"jsonBody,omitempty"`
	Metadata          map[string]string  `json:"metadata,omitempty"`
	TLS               *EventTLSConfig    `json:"tls,omitempty"`
}

// NATSEventsSource configures one source of NATS events.
type NATSEventsSource struct {
	Subject           string             `json:"subject"`
	URL               string             `json:"url"`
	Auth              *NATSAuth          `json:"auth,omitempty"`
	ConnectionBackoff *EventBackoff      `json:"connectionBackoff,omitempty"`
	Filter            *EventSourceFilter `json:"filter,omitempty"`
	JSONBody          bool               `json:"jsonBody,omitempty"`
	Metadata          map[string]string  `json:"metadata,omitempty"`
	Queue             string             `json:"queue,omitempty"`
	TLS               *EventTLSConfig    `json:"tls,omitempty"`
}

// NSQEventSource configures one source of NSQ events.
type NSQEventSource struct {
	Channel           string             `json:"channel"`
	HostAddress       string             `json:"hostAddress"`
	Topic             string             `json:"topic"`
	ConnectionBackoff *EventBackoff      `json:"connectionBackoff,omitempty"`
	Filter            *EventSourceFilter `json:"filter,omitempty"`
	JSONBody          bool               `json:"jsonBody,omitempty"`
	Metadata          map[string]string  `json:"metadata,omitempty"`
	TLS               *EventTLSConfig    `json:"tls,omitempty"`
}

// PubSubEventSource configures one source of pub sub events.
type PubSubEventSource struct {
	CredentialSecret           *corev1.SecretKeySelector `json:"credentialSecret,omitempty"`
	DeleteSubscriptionOnFinish bool                      `json:"deleteSubscriptionOnFinish,omitempty"`
	Filter                     *EventSourceFilter        `json:"filter,omitempty"`
	JSONBody                   bool                      `json:"jsonBody,omitempty"`
	Metadata                   map[string]string         `json:"metadata,omitempty"`
	ProjectID                  string                    `json:"projectID,omitempty"`
	SubscriptionID             string                    `json:"subscriptionID,omitempty"`
	Topic                      string                    `json:"topic,omitempty"`
	TopicProjectID             string                    `json:"topicProjectID,omitempty"`
}

// PulsarEventSource configures one source of pulsar events.
type PulsarEventSource struct {
	Type                       string                    `json:"type,omitempty"`
	Topics                     []string                  `json:"topics"`
	URL                        string                    `json:"url"`
	AuthAthenzParams           map[string]string         `json:"authAthenzParams,omitempty"`
	AuthAthenzSecret           *corev1.SecretKeySelector `json:"authAthenzSecret,omitempty"`
	AuthTokenSecret            *corev1.SecretKeySelector `json:"authTokenSecret,omitempty"`
	ConnectionBackoff          *EventBackoff             `json:"connectionBackoff,omitempty"`
	Filter                     *EventSourceFilter        `json:"filter,omitempty"`
	JSONBody                   bool                      `json:"jsonBody,omitempty"`
	Metadata                   map[string]string         `json:"metadata,omitempty"`
	TLS                        *EventTLSConfig           `json:"tls,omitempty"`
	TLSAllowInsecureConnection bool                      `json:"tlsAllowInsecureConnection,omitempty"`
	TLSTrustCertsSecret        *corev1.SecretKeySelector `json:"tlsTrustCertsSecret,omitempty"`
	TLSValidateHostname        bool                      `json:"tlsValidateHostname,omitempty"`
}

// RedisEventSource configures one source of redis events.
type RedisEventSource struct {
	Channels    []string                  `json:"channels,omitempty"`
	HostAddress string                    `json:"hostAddress"`
	DB          int64                     `json:"db,omitempty"`
	Filter      *EventSourceFilter        `json:"filter,omitempty"`
	JSONBody    bool                      `json:"jsonBody,omitempty"`
	Metadata    map[string]string         `json:"metadata,omitempty"`
	Namespace   string                    `json:"namespace,omitempty"`
	Password    *corev1.SecretKeySelector `json:"password,omitempty"`
	TLS         *EventTLSConfig           `json:"tls,omitempty"`
	Username    string                    `json:"username,omitempty"`
	// Patterns are patterns of channels, beside the names in channels; Argosy's own.
	Patterns []string `json:"patterns,omitempty"`
}

// RedisStreamEventSource configures one source of redis stream events.
type RedisStreamEventSource struct {
	HostAddress        string                    `json:"hostAddress"`
	Streams            []string                  `json:"streams"`
	ConsumerGroup      string                    `json:"consumerGroup,omitempty"`
	DB                 int64                     `json:"db,omitempty"`
	Filter             *EventSourceFilter        `json:"filter,omitempty"`
	MaxMsgCountPerRead int64                     `json:"maxMsgCountPerRead,omitempty"`
	Metadata           map[string]string         `json:"metadata,omitempty"`
	Password           *corev1.SecretKeySelector `json:"password,omitempty"`
	TLS                *EventTLSConfig           `json:"tls,omitempty"`
	Username           string                    `json:"username,omitempty"`
}

// ResourceEventSource configures one source of resource events.
type ResourceEventSource struct {
	EventTypes []string          `json:"eventTypes"`
	Group      string            `json:"group"`
	Namespace  string            `json:"namespace"`
	Resource   string            `json:"resource"`
	Version    string            `json:"version"`
	Filter     *ResourceFilter   `json:"filter,omitempty"`
	Metadata   map[string]string `json:"metadata,omitempty"`
}

// SFTPEventSource configures one source of SFTP events.
type SFTPEventSource struct {
	EventType            string                    `json:"eventType"`
	WatchPathConfig      WatchPathConfig           `json:"watchPathConfig"`
	Address              *corev1.SecretKeySelector `json:"address,omitempty"`
	Filter               *EventSourceFilter        `json:"filter,omitempty"`
	Metadata             map[string]string         `json:"metadata,omitempty"`
	Password             *corev1.SecretKeySelector `json:"password,omitempty"`
	PollIntervalDuration string                    `json:"pollIntervalDuration,omitempty"`
	SshKeySecret         *corev1.SecretKeySelector `json:"sshKeySecret,omitempty"`
	Username             *corev1.SecretKeySelector `json:"username,omitempty"`
}

// SlackEventSource configures one source of slack events.
type SlackEventSource struct {
	Filter        *EventSourceFilter        `json:"filter,omitempty"`
	Metadata      map[string]string         `json:"metadata,omitempty"`
	SigningSecret *corev1.SecretKeySelector `json:"signingSecret,omitempty"`
	Token         *corev1.SecretKeySelector `json:"token,omitempty"`
	Webhook       *WebhookContext           `json:"webhook,omitempty"`
}

// SNSEventSource configures one source of SNS events.
type SNSEventSource struct {
	Region            string                    `json:"region"`
	TopicArn          string                    `json:"topicArn"`
	AccessKey         *corev1.SecretKeySelector `json:"accessKey,omitempty"`
	Endpoint          string                    `json:"endpoint,omitempty"`
	Filter            *EventSourceFilter        `json:"filter,omitempty"`
	Metadata          map[string]string         `json:"metadata,omitempty"`
	RoleARN           string                    `json:"roleARN,omitempty"`
	SecretKey         *corev1.SecretKeySelector `json:"secretKey,omitempty"`
	ValidateSignature bool                      `json:"validateSignature,omitempty"`
	Webhook           *WebhookContext           `json:"webhook,omitempty"`
}

// SQSEventSource configures one source of SQS events.
type SQSEventSource struct {
	Queue           string                    `json:"queue"`
	Region          string                    `json:"region"`
	WaitTimeSeconds int64                     `json:"waitTimeSeconds"`
	AccessKey       *corev1.SecretKeySelector `json:"accessKey,omitempty"`
	DLQ             bool                      `json:"dlq,omitempty"`
	Endpoint        string                    `json:"endpoint,omitempty"`
	Filter          *EventSourceFilter        `json:"filter,omitempty"`
	JSONBody        bool                      `json:"jsonBody,omitempty"`
	Metadata        map[string]string         `json:"metadata,omitempty"`
	QueueAccountID  string                    `json:"queueAccountId,omitempty"`
	RoleARN         string                    `json:"roleARN,omitempty"`
	SecretKey       *corev1.SecretKeySelector `json:"secretKey,omitempty"`
	SessionToken    *corev1.SecretKeySelector `json:"sessionToken,omitempty"`
}

// StorageGridEventSource configures one source of storage grid events.
type StorageGridEventSource struct {
	ApiURL    string                   `json:"apiURL"`
	AuthToken corev1.SecretKeySelector `json:"authToken"`
	Bucket    string                   `json:"bucket"`
	TopicArn  string                   `json:"topicArn"`
	Events    []string                 `json:"events,omitempty"`
	Filter    *StorageGridFilter       `json:"filter,omitempty"`
	Metadata  map[string]string        `json:"metadata,omitempty"`
	Region    string                   `json:"region,omitempty"`
	TLS       *EventTLSConfig          `json:"tls,omitempty"`
	Webhook   *WebhookContext          `json:"webhook,omitempty"`
}

// StripeEventSource configures one source of stripe events.
type StripeEventSource struct {
	ApiKey        *corev1.SecretKeySelector `json:"apiKey,omitempty"`
	CreateWebhook bool                      `json:"createWebhook,omitempty"`
	EventFilter   []string                  `json:"eventFilter,omitempty"`
	Metadata      map[string]string         `json:"metadata,omitempty"`
	Webhook       *WebhookContext           `json:"webhook,omitempty"`
	// SigningSecret is the secret of the endpoint that Stripe-Signature is made with; Argosy's own.
	SigningSecret *corev1.SecretKeySelector `json:"signingSecret,omitempty"`
}

// EventTLSConfig holds the TLS config settings of an event source or trigger.
type EventTLSConfig struct {
	CaCertSecret       *corev1.SecretKeySelector `json:"caCertSecret,omitempty"`
	ClientCertSecret   *corev1.SecretKeySelector `json:"clientCertSecret,omitempty"`
	ClientKeySecret    *corev1.SecretKeySelector `json:"clientKeySecret,omitempty"`
	Enabled            bool                      `json:"enabled,omitempty"`
	InsecureSkipVerify bool                      `json:"insecureSkipVerify,omitempty"`
}

// WatchPathConfig holds the watch path config settings of an event source or trigger.
type WatchPathConfig struct {
	Directory  string `json:"directory"`
	Path       string `json:"path,omitempty"`
	PathRegexp string `json:"pathRegexp,omitempty"`
}

// KafkaConsumerGroup holds the kafka consumer group settings of an event source or trigger.
type KafkaConsumerGroup struct {
	GroupName         string `json:"groupName"`
	Oldest            bool   `json:"oldest,omitempty"`
	RebalanceStrategy string `json:"rebalanceStrategy,omitempty"`
}

// SASLConfig holds the SASL config settings of an event source or trigger.
type SASLConfig struct {
	Mechanism      string                    `json:"mechanism,omitempty"`
	PasswordSecret *corev1.SecretKeySelector `json:"passwordSecret,omitempty"`
	UserSecret     *corev1.SecretKeySelector `json:"userSecret,omitempty"`
}

// SchemaRegistryConfig holds the schema registry config settings of an event source or trigger.
type SchemaRegistryConfig struct {
	URL      string          `json:"url"`
	Auth     *EventBasicAuth `json:"auth,omitempty"`
	SchemaID int64           `json:"schemaId,omitempty"`
}

// EventS3Bucket holds the S3 bucket settings of an event source or trigger.
type EventS3Bucket struct {
	Name string `json:"name"`
	Key  string `json:"key,omitempty"`
}

// EventS3Filter holds the S3 filter settings of an event source or trigger.
type EventS3Filter struct {
	Prefix string `json:"prefix"`
	Suffix string `json:"suffix"`
}

// NATSAuth holds the NATS auth settings of an event source or trigger.
type NATSAuth struct {
	Basic      *EventBasicAuth           `json:"basic,omitempty"`
	Credential *corev1.SecretKeySelector `json:"credential,omitempty"`
	Nkey       *corev1.SecretKeySelector `json:"nkey,omitempty"`
	Token      *corev1.SecretKeySelector `json:"token,omitempty"`
}

// ResourceFilter holds the resource filter settings of an event source or trigger.
type ResourceFilter struct {
	AfterStart bool            `json:"afterStart,omitempty"`
	CreatedBy  *metav1.Time    `json:"createdBy,omitempty"`
	Fields     []EventSelector `json:"fields,omitempty"`
	Labels     []EventSelector `json:"labels,omitempty"`
	Prefix     string          `json:"prefix,omitempty"`
}

// StorageGridFilter holds the storage grid filter settings of an event source or trigger.
type StorageGridFilter struct {
	Prefix string `json:"prefix"`
	Suffix string `json:"suffix"`
}

// EventSelector holds the selector settings of an event source or trigger.
type EventSelector struct {
	Key       string `json:"key"`
	Value     string `json:"value"`
	Operation string `json:"operation,omitempty"`
}

// EventValueFromSource holds the value from source settings of an event source or trigger.
type EventValueFromSource struct {
	ConfigMapKeyRef *corev1.ConfigMapKeySelector `json:"configMapKeyRef,omitempty"`
	SecretKeyRef    *corev1.SecretKeySelector    `json:"secretKeyRef,omitempty"`
}
