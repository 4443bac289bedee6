package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ApplicationSpec is the desired state of an application: where from, where to and how.
type ApplicationSpec struct {
	Project              string                      `json:"project"`
	Destination          ApplicationDestination      `json:"destination"`
	Source               *ApplicationSource          `json:"source,omitempty"`
	Sources              []ApplicationSource         `json:"sources,omitempty"`
	SourceHydrator       *SourceHydrator             `json:"sourceHydrator,omitempty"`
	SyncPolicy           *SyncPolicy                 `json:"syncPolicy,omitempty"`
	IgnoreDifferences    []ResourceIgnoreDifferences `json:"ignoreDifferences,omitempty"`
	Info                 []Info                      `json:"info,omitempty"`
	RevisionHistoryLimit *int64                      `json:"revisionHistoryLimit,omitempty"`
}

// ApplicationDestination is the cluster and namespace an application is deployed to.
type ApplicationDestination struct {
	Server    string `json:"server,omitempty"`
	Name      string `json:"name,omitempty"`
	Namespace string `json:"namespace,omitempty"`
}

// ApplicationStatus is what was last seen of an application.
type ApplicationStatus struct {
	Sync                 SyncStatus             `json:"sync,omitempty"`
	Health               AppHealthStatus        `json:"health,omitempty"`
	OperationState       *OperationState        `json:"operationState,omitempty"`
	Resources            []ResourceStatus       `json:"resources,omitempty"`
	Conditions           []ApplicationCondition `json:"conditions,omitempty"`
	History              []RevisionHistory      `json:"history,omitempty"`
	Summary              ApplicationSummary     `json:"summary,omitempty"`
	SourceType           string                 `json:"sourceType,omitempty"`
	SourceTypes          []string               `json:"sourceTypes,omitempty"`
	ReconciledAt         *metav1.Time           `json:"reconciledAt,omitempty"`
	ObservedAt           *metav1.Time           `json:"observedAt,omitempty"`
	ResourceHealthSource string                 `json:"resourceHealthSource,omitempty"`
	ControllerNamespace  string                 `json:"controllerNamespace,omitempty"`
	SourceHydrator       *SourceHydratorStatus  `json:"sourceHydrator,omitempty"`
}

// ApplicationSummary is what an application runs, in short.
type ApplicationSummary struct {
	Images       []string `json:"images,omitempty"`
	ExternalURLs []string `json:"externalURLs,omitempty"`
	IsAppOfApps  bool     `json:"isAppOfApps,omitempty"`
}

// AppHealthStatus is the aggregated health of an application.
type AppHealthStatus struct {
	Status             string       `json:"status,omitempty"`
	Message            string       `json:"message,omitempty"`
	LastTransitionTime *metav1.Time `json:"lastTransitionTime,omitempty"`
}

// HealthStatus is the health of one resource.
type HealthStatus struct {
	Status             string       `json:"status,omitempty"`
	Message            string       `json:"message,omitempty"`
	LastTransitionTime *metav1.Time `json:"lastTransitionTime,omitempty"`
}

// SyncStatus says whether the live state equals the desired one, and what was compared.
type SyncStatus struct {
	Status     string     `json:"status"`
	Revision   string     `json:"revision,omitempty"`
	Revisions  []string   `json:"revisions,omitempty"`
	ComparedTo ComparedTo `json:"comparedTo,omitempty"`
}

// ComparedTo is what the live state was compared with.
type ComparedTo struct {
	Source            ApplicationSource           `json:"source,omitempty"`
	Sources           []ApplicationSource         `json:"sources,omitempty"`
	Destination       ApplicationDestination      `json:"destination,omitempty"`
	IgnoreDifferences []ResourceIgnoreDifferences `json:"ignoreDifferences,omitempty"`
}

// ResourceStatus is the state of one managed resource.
type ResourceStatus struct {
	Group                        string        `json:"group,omitempty"`
	Version                      string        `json:"version,omitempty"`
	Kind                         string        `json:"kind,omitempty"`
	Namespace                    string        `json:"namespace,omitempty"`
	Name                         string        `json:"name,omitempty"`
	Status                       string        `json:"status,omitempty"`
	Health                       *HealthStatus `json:"health,omitempty"`
	Hook                         bool          `json:"hook,omitempty"`
	RequiresPruning              bool          `json:"requiresPruning,omitempty"`
	RequiresDeletionConfirmation bool          `json:"requiresDeletionConfirmation,omitempty"`
	SyncWave                     int64         `json:"syncWave,omitempty"`
}

// ApplicationCondition is something about an application that a person should know.
type ApplicationCondition struct {
	Type               string       `json:"type"`
	Message            string       `json:"message"`
	LastTransitionTime *metav1.Time `json:"lastTransitionTime,omitempty"`
}

