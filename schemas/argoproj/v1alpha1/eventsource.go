package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// EventSourceSpec lists event sources by kind and name.
type EventSourceSpec struct {
	AMQP              map[string]AMQPEventSource              `json:"amqp,omitempty"`
	AzureEventsHub    map[string]AzureEventsHubEventSource    `json:"azureEventsHub,omitempty"`
	AzureQueueStorage map[string]AzureQueueStorageEventSource `json:"azureQueueStorage,omitempty"`
	AzureServiceBus   map[string]AzureServiceBusEventSource   `json:"azureServiceBus,omitempty"`
	Bitbucket         map[string]BitbucketEventSource         `json:"bitbucket,omitempty"`
	Bitbucketserver   map[string]BitbucketServerEventSource   `json:"bitbucketserver,omitempty"`
	Calendar          map[string]CalendarEventSource          `json:"calendar,omitempty"`
	Emitter           map[string]EmitterEventSource           `json:"emitter,omitempty"`
	EventBusName      string                                  `json:"eventBusName,omitempty"`
	File              map[string]FileEventSource              `json:"file,omitempty"`
	Generic           map[string]GenericEventSource           `json:"generic,omitempty"`
	Gerrit            map[string]GerritEventSource            `json:"gerrit,omitempty"`
	Github            map[string]GithubEventSource            `json:"github,omitempty"`
	Gitlab            map[string]GitlabEventSource            `json:"gitlab,omitempty"`
	HDFS              map[string]HDFSEventSource              `json:"hdfs,omitempty"`
	Kafka             map[string]KafkaEventSource             `json:"kafka,omitempty"`
	Minio             map[string]EventS3Artifact              `json:"minio,omitempty"`
	MNS               map[string]MNSEventSource               `json:"mns,omitempty"`
	MQTT              map[string]MQTTEventSource              `json:"mqtt,omitempty"`
	NATS              map[string]NATSEventsSource             `json:"nats,omitempty"`
	NSQ               map[string]NSQEventSource               `json:"nsq,omitempty"`
	PubSub            map[string]PubSubEventSource            `json:"pubSub,omitempty"`
	Pulsar            map[string]PulsarEventSource            `json:"pulsar,omitempty"`
	Redis             map[string]RedisEventSource             `json:"redis,omitempty"`
	RedisStream       map[string]RedisStreamEventSource       `json:"redisStream,omitempty"`
	Replicas          *int32                                  `json:"replicas,omitempty"`
	Resource          map[string]ResourceEventSource          `json:"resource,omitempty"`
	Service           *EventService                           `json:"service,omitempty"`
	SFTP              map[string]SFTPEventSource              `json:"sftp,omitempty"`
	Slack             map[string]SlackEventSource             `json:"slack,omitempty"`
	SNS               map[string]SNSEventSource               `json:"sns,omitempty"`
	SQS               map[string]SQSEventSource               `json:"sqs,omitempty"`
	StorageGrid       map[string]StorageGridEventSource       `json:"storageGrid,omitempty"`
	Stripe            map[string]StripeEventSource            `json:"stripe,omitempty"`
	Template          *EventTemplate                          `json:"template,omitempty"`
	Webhook           map[string]WebhookEventSource           `json:"webhook,omitempty"`
	Registry          map[string]RegistryEventSource          `json:"registry,omitempty"`

	EventSourceKinds `json:",inline"`
}

// EventSourceStatus is the observed state of event source.
type EventSourceStatus struct {
	Conditions []EventCondition `json:"conditions,omitempty"`
}

// BitbucketEventSource configures one source of bitbucket events.
type BitbucketEventSource struct {
	Auth               BitbucketAuth         `json:"auth"`
	Events             []string              `json:"events"`
	Webhook            WebhookContext        `json:"webhook"`
	DeleteHookOnFinish bool                  `json:"deleteHookOnFinish,omitempty"`
	Filter             *EventSourceFilter    `json:"filter,omitempty"`
	Metadata           map[string]string     `json:"metadata,omitempty"`
	Owner              string                `json:"owner,omitempty"`
	ProjectKey         string                `json:"projectKey,omitempty"`
	Repositories       []BitbucketRepository `json:"repositories,omitempty"`
	RepositorySlug     string                `json:"repositorySlug,omitempty"`
	// WebhookSecret is the key that hooks are signed with; Argosy's own.
	WebhookSecret *corev1.SecretKeySelector `json:"webhookSecret,omitempty"`
}

