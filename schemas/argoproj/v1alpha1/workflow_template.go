package v1alpha1

import (
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// RetryStrategy holds the retry strategy settings of a workflow.
type RetryStrategy struct {
	Affinity    *RetryAffinity      `json:"affinity,omitempty"`
	Backoff     *Backoff            `json:"backoff,omitempty"`
	Expression  string              `json:"expression,omitempty"`
	Limit       *intstr.IntOrString `json:"limit,omitempty"`
	RetryPolicy RetryPolicy         `json:"retryPolicy,omitempty"`
}

// Template is one reusable piece of work of a workflow.
type Template struct {
	Name                         string                       `json:"name,omitempty"`
	ActiveDeadlineSeconds        *intstr.IntOrString          `json:"activeDeadlineSeconds,omitempty"`
	Affinity                     *corev1.Affinity             `json:"affinity,omitempty"`
	Annotations                  map[string]string            `json:"annotations,omitempty"`
	ArchiveLocation              *ArtifactLocation            `json:"archiveLocation,omitempty"`
	AutomountServiceAccountToken *bool                        `json:"automountServiceAccountToken,omitempty"`
	Container                    *corev1.Container            `json:"container,omitempty" node:"Pod"`
	ContainerSet                 *ContainerSetTemplate        `json:"containerSet,omitempty" node:"Pod"`
	Daemon                       *bool                        `json:"daemon,omitempty"`
	DAG                          *DAGTemplate                 `json:"dag,omitempty" node:"DAG"`
	Data                         *DataTemplate                `json:"data,omitempty" node:"Pod"`
	Executor                     *ExecutorConfig              `json:"executor,omitempty"`
	FailFast                     *bool                        `json:"failFast,omitempty"`
	HostAliases                  []corev1.HostAlias           `json:"hostAliases,omitempty"`
	HTTP                         *HTTPTemplate                `json:"http,omitempty" node:"HTTP"`
	InitContainers               []UserContainer              `json:"initContainers,omitempty"`
	Inputs                       *Inputs                      `json:"inputs,omitempty"`
	Memoize                      *Memoize                     `json:"memoize,omitempty"`
	Metadata                     *Metadata                    `json:"metadata,omitempty"`
	Metrics                      *Metrics                     `json:"metrics,omitempty"`
	NodeSelector                 map[string]string            `json:"nodeSelector,omitempty"`
	Outputs                      *Outputs                     `json:"outputs,omitempty"`
	Parallelism                  *int64                       `json:"parallelism,omitempty"`
	PendingTimeout               string                       `json:"pendingTimeout,omitempty"`
	Plugin                       json.RawMessage              `json:"plugin,omitempty" node:"Plugin"`
	PodResources                 *corev1.ResourceRequirements `json:"podResources,omitempty"`
	PodSpecPatch                 string                       `json:"podSpecPatch,omitempty"`
	PriorityClassName            string                       `json:"priorityClassName,omitempty"`
	Resource                     *ResourceTemplate            `json:"resource,omitempty" node:"Pod"`
	ResourceClaims               []corev1.PodResourceClaim    `json:"resourceClaims,omitempty"`
	RetryStrategy                *RetryStrategy               `json:"retryStrategy,omitempty"`
	SchedulerName                string                       `json:"schedulerName,omitempty"`
	Script                       *ScriptTemplate              `json:"script,omitempty" node:"Pod"`
	SecurityContext              *corev1.PodSecurityContext   `json:"securityContext,omitempty"`
	ServiceAccountName           string                       `json:"serviceAccountName,omitempty"`
	Sidecars                     []UserContainer              `json:"sidecars,omitempty"`
	Steps                        []ParallelSteps              `json:"steps,omitempty" node:"Steps"`
	Suspend                      *SuspendTemplate             `json:"suspend,omitempty" node:"Suspend"`
	Synchronization              *Synchronization             `json:"synchronization,omitempty"`
	Timeout                      string                       `json:"timeout,omitempty"`
	Tolerations                  []corev1.Toleration          `json:"tolerations,omitempty"`
	Volumes                      []corev1.Volume              `json:"volumes,omitempty"`
}

// Outputs holds the outputs settings of a workflow.
type Outputs struct {
	Artifacts  []Artifact  `json:"artifacts,omitempty"`
	ExitCode   *string     `json:"exitCode,omitempty"`
	Parameters []Parameter `json:"parameters,omitempty"`
	Result     *string     `json:"result,omitempty"`
}

// TemplateRef holds the template ref settings of a workflow.
type TemplateRef struct {
	Name         string `json:"name,omitempty"`
	ClusterScope bool   `json:"clusterScope,omitempty"`
	Template     string `json:"template,omitempty"`
}

// RetryAffinity holds the retry affinity settings of a workflow.
type RetryAffinity struct {
	NodeAntiAffinity *RetryNodeAntiAffinity `json:"nodeAntiAffinity,omitempty"`
}

// Backoff holds the backoff settings of a workflow.
type Backoff struct {
	Cap         string              `json:"cap,omitempty"`
	Duration    string              `json:"duration,omitempty"`
	Factor      *intstr.IntOrString `json:"factor,omitempty"`
	MaxDuration string              `json:"maxDuration,omitempty"`
}

// ContainerSetTemplate holds the container set template settings of a workflow.
type ContainerSetTemplate struct {
	Containers    []ContainerNode            `json:"containers"`
	RetryStrategy *ContainerSetRetryStrategy `json:"retryStrategy,omitempty"`
	VolumeMounts  []corev1.VolumeMount       `json:"volumeMounts,omitempty"`
}

// DAGTemplate holds the DAG template settings of a workflow.
type DAGTemplate struct {
	Tasks    []DAGTask `json:"tasks"`
	FailFast *bool     `json:"failFast,omitempty"`
	Target   string    `json:"target,omitempty"`
}

// DataTemplate is a template that lists and transforms data.
type DataTemplate struct {
	Source         DataSource           `json:"source"`
	Transformation []TransformationStep `json:"transformation"`
}

// HTTPTemplate is a request made by the runner.
type HTTPTemplate struct {
	URL                string          `json:"url"`
	Body               string          `json:"body,omitempty"`
	BodyFrom           *HTTPBodySource `json:"bodyFrom,omitempty"`
	Headers            []HTTPHeader    `json:"headers,omitempty"`
	InsecureSkipVerify bool            `json:"insecureSkipVerify,omitempty"`
	Method             string          `json:"method,omitempty"`
	SuccessCondition   string          `json:"successCondition,omitempty"`
	TimeoutSeconds     *int64          `json:"timeoutSeconds,omitempty"`
}

// UserContainer is a container beside the main one.
type UserContainer struct {
	corev1.Container   `json:",inline"`
	MirrorVolumeMounts bool `json:"mirrorVolumeMounts,omitempty"`
}

// Inputs holds the inputs settings of a workflow.
type Inputs struct {
	Artifacts  []Artifact  `json:"artifacts,omitempty"`
	Parameters []Parameter `json:"parameters,omitempty"`
}

// Memoize holds the memoize settings of a workflow.
type Memoize struct {
	Cache  MemoizeCache `json:"cache"`
	Key    string       `json:"key"`
	MaxAge string       `json:"maxAge"`
}

// ResourceTemplate holds the resource template settings of a workflow.
type ResourceTemplate struct {
	Action            string        `json:"action"`
	FailureCondition  string        `json:"failureCondition,omitempty"`
	Flags             []string      `json:"flags,omitempty"`
	Manifest          string        `json:"manifest,omitempty"`
	ManifestFrom      *ManifestFrom `json:"manifestFrom,omitempty"`
	MergeStrategy     string        `json:"mergeStrategy,omitempty"`
	SetOwnerReference bool          `json:"setOwnerReference,omitempty"`
	SuccessCondition  string        `json:"successCondition,omitempty"`
}

// ScriptTemplate is a container that runs an inline source.
type ScriptTemplate struct {
	corev1.Container `json:",inline"`
	Source           string `json:"source"`
}

// SuspendTemplate holds the suspend template settings of a workflow.
type SuspendTemplate struct {
	Duration AnyString `json:"duration,omitempty"`
}

// RetryNodeAntiAffinity holds the retry node anti affinity settings of a workflow.
type RetryNodeAntiAffinity struct {
}

// ContainerNode is one container of a container set.
type ContainerNode struct {
	corev1.Container `json:",inline"`
	Dependencies     []string `json:"dependencies,omitempty"`
}

// ContainerSetRetryStrategy holds the container set retry strategy settings of a workflow.
type ContainerSetRetryStrategy struct {
	Retries  intstr.IntOrString `json:"retries"`
	Duration string             `json:"duration,omitempty"`
}

// DAGTask is one vertex of a DAG template.
type DAGTask struct {
	Name         string                   `json:"name"`
	Arguments    *Arguments               `json:"arguments,omitempty"`
	ContinueOn   *ContinueOn              `json:"continueOn,omitempty"`
	Dependencies []string                 `json:"dependencies,omitempty"`
	Depends      string                   `json:"depends,omitempty"`
	Hooks        map[string]LifecycleHook `json:"hooks,omitempty"`
	Inline       *Template                `json:"inline,omitempty"`
	OnExit       string                   `json:"onExit,omitempty"`
	Template     string                   `json:"template,omitempty"`
	TemplateRef  *TemplateRef             `json:"templateRef,omitempty"`
	When         string                   `json:"when,omitempty"`
	WithItems    []Item                   `json:"withItems,omitempty"`
	WithParam    string                   `json:"withParam,omitempty"`
	WithSequence *Sequence                `json:"withSequence,omitempty"`
}

// DataSource holds the data source settings of a workflow.
type DataSource struct {
	ArtifactPaths *ArtifactPaths `json:"artifactPaths,omitempty"`
}

// TransformationStep holds the transformation step settings of a workflow.
type TransformationStep struct {
	Expression string `json:"expression"`
}

// HTTPBodySource holds the HTTP body source settings of a workflow.
type HTTPBodySource struct {
	Bytes []byte `json:"bytes,omitempty"`
}

// HTTPHeader holds the HTTP header settings of a workflow.
type HTTPHeader struct {
	Name      string            `json:"name"`
	Value     string            `json:"value,omitempty"`
	ValueFrom *HTTPHeaderSource `json:"valueFrom,omitempty"`
}

// MemoizeCache holds the cache settings of a workflow.
type MemoizeCache struct {
	ConfigMap corev1.LocalObjectReference `json:"configMap"`
}

// ManifestFrom holds the manifest from settings of a workflow.
type ManifestFrom struct {
	Artifact Artifact `json:"artifact"`
}

// WorkflowStep is one step of a steps template.
type WorkflowStep struct {
	Name         string                   `json:"name,omitempty"`
	Arguments    *Arguments               `json:"arguments,omitempty"`
	ContinueOn   *ContinueOn              `json:"continueOn,omitempty"`
	Hooks        map[string]LifecycleHook `json:"hooks,omitempty"`
	Inline       *Template                `json:"inline,omitempty"`
	OnExit       string                   `json:"onExit,omitempty"`
	Template     string                   `json:"template,omitempty"`
	TemplateRef  *TemplateRef             `json:"templateRef,omitempty"`
	When         string                   `json:"when,omitempty"`
	WithItems    []Item                   `json:"withItems,omitempty"`
	WithParam    string                   `json:"withParam,omitempty"`
	WithSequence *Sequence                `json:"withSequence,omitempty"`
}

// ContinueOn holds the continue on settings of a workflow.
type ContinueOn struct {
	Error  bool `json:"error,omitempty"`
	Failed bool `json:"failed,omitempty"`
}

// Sequence holds the sequence settings of a workflow.
type Sequence struct {
	Count  *intstr.IntOrString `json:"count,omitempty"`
	End    *intstr.IntOrString `json:"end,omitempty"`
	Format string              `json:"format,omitempty"`
	Start  *intstr.IntOrString `json:"start,omitempty"`
}

// HTTPHeaderSource holds the HTTP header source settings of a workflow.
type HTTPHeaderSource struct {
	SecretKeyRef *corev1.SecretKeySelector `json:"secretKeyRef,omitempty"`
}
