package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
)

// AMQPEventSource configures one source of AMQP events.
type AMQPEventSource struct {
	ExchangeName      string                     `json:"exchangeName"`
	ExchangeType      string                     `json:"exchangeType"`
	RoutingKey        string                     `json:"routingKey"`
	Auth              *EventBasicAuth            `json:"auth,omitempty"`
	ConnectionBackoff *EventBackoff              `json:"connectionBackoff,omitempty"`
	Consume           *AMQPConsumeConfig         `json:"consume,omitempty"`
	ExchangeDeclare   *AMQPExchangeDeclareConfig `json:"exchangeDeclare,omitempty"`
	Filter            *EventSourceFilter         `json:"filter,omitempty"`
	JSONBody          bool                       `json:"jsonBody,omitempty"`
	Metadata          map[string]string          `json:"metadata,omitempty"`
	QueueBind         *AMQPQueueBindConfig       `json:"queueBind,omitempty"`
	QueueDeclare      *AMQPQueueDeclareConfig    `json:"queueDeclare,omitempty"`
	TLS               *EventTLSConfig            `json:"tls,omitempty"`
	URL               string                     `json:"url,omitempty"`
	URLSecret         *corev1.SecretKeySelector  `json:"urlSecret,omitempty"`
}

// AzureEventsHubEventSource configures one source of azure events hub events.
type AzureEventsHubEventSource struct {
	FQDN                string                    `json:"fqdn"`
	HubName             string                    `json:"hubName"`
	Filter              *EventSourceFilter        `json:"filter,omitempty"`
	Metadata            map[string]string         `json:"metadata,omitempty"`
	SharedAccessKey     *corev1.SecretKeySelector `json:"sharedAccessKey,omitempty"`
	SharedAccessKeyName *corev1.SecretKeySelector `json:"sharedAccessKeyName,omitempty"`
}

// AzureQueueStorageEventSource configures one source of azure queue storage events.
type AzureQueueStorageEventSource struct {
	QueueName          string                    `json:"queueName"`
	ConnectionString   *corev1.SecretKeySelector `json:"connectionString,omitempty"`
	DecodeMessage      bool                      `json:"decodeMessage,omitempty"`
	DLQ                bool                      `json:"dlq,omitempty"`
	Filter             *EventSourceFilter        `json:"filter,omitempty"`
	JSONBody           bool                      `json:"jsonBody,omitempty"`
	Metadata           map[string]string         `json:"metadata,omitempty"`
	StorageAccountName string                    `json:"storageAccountName,omitempty"`
	WaitTimeInSeconds  int64                     `json:"waitTimeInSeconds,omitempty"`
}

// AzureServiceBusEventSource configures one source of azure service bus events.
type AzureServiceBusEventSource struct {
	QueueName               string                    `json:"queueName"`
	SubscriptionName        string                    `json:"subscriptionName"`
	TopicName               string                    `json:"topicName"`
	ConnectionString        *corev1.SecretKeySelector `json:"connectionString,omitempty"`
	DeferDelete             bool                      `json:"deferDelete,omitempty"`
	Filter                  *EventSourceFilter        `json:"filter,omitempty"`
	FullyQualifiedNamespace string                    `json:"fullyQualifiedNamespace,omitempty"`
	JSONBody                bool                      `json:"jsonBody,omitempty"`
	Metadata                map[string]string         `json:"metadata,omitempty"`
	TLS                     *EventTLSConfig           `json:"tls,omitempty"`
}

// CalendarEventSource configures one source of calendar events.
type CalendarEventSource struct {
	ExclusionDates []string           `json:"exclusionDates,omitempty"`
	Filter         *EventSourceFilter `json:"filter,omitempty"`
	Interval       string             `json:"interval,omitempty"`
	Metadata       map[string]string  `json:"metadata,omitempty"`
	Persistence    *EventPersistence  `json:"persistence,omitempty"`
	Schedule       string             `json:"schedule,omitempty"`
	Timezone       string             `json:"timezone,omitempty"`
}

