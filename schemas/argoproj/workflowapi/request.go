package workflowapi

import (
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// CollectEventRequest reports use of a user interface.
type CollectEventRequest struct {
	Name string `json:"name,omitempty"`
}

// ResubmitArchivedWorkflowRequest asks to resubmit archived workflow.
type ResubmitArchivedWorkflowRequest struct {
	Memoized   bool     `json:"memoized,omitempty"`
	Name       string   `json:"name,omitempty"`
	Namespace  string   `json:"namespace,omitempty"`
	Parameters []string `json:"parameters,omitempty"`
	UID        string   `json:"uid,omitempty"`
}

// RetryArchivedWorkflowRequest asks to retry archived workflow.
type RetryArchivedWorkflowRequest struct {
	Name              string   `json:"name,omitempty"`
	Namespace         string   `json:"namespace,omitempty"`
	NodeFieldSelector string   `json:"nodeFieldSelector,omitempty"`
	Parameters        []string `json:"parameters,omitempty"`
	RestartSuccessful bool     `json:"restartSuccessful,omitempty"`
	UID               string   `json:"uid,omitempty"`
}

// WorkflowCreateRequest asks to create a workflow.
type WorkflowCreateRequest struct {
	CreateOptions *metav1.CreateOptions `json:"createOptions,omitempty"`
	InstanceID    string                `json:"instanceID,omitempty"`
	Namespace     string                `json:"namespace,omitempty"`
	ServerDryRun  bool                  `json:"serverDryRun,omitempty"`
	Workflow      *v1alpha1.Workflow    `json:"workflow,omitempty"`
}

// WorkflowLintRequest asks to lint a workflow.
type WorkflowLintRequest struct {
	Namespace string             `json:"namespace,omitempty"`
	Workflow  *v1alpha1.Workflow `json:"workflow,omitempty"`
}

// WorkflowResubmitRequest asks to resubmit a workflow.
type WorkflowResubmitRequest struct {
	Memoized   bool     `json:"memoized,omitempty"`
	Name       string   `json:"name,omitempty"`
	Namespace  string   `json:"namespace,omitempty"`
	Parameters []string `json:"parameters,omitempty"`
}

// WorkflowResumeRequest asks to resume a workflow.
type WorkflowResumeRequest struct {
	Name              string `json:"name,omitempty"`
	Namespace         string `json:"namespace,omitempty"`
	NodeFieldSelector string `json:"nodeFieldSelector,omitempty"`
}

// WorkflowRetryRequest asks to retry a workflow.
type WorkflowRetryRequest struct {
	Name              string   `json:"name,omitempty"`
	Namespace         string   `json:"namespace,omitempty"`
	NodeFieldSelector string   `json:"nodeFieldSelector,omitempty"`
	Parameters        []string `json:"parameters,omitempty"`
	RestartSuccessful bool     `json:"restartSuccessful,omitempty"`
}

// WorkflowSetRequest asks to set a workflow.
type WorkflowSetRequest struct {
	Message           string `json:"message,omitempty"`
	Name              string `json:"name,omitempty"`
	Namespace         string `json:"namespace,omitempty"`
	NodeFieldSelector string `json:"nodeFieldSelector,omitempty"`
	OutputParameters  string `json:"outputParameters,omitempty"`
	Phase             string `json:"phase,omitempty"`
}

// WorkflowStopRequest asks to stop a workflow.
type WorkflowStopRequest struct {
	Message           string `json:"message,omitempty"`
	Name              string `json:"name,omitempty"`
	Namespace         string `json:"namespace,omitempty"`
	NodeFieldSelector string `json:"nodeFieldSelector,omitempty"`
}

// WorkflowSubmitRequest asks to submit a workflow.
type WorkflowSubmitRequest struct {
	Namespace     string      `json:"namespace,omitempty"`
	ResourceKind  string      `json:"resourceKind,omitempty"`
	ResourceName  string      `json:"resourceName,omitempty"`
	SubmitOptions *SubmitOpts `json:"submitOptions,omitempty"`
}

// WorkflowSuspendRequest asks to suspend a workflow.
type WorkflowSuspendRequest struct {
	Name      string `json:"name,omitempty"`
	Namespace string `json:"namespace,omitempty"`
}

// WorkflowTerminateRequest asks to terminate a workflow.
type WorkflowTerminateRequest struct {
	Name      string `json:"name,omitempty"`
	Namespace string `json:"namespace,omitempty"`
}