// BitbucketServerEventSource configures one source of bitbucket server events.
type BitbucketServerEventSource struct {
	BitbucketserverBaseURL        string                      `json:"bitbucketserverBaseURL"`
	AccessToken                   *corev1.SecretKeySelector   `json:"accessToken,omitempty"`
	CheckInterval                 string                      `json:"checkInterval,omitempty"`
	DeleteHookOnFinish            bool                        `json:"deleteHookOnFinish,omitempty"`
	Events                        []string                    `json:"events,omitempty"`
	Filter                        *EventSourceFilter          `json:"filter,omitempty"`
	Metadata                      map[string]string           `json:"metadata,omitempty"`
	OneEventPerChange             bool                        `json:"oneEventPerChange,omitempty"`
	ProjectKey                    string                      `json:"projectKey,omitempty"`
	Projects                      []string                    `json:"projects,omitempty"`
	Repositories                  []BitbucketServerRepository `json:"repositories,omitempty"`
	RepositorySlug                string                      `json:"repositorySlug,omitempty"`
	SkipBranchRefsChangedOnOpenPR bool                        `json:"skipBranchRefsChangedOnOpenPR,omitempty"`
	TLS                           *EventTLSConfig             `json:"tls,omitempty"`
	Webhook                       *WebhookContext             `json:"webhook,omitempty"`
	WebhookSecret                 *corev1.SecretKeySelector   `json:"webhookSecret,omitempty"`
}

// GithubEventSource configures one source of github events.
type GithubEventSource struct {
	Events             []string                  `json:"events"`
	Active             *bool                     `json:"active,omitempty"`
	ApiToken           *corev1.SecretKeySelector `json:"apiToken,omitempty"`
	ContentType        string                    `json:"contentType,omitempty"`
	DeleteHookOnFinish bool                      `json:"deleteHookOnFinish,omitempty"`
	Filter             *EventSourceFilter        `json:"filter,omitempty"`
	GithubApp          *GithubAppCreds           `json:"githubApp,omitempty"`
	GithubBaseURL      string                    `json:"githubBaseURL,omitempty"`
	GithubUploadURL    string                    `json:"githubUploadURL,omitempty"`
	ID                 int64                     `json:"id,omitempty"`
	Insecure           bool                      `json:"insecure,omitempty"`
	Metadata           map[string]string         `json:"metadata,omitempty"`
	Organizations      []string                  `json:"organizations,omitempty"`
	Owner              string                    `json:"owner,omitempty"`
	Repositories       []OwnedRepositories       `json:"repositories,omitempty"`
	Repository         string                    `json:"repository,omitempty"`
	Webhook            *WebhookContext           `json:"webhook,omitempty"`
	WebhookSecret      *corev1.SecretKeySelector `json:"webhookSecret,omitempty"`
}

// GitlabEventSource configures one source of gitlab events.
type GitlabEventSource struct {
	Events                []string                  `json:"events"`
	GitlabBaseURL         string                    `json:"gitlabBaseURL"`
	AccessToken           *corev1.SecretKeySelector `json:"accessToken,omitempty"`
	DeleteHookOnFinish    bool                      `json:"deleteHookOnFinish,omitempty"`
	EnableSSLVerification bool                      `json:"enableSSLVerification,omitempty"`
	Filter                *EventSourceFilter        `json:"filter,omitempty"`
	Groups                []string                  `json:"groups,omitempty"`
	Metadata              map[string]string         `json:"metadata,omitempty"`
	ProjectID             string                    `json:"projectID,omitempty"`
	Projects              []string                  `json:"projects,omitempty"`
	SecretToken           *corev1.SecretKeySelector `json:"secretToken,omitempty"`
	Webhook               *WebhookContext           `json:"webhook,omitempty"`
}

// EventService holds the service settings of an event source or trigger.
type EventService struct {
	ClusterIP string               `json:"clusterIP,omitempty"`
	Metadata  *Metadata            `json:"metadata,omitempty"`
	Ports     []corev1.ServicePort `json:"ports,omitempty"`
}

// EventTemplate is one reusable piece of work of a workflow.
type EventTemplate struct {
	Affinity           *corev1.Affinity              `json:"affinity,omitempty"`
	Container          *EventContainer               `json:"container,omitempty"`
	ImagePullSecrets   []corev1.LocalObjectReference `json:"imagePullSecrets,omitempty"`
	Metadata           *Metadata                     `json:"metadata,omitempty"`
	NodeSelector       map[string]string             `json:"nodeSelector,omitempty"`
	Priority           *int32                        `json:"priority,omitempty"`
	PriorityClassName  string                        `json:"priorityClassName,omitempty"`
	SecurityContext    *corev1.PodSecurityContext    `json:"securityContext,omitempty"`
	ServiceAccountName string                        `json:"serviceAccountName,omitempty"`
	Tolerations        []corev1.Toleration           `json:"tolerations,omitempty"`
	Volumes            []corev1.Volume               `json:"volumes,omitempty"`
}

