package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ExperimentSpec is one or more sets of pods that run beside each other for a while, and what is measured of them.
type ExperimentSpec struct {
	Templates []TemplateSpec `json:"templates"`
	// Duration is how long the pods run once all are available; without one they run until the analyses say enough.
	Duration                DurationString                  `json:"duration,omitempty"`
	ProgressDeadlineSeconds *int32                          `json:"progressDeadlineSeconds,omitempty"`
	Terminate               bool                            `json:"terminate,omitempty"`
	Analyses                []ExperimentAnalysisTemplateRef `json:"analyses,omitempty"`
	ScaleDownDelaySeconds   *int32                          `json:"scaleDownDelaySeconds,omitempty"`
	DryRun                  []DryRun                        `json:"dryRun,omitempty"`
	MeasurementRetention    []MeasurementRetention          `json:"measurementRetention,omitempty"`
	AnalysisRunMetadata     *AnalysisRunMetadata            `json:"analysisRunMetadata,omitempty"`
}

// TemplateSpec is one set of pods of an experiment.
type TemplateSpec struct {
	Name            string                 `json:"name"`
	Replicas        *int32                 `json:"replicas,omitempty"`
	MinReadySeconds int32                  `json:"minReadySeconds,omitempty"`
	Selector        *metav1.LabelSelector  `json:"selector"`
	Template        corev1.PodTemplateSpec `json:"template"`
	Service         *TemplateService       `json:"service,omitempty"`
}

// ExperimentAnalysisTemplateRef is one analysis of an experiment.
type ExperimentAnalysisTemplateRef struct {
	Name                  string     `json:"name"`
	TemplateName          string     `json:"templateName"`
	ClusterScope          bool       `json:"clusterScope,omitempty"`
	Args                  []Argument `json:"args,omitempty"`
	RequiredForCompletion bool       `json:"requiredForCompletion,omitempty"`
}

// ExperimentStatus is what was last seen of an experiment.
type ExperimentStatus struct {
	Phase            AnalysisPhase                 `json:"phase,omitempty"`
	Message          string                        `json:"message,omitempty"`
	AvailableAt      *metav1.Time                  `json:"availableAt,omitempty"`
	Conditions       []ExperimentCondition         `json:"conditions,omitempty"`
	TemplateStatuses []TemplateStatus              `json:"templateStatuses,omitempty"`
	AnalysisRuns     []ExperimentAnalysisRunStatus `json:"analysisRuns,omitempty"`
}

// ExperimentCondition is one aspect of the state of an experiment.
type ExperimentCondition struct {
	Type               string                 `json:"type"`
	Status             corev1.ConditionStatus `json:"status"`
	Reason             string                 `json:"reason"`
	Message            string                 `json:"message"`
	LastUpdateTime     *metav1.Time           `json:"lastUpdateTime,omitempty"`
	LastTransitionTime *metav1.Time           `json:"lastTransitionTime,omitempty"`
}

// TemplateStatus is what was last seen of one set of pods.
type TemplateStatus struct {
	Name               string             `json:"name"`
	Status             TemplateStatusCode `json:"status,omitempty"`
	Message            string             `json:"message,omitempty"`
	Replicas           int32              `json:"replicas"`
	UpdatedReplicas    int32              `json:"updatedReplicas"`
	ReadyReplicas      int32              `json:"readyReplicas"`
	AvailableReplicas  int32              `json:"availableReplicas"`
	CollisionCount     *int32             `json:"collisionCount,omitempty"`
	PodTemplateHash    string             `json:"podTemplateHash,omitempty"`
	ServiceName        string             `json:"serviceName,omitempty"`
	LastTransitionTime *metav1.Time       `json:"lastTransitionTime,omitempty"`
}

// ExperimentAnalysisRunStatus mirrors an analysis run.
type ExperimentAnalysisRunStatus struct {
	Name        string        `json:"name"`
	AnalysisRun string        `json:"analysisRun"`
	Phase       AnalysisPhase `json:"phase"`
	Message     string        `json:"message,omitempty"`
}

// TemplateStatusCode is how far a set of pods of an experiment is.
type TemplateStatusCode string

// The states of a set of pods.
const (
	TemplateProgressing TemplateStatusCode = "Progressing"
	TemplateRunning     TemplateStatusCode = "Running"
	TemplateSuccessful  TemplateStatusCode = "Successful"
	TemplateFailed      TemplateStatusCode = "Failed"
	TemplateError       TemplateStatusCode = "Error"
)

// Completed reports whether the state is final.
func (c TemplateStatusCode) Completed() bool {
	return c == TemplateSuccessful || c == TemplateFailed || c == TemplateError
}
