package v1alpha1

import (
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// SensorSpec is what to wait for and what to do then.
type SensorSpec struct {
	Dependencies         []EventDependency `json:"dependencies"`
	Triggers             []Trigger         `json:"triggers"`
	ErrorOnFailedRound   bool              `json:"errorOnFailedRound,omitempty"`
	EventBusName         string            `json:"eventBusName,omitempty"`
	LoggingFields        map[string]string `json:"loggingFields,omitempty"`
	Replicas             *int32            `json:"replicas,omitempty"`
	RevisionHistoryLimit *int32            `json:"revisionHistoryLimit,omitempty"`
	Template             *EventTemplate    `json:"template,omitempty"`
}

// SensorStatus is the observed state of sensor.
type SensorStatus struct {
	Conditions []EventCondition `json:"conditions,omitempty"`
}

// EventDependency is one event that a sensor waits for.
type EventDependency struct {
	Name                   string                      `json:"name"`
	EventName              string                      `json:"eventName"`
	EventSourceName        string                      `json:"eventSourceName"`
	Filters                *EventDependencyFilter      `json:"filters,omitempty"`
	FiltersLogicalOperator string                      `json:"filtersLogicalOperator,omitempty"`
	Transform              *EventDependencyTransformer `json:"transform,omitempty"`
}

// Trigger is one thing a sensor does.
type Trigger struct {
	AtLeastOnce   bool               `json:"atLeastOnce,omitempty"`
	DLQTrigger    *Trigger           `json:"dlqTrigger,omitempty"`
	Parameters    []TriggerParameter `json:"parameters,omitempty"`
	Policy        *TriggerPolicy     `json:"policy,omitempty"`
	RateLimit     *TriggerRateLimit  `json:"rateLimit,omitempty"`
	RetryStrategy *EventBackoff      `json:"retryStrategy,omitempty"`
	Template      *TriggerTemplate   `json:"template,omitempty"`
}

// EventDependencyTransformer holds the event dependency transformer settings of an event source or trigger.
type EventDependencyTransformer struct {
	JQ     string `json:"jq,omitempty"`
	Script string `json:"script,omitempty"`
}

// TriggerParameter copies a value of an event into a trigger.
type TriggerParameter struct {
	Dest      string                  `json:"dest"`
	Operation string                  `json:"operation,omitempty"`
	Src       *TriggerParameterSource `json:"src,omitempty"`
}

// TriggerPolicy holds the trigger policy settings of an event source or trigger.
type TriggerPolicy struct {
	K8s    *K8SResourcePolicy   `json:"k8s,omitempty"`
	Status *TriggerStatusPolicy `json:"status,omitempty"`
}

// TriggerRateLimit holds the rate limit settings of an event source or trigger.
type TriggerRateLimit struct {
	RequestsPerUnit int64  `json:"requestsPerUnit,omitempty"`
	Unit            string `json:"unit,omitempty"`
}

// TriggerTemplate holds the trigger template settings of an event source or trigger.
type TriggerTemplate struct {
	Name            string                    `json:"name"`
	ArgoWorkflow    *ArgoWorkflowTrigger      `json:"argoWorkflow,omitempty"`
	AWSLambda       *AWSLambdaTrigger         `json:"awsLambda,omitempty"`
	AzureEventHubs  *AzureEventHubsTrigger    `json:"azureEventHubs,omitempty"`
	AzureServiceBus *AzureServiceBusTrigger   `json:"azureServiceBus,omitempty"`
	Conditions      string                    `json:"conditions,omitempty"`
	ConditionsReset []ConditionsResetCriteria `json:"conditionsReset,omitempty"`
	Custom          *CustomTrigger            `json:"custom,omitempty"`
	Email           *EmailTrigger             `json:"email,omitempty"`
	HTTP            *HTTPTrigger              `json:"http,omitempty"`
	K8s             *StandardK8STrigger       `json:"k8s,omitempty"`
	Kafka           *KafkaTrigger             `json:"kafka,omitempty"`
	Log             *LogTrigger               `json:"log,omitempty"`
	NATS            *NATSTrigger              `json:"nats,omitempty"`
	OpenWhisk       *OpenWhiskTrigger         `json:"openWhisk,omitempty"`
	Pulsar          *PulsarTrigger            `json:"pulsar,omitempty"`
	Slack           *SlackTrigger             `json:"slack,omitempty"`
}

// EventContext is the CloudEvents context of an event.
type EventContext struct {
	Type            string       `json:"type"`
	DataContentType string       `json:"datacontenttype"`
	ID              string       `json:"id"`
	Source          string       `json:"source"`
	SpecVersion     string       `json:"specversion"`
	Subject         string       `json:"subject"`
	Time            *metav1.Time `json:"time"`
}

// DataFilter holds the data filter settings of an event source or trigger.
type DataFilter struct {
	Type       string      `json:"type"`
	Path       string      `json:"path"`
	Value      []AnyString `json:"value"`
	Comparator string      `json:"comparator,omitempty"`
	Template   string      `json:"template,omitempty"`
}

// ExprFilter holds the expr filter settings of an event source or trigger.
type ExprFilter struct {
	Expr   string         `json:"expr"`
	Fields []PayloadField `json:"fields"`
}

// TimeFilter holds the time filter settings of an event source or trigger.
type TimeFilter struct {
	Start    string `json:"start"`
	Stop     string `json:"stop"`
	Timezone string `json:"timezone,omitempty"`
}

// TriggerParameterSource holds the trigger parameter source settings of an event source or trigger.
type TriggerParameterSource struct {
	DependencyName  string     `json:"dependencyName"`
	ContextKey      string     `json:"contextKey,omitempty"`
	ContextTemplate string     `json:"contextTemplate,omitempty"`
	DataKey         string     `json:"dataKey,omitempty"`
	DataTemplate    string     `json:"dataTemplate,omitempty"`
	UseRawData      bool       `json:"useRawData,omitempty"`
	Value           *AnyString `json:"value,omitempty"`
}

// K8SResourcePolicy holds the K8 S resource policy settings of an event source or trigger.
type K8SResourcePolicy struct {
	Backoff               *EventBackoff     `json:"backoff"`
	ErrorOnBackoffTimeout bool              `json:"errorOnBackoffTimeout"`
	Labels                map[string]string `json:"labels,omitempty"`
}

// TriggerStatusPolicy holds the status policy settings of an event source or trigger.
type TriggerStatusPolicy struct {
	Allow []int32 `json:"allow"`
}

// ConditionsResetCriteria holds the conditions reset criteria settings of an event source or trigger.
type ConditionsResetCriteria struct {
	ByTime *ConditionsResetByTime `json:"byTime,omitempty"`
}

// PayloadField holds the payload field settings of an event source or trigger.
type PayloadField struct {
	Name string `json:"name"`
	Path string `json:"path"`
}

// EventArtifactLocation says where an artifact is kept.
type EventArtifactLocation struct {
	Configmap *corev1.ConfigMapKeySelector `json:"configmap,omitempty"`
	File      *EventFileArtifact           `json:"file,omitempty"`
	Git       *EventGitArtifact            `json:"git,omitempty"`
	Inline    *string                      `json:"inline,omitempty"`
	Resource  json.RawMessage              `json:"resource,omitempty"`
	S3        *EventS3Artifact             `json:"s3,omitempty"`
	URL       *EventURLArtifact            `json:"url,omitempty"`
}

// ConditionsResetByTime holds the conditions reset by time settings of an event source or trigger.
type ConditionsResetByTime struct {
	Cron     string `json:"cron,omitempty"`
	Timezone string `json:"timezone,omitempty"`
}

// EventFileArtifact locates an artifact through file.
type EventFileArtifact struct {
	Path string `json:"path,omitempty"`
}

// EventGitArtifact locates an artifact through git.
type EventGitArtifact struct {
	CloneDirectory        string                    `json:"cloneDirectory"`
	FilePath              string                    `json:"filePath"`
	URL                   string                    `json:"url"`
	Branch                string                    `json:"branch,omitempty"`
	Creds                 *EventGitCreds            `json:"creds,omitempty"`
	GithubApp             *GithubAppCreds           `json:"githubApp,omitempty"`
	InsecureIgnoreHostKey bool                      `json:"insecureIgnoreHostKey,omitempty"`
	Ref                   string                    `json:"ref,omitempty"`
	Remote                *EventGitRemoteConfig     `json:"remote,omitempty"`
	SshKeySecret          *corev1.SecretKeySelector `json:"sshKeySecret,omitempty"`
	Tag                   string                    `json:"tag,omitempty"`
}

// EventURLArtifact locates an artifact through URL.
type EventURLArtifact struct {
	Path       string `json:"path"`
	VerifyCert bool   `json:"verifyCert,omitempty"`
}

// EventGitCreds holds the git creds settings of an event source or trigger.
type EventGitCreds struct {
	Password *corev1.SecretKeySelector `json:"password,omitempty"`
	Username *corev1.SecretKeySelector `json:"username,omitempty"`
}

// EventGitRemoteConfig holds the git remote config settings of an event source or trigger.
type EventGitRemoteConfig struct {
	Name string   `json:"name"`
	URLs []string `json:"urls"`
}

// Event is what a trigger gets that asks for a whole event.
type Event struct {
	Context *EventContext `json:"context,omitempty"`
	// Data is the event's payload; JSON carries it in base64.
	Data []byte `json:"data"`
}
