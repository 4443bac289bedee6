package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// EventSource is a set of places events come from.
//
// +kubebuilder:object:root=true
type EventSource struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Spec   EventSourceSpec   `json:"spec"`
	Status EventSourceStatus `json:"status,omitempty"`
}

// EventSourceList is a list of EventSource.
//
// +kubebuilder:object:root=true
type EventSourceList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []EventSource `json:"items"`
}

// Sensor waits for events and fires triggers.
//
// +kubebuilder:object:root=true
type Sensor struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Spec   SensorSpec   `json:"spec"`
	Status SensorStatus `json:"status,omitempty"`
}

// SensorList is a list of Sensor.
//
// +kubebuilder:object:root=true
type SensorList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []Sensor `json:"items"`
}
