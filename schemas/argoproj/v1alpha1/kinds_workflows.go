package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Workflow is one run of work.
//
// +kubebuilder:object:root=true
type Workflow struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Spec   WorkflowSpec   `json:"spec"`
	Status WorkflowStatus `json:"status,omitempty"`
}

// WorkflowList is a list of Workflow.
//
// +kubebuilder:object:root=true
type WorkflowList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []Workflow `json:"items"`
}

// WorkflowTemplate is a library of templates of a namespace.
//
// +kubebuilder:object:root=true
type WorkflowTemplate struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Spec WorkflowSpec `json:"spec"`
}

// WorkflowTemplateList is a list of WorkflowTemplate.
//
// +kubebuilder:object:root=true
type WorkflowTemplateList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []WorkflowTemplate `json:"items"`
}

// ClusterWorkflowTemplate is a library of templates of the cluster.
//
// +kubebuilder:object:root=true
type ClusterWorkflowTemplate struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Spec WorkflowSpec `json:"spec"`
}

// ClusterWorkflowTemplateList is a list of ClusterWorkflowTemplate.
//
// +kubebuilder:object:root=true
type ClusterWorkflowTemplateList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []ClusterWorkflowTemplate `json:"items"`
}

// CronWorkflow starts workflows by the clock.
//
// +kubebuilder:object:root=true
type CronWorkflow struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Spec   CronWorkflowSpec   `json:"spec"`
	Status CronWorkflowStatus `json:"status,omitempty"`
}

// CronWorkflowList is a list of CronWorkflow.
//
// +kubebuilder:object:root=true
type CronWorkflowList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []CronWorkflow `json:"items"`
}
