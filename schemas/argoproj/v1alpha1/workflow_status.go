package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// WorkflowStatus is the projection of a run that people look at.
type WorkflowStatus struct {
	Phase                       WorkflowPhase                `json:"phase,omitempty"`
	Message                     string                       `json:"message,omitempty"`
	ArtifactGCStatus            *ArtGCStatus                 `json:"artifactGCStatus,omitempty"`
	ArtifactRepositoryRef       *ArtifactRepositoryRefStatus `json:"artifactRepositoryRef,omitempty"`
	CompressedNodes             string                       `json:"compressedNodes,omitempty"`
	Conditions                  []Condition                  `json:"conditions,omitempty"`
	EstimatedDuration           int64                        `json:"estimatedDuration,omitempty"`
	FinishedAt                  *metav1.Time                 `json:"finishedAt,omitempty"`
	Nodes                       map[string]NodeStatus        `json:"nodes,omitempty"`
	OffloadNodeStatusVersion    string                       `json:"offloadNodeStatusVersion,omitempty"`
	Outputs                     *Outputs                     `json:"outputs,omitempty"`
	PersistentVolumeClaims      []corev1.Volume              `json:"persistentVolumeClaims,omitempty"`
	Progress                    string                       `json:"progress,omitempty"`
	ResourcesDuration           map[string]int64             `json:"resourcesDuration,omitempty"`
	StartedAt                   *metav1.Time                 `json:"startedAt,omitempty"`
	StoredTemplates             map[string]Template          `json:"storedTemplates,omitempty"`
	StoredWorkflowTemplateSpec  *WorkflowSpec                `json:"storedWorkflowTemplateSpec,omitempty"`
	Synchronization             *SynchronizationStatus       `json:"synchronization,omitempty"`
	TaskResultsCompletionStatus map[string]bool              `json:"taskResultsCompletionStatus,omitempty"`
}

// CronWorkflowStatus is the observed state of cron workflow.
type CronWorkflowStatus struct {
	Phase             string                   `json:"phase,omitempty"`
	Active            []corev1.ObjectReference `json:"active,omitempty"`
	Conditions        []Condition              `json:"conditions,omitempty"`
	Failed            int64                    `json:"failed,omitempty"`
	LastScheduledTime *metav1.Time             `json:"lastScheduledTime,omitempty"`
	Succeeded         int64                    `json:"succeeded,omitempty"`
}

// ArtGCStatus is the observed state of art GC.
type ArtGCStatus struct {
	NotSpecified        bool            `json:"notSpecified,omitempty"`
	PodsRecouped        map[string]bool `json:"podsRecouped,omitempty"`
	StrategiesProcessed map[string]bool `json:"strategiesProcessed,omitempty"`
}

// Condition holds the condition settings of a workflow.
type Condition struct {
	Type    string `json:"type,omitempty"`
	Message string `json:"message,omitempty"`
	Status  string `json:"status,omitempty"`
}

// NodeStatus is the state of one node of a run, in the shape clients know.
type NodeStatus struct {
	Name                  string                     `json:"name"`
	Type                  NodeType                   `json:"type"`
	Phase                 NodePhase                  `json:"phase,omitempty"`
	Message               string                     `json:"message,omitempty"`
	ID                    string                     `json:"id"`
	BoundaryID            string                     `json:"boundaryID,omitempty"`
	Children              []string                   `json:"children,omitempty"`
	Daemoned              *bool                      `json:"daemoned,omitempty"`
	DisplayName           string                     `json:"displayName,omitempty"`
	EstimatedDuration     int64                      `json:"estimatedDuration,omitempty"`
	FailedPodRestarts     int64                      `json:"failedPodRestarts,omitempty"`
	FinishedAt            *metav1.Time               `json:"finishedAt,omitempty"`
	HostNodeName          string                     `json:"hostNodeName,omitempty"`
	Inputs                *Inputs                    `json:"inputs,omitempty"`
	MemoizationStatus     *MemoizationStatus         `json:"memoizationStatus,omitempty"`
	NodeFlag              *NodeFlag                  `json:"nodeFlag,omitempty"`
	OutboundNodes         []string                   `json:"outboundNodes,omitempty"`
	Outputs               *Outputs                   `json:"outputs,omitempty"`
	PodIP                 string                     `json:"podIP,omitempty"`
	Progress              string                     `json:"progress,omitempty"`
	ResourcesDuration     map[string]int64           `json:"resourcesDuration,omitempty"`
	RestartingPodUID      string                     `json:"restartingPodUID,omitempty"`
	StartedAt             *metav1.Time               `json:"startedAt,omitempty"`
	SynchronizationStatus *NodeSynchronizationStatus `json:"synchronizationStatus,omitempty"`
	TaskResultSynced      *bool                      `json:"taskResultSynced,omitempty"`
	TemplateName          string                     `json:"templateName,omitempty"`
	TemplateRef           *TemplateRef               `json:"templateRef,omitempty"`
	TemplateScope         string                     `json:"templateScope,omitempty"`
}

// SynchronizationStatus is the observed state of synchronization.
type SynchronizationStatus struct {
	Mutex     *MutexStatus     `json:"mutex,omitempty"`
	Semaphore *SemaphoreStatus `json:"semaphore,omitempty"`
}

// MemoizationStatus is the observed state of memoization.
type MemoizationStatus struct {
	CacheName string `json:"cacheName"`
	Hit       bool   `json:"hit"`
	Key       string `json:"key"`
}

// NodeFlag holds the node flag settings of a workflow.
type NodeFlag struct {
	Hooked  bool `json:"hooked,omitempty"`
	Retried bool `json:"retried,omitempty"`
}

// NodeSynchronizationStatus is the observed state of node synchronization.
type NodeSynchronizationStatus struct {
	Waiting string `json:"waiting,omitempty"`
}

// MutexStatus is the observed state of mutex.
type MutexStatus struct {
	Holding []MutexHolding `json:"holding,omitempty"`
	Waiting []MutexHolding `json:"waiting,omitempty"`
}

// SemaphoreStatus is the observed state of semaphore.
type SemaphoreStatus struct {
	Holding []SemaphoreHolding `json:"holding,omitempty"`
	Waiting []SemaphoreHolding `json:"waiting,omitempty"`
}

// MutexHolding holds the mutex holding settings of a workflow.
type MutexHolding struct {
	Holder string `json:"holder,omitempty"`
	Mutex  string `json:"mutex,omitempty"`
}

// SemaphoreHolding holds the semaphore holding settings of a workflow.
type SemaphoreHolding struct {
	Holders   []string `json:"holders,omitempty"`
	Semaphore string   `json:"semaphore,omitempty"`
}