// RevisionHistory is one past deployment.
type RevisionHistory struct {
	ID              int64               `json:"id"`
	Revision        string              `json:"revision,omitempty"`
	Revisions       []string            `json:"revisions,omitempty"`
	DeployStartedAt *metav1.Time        `json:"deployStartedAt,omitempty"`
	DeployedAt      *metav1.Time        `json:"deployedAt"`
	Source          *ApplicationSource  `json:"source,omitempty"`
	Sources         []ApplicationSource `json:"sources,omitempty"`
	InitiatedBy     *OperationInitiator `json:"initiatedBy,omitempty"`
}

// SyncPolicy says when and how an application is synchronised by itself.
type SyncPolicy struct {
	Automated                *SyncPolicyAutomated `json:"automated,omitempty"`
	SyncOptions              []string             `json:"syncOptions,omitempty"`
	Retry                    *SyncRetryStrategy   `json:"retry,omitempty"`
	ManagedNamespaceMetadata *Metadata            `json:"managedNamespaceMetadata,omitempty"`
}

// SyncPolicyAutomated switches automatic synchronisation.
type SyncPolicyAutomated struct {
	Prune      bool  `json:"prune,omitempty"`
	SelfHeal   bool  `json:"selfHeal,omitempty"`
	AllowEmpty bool  `json:"allowEmpty,omitempty"`
	Enabled    *bool `json:"enabled,omitempty"`
}

// SyncRetryStrategy says how often a failed synchronisation is tried again.
type SyncRetryStrategy struct {
	Limit   *int64       `json:"limit,omitempty"`
	Backoff *SyncBackoff `json:"backoff,omitempty"`
	Refresh bool         `json:"refresh,omitempty"`
}

// SyncBackoff is the pause between retries of a synchronisation.
type SyncBackoff struct {
	Duration    string `json:"duration,omitempty"`
	Factor      *int64 `json:"factor,omitempty"`
	MaxDuration string `json:"maxDuration,omitempty"`
}

// ResourceIgnoreDifferences names fields whose differences do not count.
type ResourceIgnoreDifferences struct {
	Group                 string   `json:"group,omitempty"`
	Kind                  string   `json:"kind"`
	Name                  string   `json:"name,omitempty"`
	Namespace             string   `json:"namespace,omitempty"`
	JSONPointers          []string `json:"jsonPointers,omitempty"`
	JQPathExpressions     []string `json:"jqPathExpressions,omitempty"`
	ManagedFieldsManagers []string `json:"managedFieldsManagers,omitempty"`
}

// Info is a name and a value for people.
type Info struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// SourceHydrator describes an application whose rendered manifests are kept in Git.
type SourceHydrator struct {
	DrySource  DrySource  `json:"drySource"`
	SyncSource SyncSource `json:"syncSource"`
	HydrateTo  *HydrateTo `json:"hydrateTo,omitempty"`
}

// DrySource is where the unrendered manifests are.
type DrySource struct {
	RepoURL        string                      `json:"repoURL"`
	TargetRevision string                      `json:"targetRevision"`
	Path           string                      `json:"path"`
	Helm           *ApplicationSourceHelm      `json:"helm,omitempty"`
	Kustomize      *ApplicationSourceKustomize `json:"kustomize,omitempty"`
	Directory      *ApplicationSourceDirectory `json:"directory,omitempty"`
	Plugin         *ApplicationSourcePlugin    `json:"plugin,omitempty"`
}

// SyncSource is where the rendered manifests are.
type SyncSource struct {
	RepoURL      string `json:"repoURL,omitempty"`
	TargetBranch string `json:"targetBranch"`
	Path         string `json:"path"`
}

// HydrateTo is the branch rendered manifests are first written to.
type HydrateTo struct {
	TargetBranch string `json:"targetBranch"`
}

// SourceHydratorStatus is the state of hydration.
type SourceHydratorStatus struct {
	LastSuccessfulOperation *SuccessfulHydrateOperation `json:"lastSuccessfulOperation,omitempty"`
	CurrentOperation        *HydrateOperation           `json:"currentOperation,omitempty"`
	LastComparedDryRevision string                      `json:"lastComparedDryRevision,omitempty"`
}

// HydrateOperation is one run of hydration.
type HydrateOperation struct {
	StartedAt      *metav1.Time   `json:"startedAt,omitempty"`
	FinishedAt     *metav1.Time   `json:"finishedAt,omitempty"`
	Phase          string         `json:"phase"`
	Message        string         `json:"message"`
	DrySHA         string         `json:"drySHA,omitempty"`
	HydratedSHA    string         `json:"hydratedSHA,omitempty"`
	SourceHydrator SourceHydrator `json:"sourceHydrator,omitempty"`
}

// SuccessfulHydrateOperation is a hydration that went well.
type SuccessfulHydrateOperation struct {
	DrySHA         string         `json:"drySHA,omitempty"`
	HydratedSHA    string         `json:"hydratedSHA,omitempty"`
	SourceHydrator SourceHydrator `json:"sourceHydrator,omitempty"`
}
