package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Operation is a synchronisation someone asked for.
type Operation struct {
	Sync        *SyncOperation     `json:"sync,omitempty"`
	InitiatedBy OperationInitiator `json:"initiatedBy,omitempty"`
	Info        []Info             `json:"info,omitempty"`
	Retry       SyncRetryStrategy  `json:"retry,omitempty"`
}

// OperationInitiator says who asked for an operation.
type OperationInitiator struct {
	Username  string `json:"username,omitempty"`
	Automated bool   `json:"automated,omitempty"`
}

// SyncOperation says what to synchronise and how.
type SyncOperation struct {
	Revision              string                  `json:"revision,omitempty"`
	Revisions             []string                `json:"revisions,omitempty"`
	Prune                 bool                    `json:"prune,omitempty"`
	DryRun                bool                    `json:"dryRun,omitempty"`
	SyncStrategy          *SyncStrategy           `json:"syncStrategy,omitempty"`
	Resources             []SyncOperationResource `json:"resources,omitempty"`
	Source                *ApplicationSource      `json:"source,omitempty"`
	Sources               []ApplicationSource     `json:"sources,omitempty"`
	Manifests             []string                `json:"manifests,omitempty"`
	SyncOptions           []string                `json:"syncOptions,omitempty"`
	AutoHealAttemptsCount int64                   `json:"autoHealAttemptsCount,omitempty"`
}

// SyncOperationResource selects one resource of a partial synchronisation.
type SyncOperationResource struct {
	Group     string `json:"group,omitempty"`
	Kind      string `json:"kind"`
	Name      string `json:"name"`
	Namespace string `json:"namespace,omitempty"`
}

// SyncStrategy is how manifests are applied.
type SyncStrategy struct {
	Apply *SyncStrategyApply `json:"apply,omitempty"`
	Hook  *SyncStrategyHook  `json:"hook,omitempty"`
}

// SyncStrategyApply applies without hooks.
type SyncStrategyApply struct {
	Force bool `json:"force,omitempty"`
}

// SyncStrategyHook applies with hooks.
type SyncStrategyHook struct {
	Force bool `json:"force,omitempty"`
}

// OperationState is the progress of an operation.
type OperationState struct {
	Operation  Operation            `json:"operation"`
	Phase      OperationPhase       `json:"phase"`
	Message    string               `json:"message,omitempty"`
	SyncResult *SyncOperationResult `json:"syncResult,omitempty"`
	StartedAt  *metav1.Time         `json:"startedAt"`
	FinishedAt *metav1.Time         `json:"finishedAt,omitempty"`
	RetryCount int64                `json:"retryCount,omitempty"`
}

// SyncOperationResult is what a synchronisation did.
type SyncOperationResult struct {
	Revision                 string              `json:"revision"`
	Revisions                []string            `json:"revisions,omitempty"`
	Source                   ApplicationSource   `json:"source,omitempty"`
	Sources                  []ApplicationSource `json:"sources,omitempty"`
	Resources                []ResourceResult    `json:"resources,omitempty"`
	ManagedNamespaceMetadata *Metadata           `json:"managedNamespaceMetadata,omitempty"`
}

// ResourceResult is what a synchronisation did to one resource.
type ResourceResult struct {
	Group     string   `json:"group"`
	Version   string   `json:"version"`
	Kind      string   `json:"kind"`
	Namespace string   `json:"namespace"`
	Name      string   `json:"name"`
	Status    string   `json:"status,omitempty"`
	Message   string   `json:"message,omitempty"`
	HookType  string   `json:"hookType,omitempty"`
	HookPhase string   `json:"hookPhase,omitempty"`
	SyncPhase string   `json:"syncPhase,omitempty"`
	Images    []string `json:"images,omitempty"`
}
