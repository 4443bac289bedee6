package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// WorkflowSpec is what a workflow does and how.
type WorkflowSpec struct {
	ActiveDeadlineSeconds        *int64                            `json:"activeDeadlineSeconds,omitempty"`
	Affinity                     *corev1.Affinity                  `json:"affinity,omitempty"`
	ArchiveLogs                  *bool                             `json:"archiveLogs,omitempty"`
	Arguments                    *Arguments                        `json:"arguments,omitempty"`
	ArtifactGC                   *WorkflowLevelArtifactGC          `json:"artifactGC,omitempty"`
	ArtifactRepositoryRef        *ArtifactRepositoryRef            `json:"artifactRepositoryRef,omitempty"`
	AutomountServiceAccountToken *bool                             `json:"automountServiceAccountToken,omitempty"`
	DNSConfig                    *corev1.PodDNSConfig              `json:"dnsConfig,omitempty"`
	DNSPolicy                    string                            `json:"dnsPolicy,omitempty"`
	Entrypoint                   string                            `json:"entrypoint,omitempty"`
	Executor                     *ExecutorConfig                   `json:"executor,omitempty"`
	ExecutorPlugins              []ExecutorPlugin                  `json:"executorPlugins,omitempty"`
	Hooks                        map[string]LifecycleHook          `json:"hooks,omitempty"`
	HostAliases                  []corev1.HostAlias                `json:"hostAliases,omitempty"`
	HostNetwork                  *bool                             `json:"hostNetwork,omitempty"`
	ImagePullSecrets             []corev1.LocalObjectReference     `json:"imagePullSecrets,omitempty"`
	Metrics                      *Metrics                          `json:"metrics,omitempty"`
	NodeSelector                 map[string]string                 `json:"nodeSelector,omitempty"`
	OnExit                       string                            `json:"onExit,omitempty"`
	Parallelism                  *int64                            `json:"parallelism,omitempty"`
	PodDisruptionBudget          *policyv1.PodDisruptionBudgetSpec `json:"podDisruptionBudget,omitempty"`
	PodGC                        *PodGC                            `json:"podGC,omitempty"`
	PodMetadata                  *Metadata                         `json:"podMetadata,omitempty"`
	PodPriorityClassName         string                            `json:"podPriorityClassName,omitempty"`
	PodResources                 *corev1.ResourceRequirements      `json:"podResources,omitempty"`
	PodSpecPatch                 string                            `json:"podSpecPatch,omitempty"`
	Priority                     *int64                            `json:"priority,omitempty"`
	ResourceClaims               []corev1.PodResourceClaim         `json:"resourceClaims,omitempty"`
	RetryStrategy                *RetryStrategy                    `json:"retryStrategy,omitempty"`
	SchedulerName                string                            `json:"schedulerName,omitempty"`
	SecurityContext              *corev1.PodSecurityContext        `json:"securityContext,omitempty"`
	ServiceAccountName           string                            `json:"serviceAccountName,omitempty"`
	Shutdown                     string                            `json:"shutdown,omitempty"`
	Suspend                      *bool                             `json:"suspend,omitempty"`
	Synchronization              *Synchronization                  `json:"synchronization,omitempty"`
	TemplateDefaults             *Template                         `json:"templateDefaults,omitempty"`
	Templates                    []Template                        `json:"templates,omitempty"`
	Tolerations                  []corev1.Toleration               `json:"tolerations,omitempty"`
	TTLStrategy                  *TTLStrategy                      `json:"ttlStrategy,omitempty"`
	VolumeClaimGC                *VolumeClaimGC                    `json:"volumeClaimGC,omitempty"`
	VolumeClaimTemplates         []corev1.PersistentVolumeClaim    `json:"volumeClaimTemplates,omitempty"`
	Volumes                      []corev1.Volume                   `json:"volumes,omitempty"`
	WorkflowMetadata             *WorkflowMetadata                 `json:"workflowMetadata,omitempty"`
	WorkflowTemplateRef          *WorkflowTemplateRef              `json:"workflowTemplateRef,omitempty"`
}