// WebhookEventSource configures one source of webhook events.
type WebhookEventSource struct {
	Endpoint   string                    `json:"endpoint"`
	Method     string                    `json:"method"`
	Port       AnyString                 `json:"port"`
	URL        string                    `json:"url"`
	AuthSecret *corev1.SecretKeySelector `json:"authSecret,omitempty"`
	Filter     *EventSourceFilter        `json:"filter,omitempty"`
	// HMAC asks for a signature of each body; Argosy's own.
	HMAC             *WebhookHMAC              `json:"hmac,omitempty"`
	MaxPayloadSize   *int64                    `json:"maxPayloadSize,omitempty"`
	Metadata         map[string]string         `json:"metadata,omitempty"`
	ServerCertSecret *corev1.SecretKeySelector `json:"serverCertSecret,omitempty"`
	ServerKeySecret  *corev1.SecretKeySelector `json:"serverKeySecret,omitempty"`
}

// RegistryEventSource configures one source of image pushes: the webhook of a container registry.
type RegistryEventSource struct {
	Provider   string                    `json:"provider,omitempty"`
	Webhook    *WebhookContext           `json:"webhook,omitempty"`
	AuthSecret *corev1.SecretKeySelector `json:"authSecret,omitempty"`
	// WebhookSecret is the key that GHCR, JFrog and Gitea sign with.
	WebhookSecret *corev1.SecretKeySelector `json:"webhookSecret,omitempty"`
	// PathSecret is the last element of the hook's URL, for senders that cannot sign, such as Docker Hub and Quay.
	PathSecret   *corev1.SecretKeySelector `json:"pathSecret,omitempty"`
	RegistryURL  string                    `json:"registryURL,omitempty"`
	RegistryAuth *EventBasicAuth           `json:"registryAuth,omitempty"`
	Insecure     bool                      `json:"insecure,omitempty"`
	Repositories []string                  `json:"repositories,omitempty"`
	Filter       *EventSourceFilter        `json:"filter,omitempty"`
	Metadata     map[string]string         `json:"metadata,omitempty"`
}

// EventCondition holds the condition settings of an event source or trigger.
type EventCondition struct {
	Type               string       `json:"type"`
	Message            string       `json:"message,omitempty"`
	Status             string       `json:"status"`
	LastTransitionTime *metav1.Time `json:"lastTransitionTime,omitempty"`
	Reason             string       `json:"reason,omitempty"`
}

// EventSourceFilter holds the event source filter settings of an event source or trigger.
type EventSourceFilter struct {
	Expression string `json:"expression,omitempty"`
}

// WebhookContext says how an HTTP source listens.
type WebhookContext struct {
	Endpoint         string                    `json:"endpoint"`
	Method           string                    `json:"method"`
	Port             AnyString                 `json:"port"`
	URL              string                    `json:"url"`
	AuthSecret       *corev1.SecretKeySelector `json:"authSecret,omitempty"`
	MaxPayloadSize   *int64                    `json:"maxPayloadSize,omitempty"`
	Metadata         map[string]string         `json:"metadata,omitempty"`
	ServerCertSecret *corev1.SecretKeySelector `json:"serverCertSecret,omitempty"`
	ServerKeySecret  *corev1.SecretKeySelector `json:"serverKeySecret,omitempty"`
}

// GithubAppCreds holds the github app creds settings of an event source or trigger.
type GithubAppCreds struct {
	AppID          int64                    `json:"appID"`
	InstallationID int64                    `json:"installationID"`
	PrivateKey     corev1.SecretKeySelector `json:"privateKey"`
}

// OwnedRepositories holds the owned repositories settings of an event source or trigger.
type OwnedRepositories struct {
	Names []string `json:"names,omitempty"`
	Owner string   `json:"owner,omitempty"`
}

// EventContainer holds the container settings of an event source or trigger.
type EventContainer struct {
	Env             []corev1.EnvVar              `json:"env,omitempty"`
	EnvFrom         []corev1.EnvFromSource       `json:"envFrom,omitempty"`
	ImagePullPolicy string                       `json:"imagePullPolicy,omitempty"`
	Resources       *corev1.ResourceRequirements `json:"resources,omitempty"`
	SecurityContext *corev1.SecurityContext      `json:"securityContext,omitempty"`
	VolumeMounts    []corev1.VolumeMount         `json:"volumeMounts,omitempty"`
}
