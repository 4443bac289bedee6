package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
)

// ArgoWorkflowTrigger configures a trigger of kind argo workflow.
type ArgoWorkflowTrigger struct {
	Args       []string               `json:"args,omitempty"`
	Operation  string                 `json:"operation,omitempty"`
	Parameters []TriggerParameter     `json:"parameters,omitempty"`
	Source     *EventArtifactLocation `json:"source,omitempty"`
}

// AWSLambdaTrigger configures a trigger of kind AWS lambda.
type AWSLambdaTrigger struct {
	FunctionName   string                    `json:"functionName"`
	Payload        []TriggerParameter        `json:"payload"`
	Region         string                    `json:"region"`
	AccessKey      *corev1.SecretKeySelector `json:"accessKey,omitempty"`
	InvocationType string                    `json:"invocationType,omitempty"`
	Parameters     []TriggerParameter        `json:"parameters,omitempty"`
	RoleARN        string                    `json:"roleARN,omitempty"`
	SecretKey      *corev1.SecretKeySelector `json:"secretKey,omitempty"`
}

// AzureEventHubsTrigger configures a trigger of kind azure event hubs.
type AzureEventHubsTrigger struct {
	FQDN                string                    `json:"fqdn"`
	HubName             string                    `json:"hubName"`
	Payload             []TriggerParameter        `json:"payload"`
	SharedAccessKeyName corev1.SecretKeySelector  `json:"sharedAccessKeyName"`
	Parameters          []TriggerParameter        `json:"parameters,omitempty"`
	SharedAccessKey     *corev1.SecretKeySelector `json:"sharedAccessKey,omitempty"`
}

// AzureServiceBusTrigger configures a trigger of kind azure service bus.
type AzureServiceBusTrigger struct {
	Payload          []TriggerParameter        `json:"payload"`
	QueueName        string                    `json:"queueName"`
	SubscriptionName string                    `json:"subscriptionName"`
	TopicName        string                    `json:"topicName"`
	ConnectionString *corev1.SecretKeySelector `json:"connectionString,omitempty"`
	Parameters       []TriggerParameter        `json:"parameters,omitempty"`
	TLS              *EventTLSConfig           `json:"tls,omitempty"`
}

// CustomTrigger configures a trigger of kind custom.
type CustomTrigger struct {
	Payload            []TriggerParameter        `json:"payload"`
	Secure             bool                      `json:"secure"`
	ServerURL          string                    `json:"serverURL"`
	Spec               map[string]AnyString      `json:"spec"`
	CertSecret         *corev1.SecretKeySelector `json:"certSecret,omitempty"`
	Parameters         []TriggerParameter        `json:"parameters,omitempty"`
	ServerNameOverride string                    `json:"serverNameOverride,omitempty"`
}

// EmailTrigger configures a trigger of kind email.
type EmailTrigger struct {
	Body         string                    `json:"body,omitempty"`
	From         string                    `json:"from,omitempty"`
	Host         string                    `json:"host,omitempty"`
	Parameters   []TriggerParameter        `json:"parameters,omitempty"`
	Port         int64                     `json:"port,omitempty"`
	SmtpPassword *corev1.SecretKeySelector `json:"smtpPassword,omitempty"`
	Subject      string                    `json:"subject,omitempty"`
	To           []string                  `json:"to,omitempty"`
	Username     string                    `json:"username,omitempty"`
}

// HTTPTrigger configures a trigger of kind HTTP.
type HTTPTrigger struct {
	Payload        []TriggerParameter    `json:"payload"`
	URL            string                `json:"url"`
	BasicAuth      *EventBasicAuth       `json:"basicAuth,omitempty"`
	DynamicHeaders []TriggerParameter    `json:"dynamicHeaders,omitempty"`
	Headers        map[string]string     `json:"headers,omitempty"`
	Host           string                `json:"host,omitempty"`
	Method         string                `json:"method,omitempty"`
	Parameters     []TriggerParameter    `json:"parameters,omitempty"`
	SecureHeaders  []TriggerSecureHeader `json:"secureHeaders,omitempty"`
	Timeout        int64                 `json:"timeout,omitempty"`
	TLS            *EventTLSConfig       `json:"tls,omitempty"`
}

// StandardK8STrigger configures a trigger of kind standard K8 S.
type StandardK8STrigger struct {
	LiveObject    bool                   `json:"liveObject,omitempty"`
	Operation     string                 `json:"operation,omitempty"`
	Parameters    []TriggerParameter     `json:"parameters,omitempty"`
	PatchStrategy string                 `json:"patchStrategy,omitempty"`
	Source        *EventArtifactLocation `json:"source,omitempty"`
}

// JetStreamTrigger configures a trigger of kind JetStream: a message that the server confirms to have stored.
type JetStreamTrigger struct {
	// Payload makes the body of the message.
	Payload []TriggerParameter `json:"payload"`
	// Subject is where the message goes; a stream must cover it.
	Subject string `json:"subject"`
	// URL names the servers, separated by commas.
	URL string `json:"url"`
	// Auth says who publishes.
	Auth *NATSAuth `json:"auth,omitempty"`
	// Headers are set on the message.
	Headers map[string]string `json:"headers,omitempty"`
	// Parameters are applied to this trigger.
	Parameters []TriggerParameter `json:"parameters,omitempty"`
	// TLS secures the connection.
	TLS *EventTLSConfig `json:"tls,omitempty"`
}