// CronWorkflowSpec holds the cron workflow spec settings of a workflow.
type CronWorkflowSpec struct {
	Schedule                   string             `json:"schedule,omitempty"` // of version 3: one more of Schedules
	Schedules                  []string           `json:"schedules,omitempty"`
	WorkflowSpec               WorkflowSpec       `json:"workflowSpec"`
	ConcurrencyPolicy          string             `json:"concurrencyPolicy,omitempty"`
	FailedJobsHistoryLimit     *int64             `json:"failedJobsHistoryLimit,omitempty"`
	StartingDeadlineSeconds    *int64             `json:"startingDeadlineSeconds,omitempty"`
	StopStrategy               *StopStrategy      `json:"stopStrategy,omitempty"`
	SuccessfulJobsHistoryLimit *int64             `json:"successfulJobsHistoryLimit,omitempty"`
	Suspend                    bool               `json:"suspend,omitempty"`
	Timezone                   string             `json:"timezone,omitempty"`
	When                       string             `json:"when,omitempty"`
	WorkflowMetadata           *metav1.ObjectMeta `json:"workflowMetadata,omitempty"`
}

// Arguments are the values passed to a template or a workflow.
type Arguments struct {
	Artifacts  []Artifact  `json:"artifacts,omitempty"`
	Parameters []Parameter `json:"parameters,omitempty"`
}

// ExecutorConfig holds the executor config settings of a workflow.
type ExecutorConfig struct {
	ServiceAccountName string `json:"serviceAccountName,omitempty"`
}

// ExecutorPlugin holds the executor plugin settings of a workflow.
type ExecutorPlugin struct {
	Metadata metav1.ObjectMeta  `json:"metadata"`
	Spec     ExecutorPluginSpec `json:"spec"`
}

// LifecycleHook holds the lifecycle hook settings of a workflow.
type LifecycleHook struct {
	Arguments   *Arguments   `json:"arguments,omitempty"`
	Expression  string       `json:"expression,omitempty"`
	Template    string       `json:"template,omitempty"`
	TemplateRef *TemplateRef `json:"templateRef,omitempty"`
}

// Metrics holds the metrics settings of a workflow.
type Metrics struct {
	Prometheus []Prometheus `json:"prometheus"`
}

// PodGC holds the pod GC settings of a workflow.
type PodGC struct {
	DeleteDelayDuration string                `json:"deleteDelayDuration,omitempty"`
	LabelSelector       *metav1.LabelSelector `json:"labelSelector,omitempty"`
	Strategy            string                `json:"strategy,omitempty"`
}