// EmitterEventSource configures one source of emitter events.
type EmitterEventSource struct {
	Broker            string                    `json:"broker"`
	ChannelKey        string                    `json:"channelKey"`
	ChannelName       string                    `json:"channelName"`
	ConnectionBackoff *EventBackoff             `json:"connectionBackoff,omitempty"`
	Filter            *EventSourceFilter        `json:"filter,omitempty"`
	JSONBody          bool                      `json:"jsonBody,omitempty"`
	Metadata          map[string]string         `json:"metadata,omitempty"`
	Password          *corev1.SecretKeySelector `json:"password,omitempty"`
	TLS               *EventTLSConfig           `json:"tls,omitempty"`
	Username          *corev1.SecretKeySelector `json:"username,omitempty"`
}

// FileEventSource configures one source of file events.
type FileEventSource struct {
	EventType       string             `json:"eventType"`
	WatchPathConfig WatchPathConfig    `json:"watchPathConfig"`
	Filter          *EventSourceFilter `json:"filter,omitempty"`
	Metadata        map[string]string  `json:"metadata,omitempty"`
	Polling         bool               `json:"polling,omitempty"`
}

// GenericEventSource configures one source of generic events.
type GenericEventSource struct {
	Config     string                    `json:"config"`
	URL        string                    `json:"url"`
	AuthSecret *corev1.SecretKeySelector `json:"authSecret,omitempty"`
	Filter     *EventSourceFilter        `json:"filter,omitempty"`
	Insecure   bool                      `json:"insecure,omitempty"`
	JSONBody   bool                      `json:"jsonBody,omitempty"`
	Metadata   map[string]string         `json:"metadata,omitempty"`
}

// GerritEventSource configures one source of gerrit events.
type GerritEventSource struct {
	Events             []string           `json:"events"`
	GerritBaseURL      string             `json:"gerritBaseURL"`
	HookName           string             `json:"hookName"`
	Auth               *EventBasicAuth    `json:"auth,omitempty"`
	DeleteHookOnFinish bool               `json:"deleteHookOnFinish,omitempty"`
	Filter             *EventSourceFilter `json:"filter,omitempty"`
	MaxTries           int64              `json:"maxTries,omitempty"`
	Metadata           map[string]string  `json:"metadata,omitempty"`
	Projects           []string           `json:"projects,omitempty"`
	SslVerify          bool               `json:"sslVerify,omitempty"`
	Webhook            *WebhookContext    `json:"webhook,omitempty"`
}

// HDFSEventSource configures one source of HDFS events.
type HDFSEventSource struct {
	Type                    string                       `json:"type"`
	Addresses               []string                     `json:"addresses"`
	Directory               string                       `json:"directory"`
	CheckInterval           string                       `json:"checkInterval,omitempty"`
	Filter                  *EventSourceFilter           `json:"filter,omitempty"`
	HdfsUser                string                       `json:"hdfsUser,omitempty"`
	KrbCCacheSecret         *corev1.SecretKeySelector    `json:"krbCCacheSecret,omitempty"`
	KrbConfigConfigMap      *corev1.ConfigMapKeySelector `json:"krbConfigConfigMap,omitempty"`
	KrbKeytabSecret         *corev1.SecretKeySelector    `json:"krbKeytabSecret,omitempty"`
	KrbRealm                string                       `json:"krbRealm,omitempty"`
	KrbServicePrincipalName string                       `json:"krbServicePrincipalName,omitempty"`
	KrbUsername             string                       `json:"krbUsername,omitempty"`
	Metadata                map[string]string            `json:"metadata,omitempty"`
	Path                    string                       `json:"path,omitempty"`
	PathRegexp              string                       `json:"pathRegexp,omitempty"`
}

