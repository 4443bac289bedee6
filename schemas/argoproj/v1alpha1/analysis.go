package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// AnalysisTemplateSpec is a set of metrics with arguments left open.
type AnalysisTemplateSpec struct {
	Metrics              []Metric               `json:"metrics,omitempty"`
	Args                 []Argument             `json:"args,omitempty"`
	DryRun               []DryRun               `json:"dryRun,omitempty"`
	MeasurementRetention []MeasurementRetention `json:"measurementRetention,omitempty"`
	Templates            []AnalysisTemplateRef  `json:"templates,omitempty"`
}

// AnalysisRunSpec is a set of metrics to measure, all arguments given.
type AnalysisRunSpec struct {
	Metrics              []Metric               `json:"metrics"`
	Args                 []Argument             `json:"args,omitempty"`
	Terminate            bool                   `json:"terminate,omitempty"`
	DryRun               []DryRun               `json:"dryRun,omitempty"`
	MeasurementRetention []MeasurementRetention `json:"measurementRetention,omitempty"`
	TTLStrategy          *AnalysisTTLStrategy   `json:"ttlStrategy,omitempty"`
}

// AnalysisTTLStrategy says how long a finished analysis run is kept.
type AnalysisTTLStrategy struct {
	SecondsAfterCompletion *int32 `json:"secondsAfterCompletion,omitempty"`
	SecondsAfterFailure    *int32 `json:"secondsAfterFailure,omitempty"`
	SecondsAfterSuccess    *int32 `json:"secondsAfterSuccess,omitempty"`
}

// Argument is one argument of a template.
type Argument struct {
	Name      string             `json:"name"`
	Value     *AnyString         `json:"value,omitempty"`
	ValueFrom *ValueFromArgument `json:"valueFrom,omitempty"`
}

// ValueFromArgument is where the value of a template's argument comes from.
type ValueFromArgument struct {
	SecretKeyRef *AnalysisSecretKeyRef `json:"secretKeyRef,omitempty"`
	FieldRef     *FieldRef             `json:"fieldRef,omitempty"`
}

// AnalysisSecretKeyRef names a key of a secret beside the run.
type AnalysisSecretKeyRef struct {
	Name string `json:"name"`
	Key  string `json:"key"`
}

// FieldRef names a field of the rollout.
type FieldRef struct {
	FieldPath string `json:"fieldPath"`
}

// DryRun names metrics whose outcome does not count.
type DryRun struct {
	MetricName string `json:"metricName"`
}

// MeasurementRetention says how many measurements of a metric are kept.
type MeasurementRetention struct {
	MetricName string `json:"metricName"`
	Limit      int32  `json:"limit"`
}

// Metric is one thing to measure and how to judge it.
type Metric struct {
	Name                    string              `json:"name"`
	Interval                DurationString      `json:"interval,omitempty"`
	InitialDelay            DurationString      `json:"initialDelay,omitempty"`
	Count                   *intstr.IntOrString `json:"count,omitempty"`
	SuccessCondition        string              `json:"successCondition,omitempty"`
	FailureCondition        string              `json:"failureCondition,omitempty"`
	FailureLimit            *intstr.IntOrString `json:"failureLimit,omitempty"`
	InconclusiveLimit       *intstr.IntOrString `json:"inconclusiveLimit,omitempty"`
	ConsecutiveErrorLimit   *intstr.IntOrString `json:"consecutiveErrorLimit,omitempty"`
	ConsecutiveSuccessLimit *intstr.IntOrString `json:"consecutiveSuccessLimit,omitempty"`
	Provider                MetricProvider      `json:"provider"`
}

// AnalysisRunStatus is what was measured and concluded.
type AnalysisRunStatus struct {
	Phase         AnalysisPhase  `json:"phase,omitempty"`
	Message       string         `json:"message,omitempty"`
	MetricResults []MetricResult `json:"metricResults,omitempty"`
	StartedAt     *metav1.Time   `json:"startedAt,omitempty"`
	CompletedAt   *metav1.Time   `json:"completedAt,omitempty"`
	RunSummary    RunSummary     `json:"runSummary,omitempty"`
	DryRunSummary *RunSummary    `json:"dryRunSummary,omitempty"`
}

// RunSummary counts metrics by outcome.
type RunSummary struct {
	Count        int32 `json:"count,omitempty"`
	Successful   int32 `json:"successful,omitempty"`
	Failed       int32 `json:"failed,omitempty"`
	Inconclusive int32 `json:"inconclusive,omitempty"`
	Error        int32 `json:"error,omitempty"`
}

// MetricResult is what was measured and concluded of one metric.
type MetricResult struct {
	Name               string            `json:"name"`
	Phase              AnalysisPhase     `json:"phase"`
	Message            string            `json:"message,omitempty"`
	Measurements       []Measurement     `json:"measurements,omitempty"`
	Count              int32             `json:"count,omitempty"`
	Successful         int32             `json:"successful,omitempty"`
	Failed             int32             `json:"failed,omitempty"`
	Inconclusive       int32             `json:"inconclusive,omitempty"`
	Error              int32             `json:"error,omitempty"`
	ConsecutiveError   int32             `json:"consecutiveError,omitempty"`
	ConsecutiveSuccess int32             `json:"consecutiveSuccess,omitempty"`
	DryRun             bool              `json:"dryRun,omitempty"`
	Metadata           map[string]string `json:"metadata,omitempty"`
}

// Measurement is one measurement.
type Measurement struct {
	Phase      AnalysisPhase     `json:"phase"`
	Message    string            `json:"message,omitempty"`
	StartedAt  *metav1.Time      `json:"startedAt,omitempty"`
	FinishedAt *metav1.Time      `json:"finishedAt,omitempty"`
	Value      string            `json:"value,omitempty"`
	Metadata   map[string]string `json:"metadata,omitempty"`
	ResumeAt   *metav1.Time      `json:"resumeAt,omitempty"`
}