// Metadata holds the metadata settings of a workflow.
type Metadata struct {
	Annotations map[string]string `json:"annotations,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
}

// Synchronization holds the synchronization settings of a workflow.
type Synchronization struct {
	Mutexes    []Mutex        `json:"mutexes,omitempty"`
	Semaphores []SemaphoreRef `json:"semaphores,omitempty"`
	// Mutex and Semaphore are the forms of version 3 of Argo Workflows.
	Mutex     *Mutex        `json:"mutex,omitempty"`
	Semaphore *SemaphoreRef `json:"semaphore,omitempty"`
}

// TTLStrategy holds the TTL strategy settings of a workflow.
type TTLStrategy struct {
	SecondsAfterCompletion *int64 `json:"secondsAfterCompletion,omitempty"`
	SecondsAfterFailure    *int64 `json:"secondsAfterFailure,omitempty"`
	SecondsAfterSuccess    *int64 `json:"secondsAfterSuccess,omitempty"`
}

// VolumeClaimGC holds the volume claim GC settings of a workflow.
type VolumeClaimGC struct {
	Strategy string `json:"strategy,omitempty"`
}

// WorkflowMetadata holds the workflow metadata settings of a workflow.
type WorkflowMetadata struct {
	Annotations map[string]string         `json:"annotations,omitempty"`
	Labels      map[string]string         `json:"labels,omitempty"`
	LabelsFrom  map[string]LabelValueFrom `json:"labelsFrom,omitempty"`
}

// WorkflowTemplateRef holds the workflow template ref settings of a workflow.
type WorkflowTemplateRef struct {
	Name         string `json:"name,omitempty"`
	ClusterScope bool   `json:"clusterScope,omitempty"`
}

// StopStrategy holds the stop strategy settings of a workflow.
type StopStrategy struct {
	Expression string `json:"expression"`
}

// Parameter is a named string that flows between templates.
type Parameter struct {
	Name        string      `json:"name"`
	Default     *AnyString  `json:"default,omitempty"`
	Description *AnyString  `json:"description,omitempty"`
	Enum        []AnyString `json:"enum,omitempty"`
	GlobalName  string      `json:"globalName,omitempty"`
	Value       *AnyString  `json:"value,omitempty"`
	ValueFrom   *ValueFrom  `json:"valueFrom,omitempty"`
}

// ExecutorPluginSpec holds the executor plugin spec settings of a workflow.
type ExecutorPluginSpec struct {
	Sidecar ExecutorPluginSidecar `json:"sidecar"`
}

// Prometheus holds the prometheus settings of a workflow.
type Prometheus struct {
	Name      string        `json:"name"`
	Help      string        `json:"help"`
	Counter   *Counter      `json:"counter,omitempty"`
	Gauge     *Gauge        `json:"gauge,omitempty"`
	Histogram *Histogram    `json:"histogram,omitempty"`
	Labels    []MetricLabel `json:"labels,omitempty"`
	When      string        `json:"when,omitempty"`
}

// Mutex holds the mutex settings of a workflow.
type Mutex struct {
	Name      string `json:"name,omitempty"`
	Database  bool   `json:"database,omitempty"`
	Namespace string `json:"namespace,omitempty"`
}

// SemaphoreRef holds the semaphore ref settings of a workflow.
type SemaphoreRef struct {
	ConfigMapKeyRef *corev1.ConfigMapKeySelector `json:"configMapKeyRef,omitempty"`
	Database        *SyncDatabaseRef             `json:"database,omitempty"`
	Namespace       string                       `json:"namespace,omitempty"`
}

// LabelValueFrom holds the label value from settings of a workflow.
type LabelValueFrom struct {
	Expression string `json:"expression"`
}

// ValueFrom holds the value from settings of a workflow.
type ValueFrom struct {
	ConfigMapKeyRef *corev1.ConfigMapKeySelector `json:"configMapKeyRef,omitempty"`
	Default         *AnyString                   `json:"default,omitempty"`
	Event           string                       `json:"event,omitempty"`
	Expression      string                       `json:"expression,omitempty"`
	JQFilter        string                       `json:"jqFilter,omitempty"`
	JSONPath        string                       `json:"jsonPath,omitempty"`
	Parameter       string                       `json:"parameter,omitempty"`
	Path            string                       `json:"path,omitempty"`
	Supplied        *SuppliedValueFrom           `json:"supplied,omitempty"`
}

// ExecutorPluginSidecar holds the executor plugin sidecar settings of a workflow.
type ExecutorPluginSidecar struct {
	Container                    corev1.Container `json:"container"`
	AutomountServiceAccountToken bool             `json:"automountServiceAccountToken,omitempty"`
}

// Counter holds the counter settings of a workflow.
type Counter struct {
	Value string `json:"value"`
}

// Gauge holds the gauge settings of a workflow.
type Gauge struct {
	Realtime  *bool  `json:"realtime"`
	Value     string `json:"value"`
	Operation string `json:"operation,omitempty"`
}

// Histogram holds the histogram settings of a workflow.
type Histogram struct {
	Buckets []Amount `json:"buckets"`
	Value   string   `json:"value"`
}

// MetricLabel holds the metric label settings of a workflow.
type MetricLabel struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// SyncDatabaseRef holds the sync database ref settings of a workflow.
type SyncDatabaseRef struct {
	Key string `json:"key"`
}

// SuppliedValueFrom holds the supplied value from settings of a workflow.
type SuppliedValueFrom struct {
}
