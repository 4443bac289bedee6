package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// WorkflowEventBinding submits a workflow for events that are posted to the workflow API.
//
// +kubebuilder:object:root=true
type WorkflowEventBinding struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Spec WorkflowEventBindingSpec `json:"spec"`
}

// WorkflowEventBindingList is a list of WorkflowEventBinding.
//
// +kubebuilder:object:root=true
type WorkflowEventBindingList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []WorkflowEventBinding `json:"items"`
}

// WorkflowEventBindingSpec says which events count and what they submit.
type WorkflowEventBindingSpec struct {
	Event  WorkflowEvent   `json:"event"`
	Submit *WorkflowSubmit `json:"submit,omitempty"`
}

// WorkflowEvent selects events.
type WorkflowEvent struct {
	// Selector is an expression over payload, metadata (headers in lower case) and discriminator.
	Selector string `json:"selector"`
}

// WorkflowSubmit says what a binding submits.
type WorkflowSubmit struct {
	Arguments           *Arguments          `json:"arguments,omitempty"`
	Metadata            *metav1.ObjectMeta  `json:"metadata,omitempty"`
	WorkflowTemplateRef WorkflowTemplateRef `json:"workflowTemplateRef"`
}
