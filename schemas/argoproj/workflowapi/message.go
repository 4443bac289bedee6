// Package workflowapi holds the messages of the API that clients of Argo Workflows speak.
//
// Promise: a message that such a client sends or reads has its fields here, under the same names. The objects within
// are those of package v1alpha1.
package workflowapi

import (
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ArchivedWorkflowDeletedResponse answers a archived workflow deleted.
type ArchivedWorkflowDeletedResponse struct{}

// ClusterWorkflowTemplateDeleteResponse answers a cluster workflow template delete.
type ClusterWorkflowTemplateDeleteResponse struct{}

// CollectEventResponse answers a collect event.
type CollectEventResponse struct{}

// Column is a column of the list of workflows.
type Column struct {
	Key  string `json:"key,omitempty"`
	Name string `json:"name,omitempty"`
	Type string `json:"type,omitempty"`
}

// CronWorkflowDeletedResponse answers a cron workflow deleted.
type CronWorkflowDeletedResponse struct{}

// EventResponse answers an event that was taken.
type EventResponse struct{}

// GetUserInfoResponse says who asks.
type GetUserInfoResponse struct {
	Email                   string   `json:"email,omitempty"`
	EmailVerified           bool     `json:"emailVerified,omitempty"`
	Groups                  []string `json:"groups,omitempty"`
	Issuer                  string   `json:"issuer,omitempty"`
	Name                    string   `json:"name,omitempty"`
	ServiceAccountName      string   `json:"serviceAccountName,omitempty"`
	ServiceAccountNamespace string   `json:"serviceAccountNamespace,omitempty"`
	Subject                 string   `json:"subject,omitempty"`
}

// InfoResponse tells a user interface how it is set up.
type InfoResponse struct {
	Columns          []Column        `json:"columns,omitempty"`
	Links            []Link          `json:"links,omitempty"`
	ManagedNamespace string          `json:"managedNamespace,omitempty"`
	Modals           map[string]bool `json:"modals,omitempty"`
	NavColor         string          `json:"navColor,omitempty"`
}

// LabelKeys lists keys of labels of archived workflows.
type LabelKeys struct {
	Items []string `json:"items,omitempty"`
}

// LabelValues lists values of a label of archived workflows.
type LabelValues struct {
	Items []string `json:"items,omitempty"`
}

// Link is a link that a user interface shows.
type Link struct {
	Name   string `json:"name,omitempty"`
	Scope  string `json:"scope,omitempty"`
	Target string `json:"target,omitempty"`
	URL    string `json:"url,omitempty"`
}

// LogEntry is one line of the log of a pod.
type LogEntry struct {
	Content string `json:"content,omitempty"`
	PodName string `json:"podName,omitempty"`
}

// SubmitOpts changes what is submitted from a template.
type SubmitOpts struct {
	Annotations          string                 `json:"annotations,omitempty"`
	Artifacts            []string               `json:"artifacts,omitempty"`
	DryRun               bool                   `json:"dryRun,omitempty"`
	EntryPoint           string                 `json:"entryPoint,omitempty"`
	GenerateName         string                 `json:"generateName,omitempty"`
	Labels               string                 `json:"labels,omitempty"`
	Name                 string                 `json:"name,omitempty"`
	OwnerReference       *metav1.OwnerReference `json:"ownerReference,omitempty"`
	Parameters           []string               `json:"parameters,omitempty"`
	PodPriorityClassName string                 `json:"podPriorityClassName,omitempty"`
	Priority             int64                  `json:"priority,omitempty"`
	ServerDryRun         bool                   `json:"serverDryRun,omitempty"`
	ServiceAccount       string                 `json:"serviceAccount,omitempty"`
}

// Version says what a server was built from.
type Version struct {
	BuildDate    string `json:"buildDate,omitempty"`
	Compiler     string `json:"compiler,omitempty"`
	GitCommit    string `json:"gitCommit,omitempty"`
	GitTag       string `json:"gitTag,omitempty"`
	GitTreeState string `json:"gitTreeState,omitempty"`
	GoVersion    string `json:"goVersion,omitempty"`
	Platform     string `json:"platform,omitempty"`
	Version      string `json:"version,omitempty"`
}

// WorkflowDeleteResponse answers a workflow delete.
type WorkflowDeleteResponse struct{}

// WorkflowTemplateDeleteResponse answers a workflow template delete.
type WorkflowTemplateDeleteResponse struct{}

// WorkflowWatchEvent is one change of a watched workflow.
type WorkflowWatchEvent struct {
	Object *v1alpha1.Workflow `json:"object,omitempty"`
	Type   string             `json:"type,omitempty"`
}
