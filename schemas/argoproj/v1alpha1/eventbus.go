package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// EventBus names a transport of Argo Events. Argosy keeps all events on its own bus, so that the object is stored and
// has no effect.
//
// +kubebuilder:object:root=true
type EventBus struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Spec   EventBusSpec   `json:"spec"`
	Status EventBusStatus `json:"status,omitempty"`
}

// EventBusList is a list of EventBus.
//
// +kubebuilder:object:root=true
type EventBusList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []EventBus `json:"items"`
}

// EventBusSpec chooses one transport.
type EventBusSpec struct {
	JetStream       *JetStreamBus    `json:"jetstream,omitempty"`
	JetStreamExotic *JetStreamConfig `json:"jetstreamExotic,omitempty"`
	Kafka           *KafkaBus        `json:"kafka,omitempty"`
	NATS            *NATSBus         `json:"nats,omitempty"`
}

// EventBusStatus is the observed state of an event bus.
type EventBusStatus struct {
	Conditions []EventCondition `json:"conditions,omitempty"`
	Config     *BusConfig       `json:"config,omitempty"`
}

// BusConfig is how clients reach a bus.
type BusConfig struct {
	JetStream *JetStreamConfig `json:"jetstream,omitempty"`
	Kafka     *KafkaBus        `json:"kafka,omitempty"`
	NATS      *NATSConfig      `json:"nats,omitempty"`
}

// BusPods are the settings of pods that run a bus.
type BusPods struct {
	Affinity                 *corev1.Affinity              `json:"affinity,omitempty"`
	ContainerTemplate        *BusContainer                 `json:"containerTemplate,omitempty"`
	ImagePullSecrets         []corev1.LocalObjectReference `json:"imagePullSecrets,omitempty"`
	MaxPayload               string                        `json:"maxPayload,omitempty"`
	Metadata                 *Metadata                     `json:"metadata,omitempty"`
	MetricsContainerTemplate *BusContainer                 `json:"metricsContainerTemplate,omitempty"`
	NodeSelector             map[string]string             `json:"nodeSelector,omitempty"`
	Persistence              *PersistenceStrategy          `json:"persistence,omitempty"`
	Priority                 *int32                        `json:"priority,omitempty"`
	PriorityClassName        string                        `json:"priorityClassName,omitempty"`
	Replicas                 *int32                        `json:"replicas,omitempty"`
	SecurityContext          *corev1.PodSecurityContext    `json:"securityContext,omitempty"`
	ServiceAccountName       string                        `json:"serviceAccountName,omitempty"`
	Tolerations              []corev1.Toleration           `json:"tolerations,omitempty"`
}

// JetStreamBus describes a JetStream cluster that upstream would start.
type JetStreamBus struct {
	BusPods `json:",inline"`

	ReloaderContainerTemplate *BusContainer `json:"reloaderContainerTemplate,omitempty"`
	Settings                  *string       `json:"settings,omitempty"`
	StartArgs                 []string      `json:"startArgs,omitempty"`
	StreamConfig              *string       `json:"streamConfig,omitempty"`
	Version                   string        `json:"version,omitempty"`
}

// JetStreamConfig names a JetStream cluster that exists.
type JetStreamConfig struct {
	AccessSecret *corev1.SecretKeySelector `json:"accessSecret,omitempty"`
	StreamConfig string                    `json:"streamConfig,omitempty"`
	TLS          *EventTLSConfig           `json:"tls,omitempty"`
	URL          string                    `json:"url,omitempty"`
}

// KafkaBus names a Kafka cluster that exists.
type KafkaBus struct {
	ConsumerGroup *KafkaConsumerGroup `json:"consumerGroup,omitempty"`
	Partitioner   string              `json:"partitioner,omitempty"`
	SASL          *SASLConfig         `json:"sasl,omitempty"`
	TLS           *EventTLSConfig     `json:"tls,omitempty"`
	Topic         string              `json:"topic,omitempty"`
	URL           string              `json:"url,omitempty"`
	Version       string              `json:"version,omitempty"`
}

// NATSBus is a NATS Streaming cluster, started by upstream or existing.
type NATSBus struct {
	Exotic *NATSConfig     `json:"exotic,omitempty"`
	Native *NativeStrategy `json:"native,omitempty"`
}

// NATSConfig names a NATS Streaming cluster that exists.
type NATSConfig struct {
	AccessSecret *corev1.SecretKeySelector `json:"accessSecret,omitempty"`
	Auth         *string                   `json:"auth,omitempty"`
	ClusterID    *string                   `json:"clusterID,omitempty"`
	URL          string                    `json:"url,omitempty"`
}

// NativeStrategy describes a NATS Streaming cluster that upstream would start.
type NativeStrategy struct {
	BusPods `json:",inline"`

	Auth                 *string `json:"auth,omitempty"`
	MaxAge               *string `json:"maxAge,omitempty"`
	MaxBytes             *string `json:"maxBytes,omitempty"`
	MaxMsgs              *int64  `json:"maxMsgs,omitempty"`
	MaxSubs              *int64  `json:"maxSubs,omitempty"`
	RaftCommitTimeout    *string `json:"raftCommitTimeout,omitempty"`
	RaftElectionTimeout  *string `json:"raftElectionTimeout,omitempty"`
	RaftHeartbeatTimeout *string `json:"raftHeartbeatTimeout,omitempty"`
	RaftLeaseTimeout     *string `json:"raftLeaseTimeout,omitempty"`
}

// BusContainer holds the settings of a container of a bus.
type BusContainer struct {
	ImagePullPolicy corev1.PullPolicy            `json:"imagePullPolicy,omitempty"`
	Resources       *corev1.ResourceRequirements `json:"resources,omitempty"`
	SecurityContext *corev1.SecurityContext      `json:"securityContext,omitempty"`
}

// PersistenceStrategy says which volume a bus writes to.
type PersistenceStrategy struct {
	AccessMode       *corev1.PersistentVolumeAccessMode `json:"accessMode,omitempty"`
	StorageClassName *string                            `json:"storageClassName,omitempty"`
	VolumeSize       *resource.Quantity                 `json:"volumeSize,omitempty"`
}
