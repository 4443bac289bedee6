package workflowapi

import (
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ClusterWorkflowTemplateCreateRequest asks to create a cluster workflow template.
type ClusterWorkflowTemplateCreateRequest struct {
	CreateOptions *metav1.CreateOptions             `json:"createOptions,omitempty"`
	Template      *v1alpha1.ClusterWorkflowTemplate `json:"template,omitempty"`
}

// ClusterWorkflowTemplateLintRequest asks to lint a cluster workflow template.
type ClusterWorkflowTemplateLintRequest struct {
	CreateOptions *metav1.CreateOptions             `json:"createOptions,omitempty"`
	Template      *v1alpha1.ClusterWorkflowTemplate `json:"template,omitempty"`
}

// ClusterWorkflowTemplateUpdateRequest asks to update a cluster workflow template.
type ClusterWorkflowTemplateUpdateRequest struct {
	Name     string                            `json:"name,omitempty"`
	Template *v1alpha1.ClusterWorkflowTemplate `json:"template,omitempty"`
}

// CreateCronWorkflowRequest asks to create cron workflow.
type CreateCronWorkflowRequest struct {
	CreateOptions *metav1.CreateOptions  `json:"createOptions,omitempty"`
	CronWorkflow  *v1alpha1.CronWorkflow `json:"cronWorkflow,omitempty"`
	Namespace     string                 `json:"namespace,omitempty"`
}

// CronWorkflowResumeRequest asks to resume a cron workflow.
type CronWorkflowResumeRequest struct {
	Name      string `json:"name,omitempty"`
	Namespace string `json:"namespace,omitempty"`
}

// CronWorkflowSuspendRequest asks to suspend a cron workflow.
type CronWorkflowSuspendRequest struct {
	Name      string `json:"name,omitempty"`
	Namespace string `json:"namespace,omitempty"`
}

// LintCronWorkflowRequest asks to lint cron workflow.
type LintCronWorkflowRequest struct {
	CronWorkflow *v1alpha1.CronWorkflow `json:"cronWorkflow,omitempty"`
	Namespace    string                 `json:"namespace,omitempty"`
}

// UpdateCronWorkflowRequest asks to update cron workflow.
type UpdateCronWorkflowRequest struct {
	CronWorkflow *v1alpha1.CronWorkflow `json:"cronWorkflow,omitempty"`
	Name         string                 `json:"name,omitempty"`
	Namespace    string                 `json:"namespace,omitempty"`
}

// WorkflowTemplateCreateRequest asks to create a workflow template.
type WorkflowTemplateCreateRequest struct {
	CreateOptions *metav1.CreateOptions      `json:"createOptions,omitempty"`
	Namespace     string                     `json:"namespace,omitempty"`
	Template      *v1alpha1.WorkflowTemplate `json:"template,omitempty"`
}

// WorkflowTemplateLintRequest asks to lint a workflow template.
type WorkflowTemplateLintRequest struct {
	CreateOptions *metav1.CreateOptions      `json:"createOptions,omitempty"`
	Namespace     string                     `json:"namespace,omitempty"`
	Template      *v1alpha1.WorkflowTemplate `json:"template,omitempty"`
}

// WorkflowTemplateUpdateRequest asks to update a workflow template.
type WorkflowTemplateUpdateRequest struct {
	Name      string                     `json:"name,omitempty"`
	Namespace string                     `json:"namespace,omitempty"`
	Template  *v1alpha1.WorkflowTemplate `json:"template,omitempty"`
}