// EventBasicAuth holds the basic auth settings of an event source or trigger.
type EventBasicAuth struct {
	Password *corev1.SecretKeySelector `json:"password,omitempty"`
	Username *corev1.SecretKeySelector `json:"username,omitempty"`
}

// EventBackoff holds the backoff settings of an event source or trigger.
type EventBackoff struct {
	Duration *Int64OrString `json:"duration,omitempty"`
	Factor   *Amount        `json:"factor,omitempty"`
	Jitter   *Amount        `json:"jitter,omitempty"`
	Steps    int64          `json:"steps,omitempty"`
}

// AMQPConsumeConfig holds the AMQP consume config settings of an event source or trigger.
type AMQPConsumeConfig struct {
	AutoAck     bool   `json:"autoAck,omitempty"`
	ConsumerTag string `json:"consumerTag,omitempty"`
	Exclusive   bool   `json:"exclusive,omitempty"`
	NoLocal     bool   `json:"noLocal,omitempty"`
	NoWait      bool   `json:"noWait,omitempty"`
}

// AMQPExchangeDeclareConfig holds the AMQP exchange declare config settings of an event source or trigger.
type AMQPExchangeDeclareConfig struct {
	AutoDelete bool `json:"autoDelete,omitempty"`
	Durable    bool `json:"durable,omitempty"`
	Internal   bool `json:"internal,omitempty"`
	NoWait     bool `json:"noWait,omitempty"`
}

// AMQPQueueBindConfig holds the AMQP queue bind config settings of an event source or trigger.
type AMQPQueueBindConfig struct {
	NoWait bool `json:"noWait,omitempty"`
}

// AMQPQueueDeclareConfig holds the AMQP queue declare config settings of an event source or trigger.
type AMQPQueueDeclareConfig struct {
	Name       string `json:"name,omitempty"`
	Arguments  string `json:"arguments,omitempty"`
	AutoDelete bool   `json:"autoDelete,omitempty"`
	Durable    bool   `json:"durable,omitempty"`
	Exclusive  bool   `json:"exclusive,omitempty"`
	NoWait     bool   `json:"noWait,omitempty"`
}

// BitbucketAuth holds the bitbucket auth settings of an event source or trigger.
type BitbucketAuth struct {
	Basic      *BitbucketBasicAuth       `json:"basic,omitempty"`
	OauthToken *corev1.SecretKeySelector `json:"oauthToken,omitempty"`
}

// BitbucketRepository holds the bitbucket repository settings of an event source or trigger.
type BitbucketRepository struct {
	Owner          string `json:"owner"`
	RepositorySlug string `json:"repositorySlug"`
}

// BitbucketServerRepository holds the bitbucket server repository settings of an event source or trigger.
type BitbucketServerRepository struct {
	ProjectKey     string `json:"projectKey"`
	RepositorySlug string `json:"repositorySlug"`
}

// EventPersistence holds the event persistence settings of an event source or trigger.
type EventPersistence struct {
	Catchup   *CatchupConfiguration `json:"catchup,omitempty"`
	ConfigMap *ConfigMapPersistence `json:"configMap,omitempty"`
}

// AWSMSKIAMConfig holds the AWSMSKIAM config settings of an event source or trigger.
type AWSMSKIAMConfig struct {
	Region string `json:"region"`
}

// BitbucketBasicAuth holds the bitbucket basic auth settings of an event source or trigger.
type BitbucketBasicAuth struct {
	Password corev1.SecretKeySelector `json:"password"`
	Username corev1.SecretKeySelector `json:"username"`
}

// CatchupConfiguration holds the catchup configuration settings of an event source or trigger.
type CatchupConfiguration struct {
	Enabled     bool   `json:"enabled,omitempty"`
	MaxDuration string `json:"maxDuration,omitempty"`
}

// ConfigMapPersistence holds the config map persistence settings of an event source or trigger.
type ConfigMapPersistence struct {
	Name             string `json:"name,omitempty"`
	CreateIfNotExist bool   `json:"createIfNotExist,omitempty"`
}