// KafkaTrigger configures a trigger of kind kafka.
type KafkaTrigger struct {
	Payload         []TriggerParameter    `json:"payload"`
	Topic           string                `json:"topic"`
	URL             string                `json:"url"`
	Compress        bool                  `json:"compress,omitempty"`
	FlushFrequency  int64                 `json:"flushFrequency,omitempty"`
	Headers         map[string]string     `json:"headers,omitempty"`
	Parameters      []TriggerParameter    `json:"parameters,omitempty"`
	Partition       int64                 `json:"partition,omitempty"`
	PartitioningKey string                `json:"partitioningKey,omitempty"`
	RequiredAcks    *int64                `json:"requiredAcks,omitempty"`
	SASL            *SASLConfig           `json:"sasl,omitempty"`
	SchemaRegistry  *SchemaRegistryConfig `json:"schemaRegistry,omitempty"`
	SecureHeaders   []TriggerSecureHeader `json:"secureHeaders,omitempty"`
	TLS             *EventTLSConfig       `json:"tls,omitempty"`
	Version         string                `json:"version,omitempty"`
}

// LogTrigger configures a trigger of kind log.
type LogTrigger struct {
	IntervalSeconds int64 `json:"intervalSeconds,omitempty"`
}

// NATSTrigger configures a trigger of kind NATS.
type NATSTrigger struct {
	Payload    []TriggerParameter `json:"payload"`
	Subject    string             `json:"subject"`
	URL        string             `json:"url"`
	Auth       *NATSAuth          `json:"auth,omitempty"`
	Parameters []TriggerParameter `json:"parameters,omitempty"`
	TLS        *EventTLSConfig    `json:"tls,omitempty"`
}

// OpenWhiskTrigger configures a trigger of kind open whisk.
type OpenWhiskTrigger struct {
	ActionName string                    `json:"actionName"`
	Host       string                    `json:"host"`
	Payload    []TriggerParameter        `json:"payload"`
	AuthToken  *corev1.SecretKeySelector `json:"authToken,omitempty"`
	Namespace  string                    `json:"namespace,omitempty"`
	Parameters []TriggerParameter        `json:"parameters,omitempty"`
	Version    string                    `json:"version,omitempty"`
}

// PulsarTrigger configures a trigger of kind pulsar.
type PulsarTrigger struct {
	Payload                    []TriggerParameter        `json:"payload"`
	Topic                      string                    `json:"topic"`
	URL                        string                    `json:"url"`
	AuthAthenzParams           map[string]string         `json:"authAthenzParams,omitempty"`
	AuthAthenzSecret           *corev1.SecretKeySelector `json:"authAthenzSecret,omitempty"`
	AuthTokenSecret            *corev1.SecretKeySelector `json:"authTokenSecret,omitempty"`
	ConnectionBackoff          *EventBackoff             `json:"connectionBackoff,omitempty"`
	Parameters                 []TriggerParameter        `json:"parameters,omitempty"`
	TLS                        *EventTLSConfig           `json:"tls,omitempty"`
	TLSAllowInsecureConnection bool                      `json:"tlsAllowInsecureConnection,omitempty"`
	TLSTrustCertsSecret        *corev1.SecretKeySelector `json:"tlsTrustCertsSecret,omitempty"`
	TLSValidateHostname        bool                      `json:"tlsValidateHostname,omitempty"`
}

// SlackTrigger configures a trigger of kind slack.
type SlackTrigger struct {
	Message     string                    `json:"message,omitempty"`
	Attachments string                    `json:"attachments,omitempty"`
	Blocks      string                    `json:"blocks,omitempty"`
	Channel     string                    `json:"channel,omitempty"`
	Parameters  []TriggerParameter        `json:"parameters,omitempty"`
	Sender      *SlackSender              `json:"sender,omitempty"`
	SlackToken  *corev1.SecretKeySelector `json:"slackToken,omitempty"`
	Thread      *SlackThread              `json:"thread,omitempty"`
}

// TriggerSecureHeader holds the secure header settings of an event source or trigger.
type TriggerSecureHeader struct {
	Name      string                `json:"name,omitempty"`
	ValueFrom *EventValueFromSource `json:"valueFrom,omitempty"`
}

// SlackSender holds the slack sender settings of an event source or trigger.
type SlackSender struct {
	Icon     string `json:"icon,omitempty"`
	Username string `json:"username,omitempty"`
}

// SlackThread holds the slack thread settings of an event source or trigger.
type SlackThread struct {
	BroadcastMessageToChannel bool   `json:"broadcastMessageToChannel,omitempty"`
	MessageAggregationKey     string `json:"messageAggregationKey,omitempty"`
}
