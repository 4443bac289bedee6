package v1alpha1

import (
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// RolloutSpec is the desired state of a rollout: the pods and how to replace them.
type RolloutSpec struct {
	Replicas                *int32                 `json:"replicas,omitempty"`
	Selector                *metav1.LabelSelector  `json:"selector,omitempty"`
	Template                corev1.PodTemplateSpec `json:"template,omitempty"`
	WorkloadRef             *ObjectRef             `json:"workloadRef,omitempty"`
	Strategy                RolloutStrategy        `json:"strategy"`
	MinReadySeconds         int32                  `json:"minReadySeconds,omitempty"`
	RevisionHistoryLimit    *int32                 `json:"revisionHistoryLimit,omitempty"`
	Paused                  bool                   `json:"paused,omitempty"`
	ProgressDeadlineSeconds *int32                 `json:"progressDeadlineSeconds,omitempty"`
	ProgressDeadlineAbort   bool                   `json:"progressDeadlineAbort,omitempty"`
	RestartAt               *metav1.Time           `json:"restartAt,omitempty"`
	RollbackWindow          *RollbackWindowSpec    `json:"rollbackWindow,omitempty"`
	Analysis                *AnalysisRunStrategy   `json:"analysis,omitempty"`
}

// ObjectRef names the workload whose template a rollout uses.
type ObjectRef struct {
	ApiVersion string `json:"apiVersion,omitempty"`
	Kind       string `json:"kind,omitempty"`
	Name       string `json:"name,omitempty"`
	ScaleDown  string `json:"scaleDown,omitempty"`
}

// RolloutStrategy is exactly one of canary and blueGreen.
type RolloutStrategy struct {
	BlueGreen *BlueGreenStrategy `json:"blueGreen,omitempty"`
	Canary    *CanaryStrategy    `json:"canary,omitempty"`
}

// RollbackWindowSpec is how many revisions back a rollback is immediate.
type RollbackWindowSpec struct {
	Revisions int32 `json:"revisions,omitempty"`
}

// AnalysisRunStrategy bounds how many finished analysis runs are kept.
type AnalysisRunStrategy struct {
	SuccessfulRunHistoryLimit   *int32 `json:"successfulRunHistoryLimit,omitempty"`
	UnsuccessfulRunHistoryLimit *int32 `json:"unsuccessfulRunHistoryLimit,omitempty"`
}

// BlueGreenStrategy replaces all pods behind a service at once.
type BlueGreenStrategy struct {
	ActiveService               string               `json:"activeService"`
	PreviewService              string               `json:"previewService,omitempty"`
	PreviewReplicaCount         *int32               `json:"previewReplicaCount,omitempty"`
	AutoPromotionEnabled        *bool                `json:"autoPromotionEnabled,omitempty"`
	AutoPromotionSeconds        int32                `json:"autoPromotionSeconds,omitempty"`
	ScaleDownDelaySeconds       *int32               `json:"scaleDownDelaySeconds,omitempty"`
	ScaleDownDelayRevisionLimit *int32               `json:"scaleDownDelayRevisionLimit,omitempty"`
	MaxUnavailable              *intstr.IntOrString  `json:"maxUnavailable,omitempty"`
	PrePromotionAnalysis        *RolloutAnalysis     `json:"prePromotionAnalysis,omitempty"`
	PostPromotionAnalysis       *RolloutAnalysis     `json:"postPromotionAnalysis,omitempty"`
	AntiAffinity                *AntiAffinity        `json:"antiAffinity,omitempty"`
	PreviewMetadata             *PodTemplateMetadata `json:"previewMetadata,omitempty"`
	ActiveMetadata              *PodTemplateMetadata `json:"activeMetadata,omitempty"`
	AbortScaleDownDelaySeconds  *int32               `json:"abortScaleDownDelaySeconds,omitempty"`
}

// CanaryStrategy replaces pods and shifts traffic step by step.
type CanaryStrategy struct {
	Steps                       []CanaryStep               `json:"steps,omitempty"`
	CanaryService               string                     `json:"canaryService,omitempty"`
	StableService               string                     `json:"stableService,omitempty"`
	TrafficRouting              *RolloutTrafficRouting     `json:"trafficRouting,omitempty"`
	Analysis                    *RolloutAnalysisBackground `json:"analysis,omitempty"`
	MaxSurge                    *intstr.IntOrString        `json:"maxSurge,omitempty"`
	MaxUnavailable              *intstr.IntOrString        `json:"maxUnavailable,omitempty"`
	AntiAffinity                *AntiAffinity              `json:"antiAffinity,omitempty"`
	CanaryMetadata              *PodTemplateMetadata       `json:"canaryMetadata,omitempty"`
	StableMetadata              *PodTemplateMetadata       `json:"stableMetadata,omitempty"`
	ScaleDownDelaySeconds       *int32                     `json:"scaleDownDelaySeconds,omitempty"`
	ScaleDownDelayRevisionLimit *int32                     `json:"scaleDownDelayRevisionLimit,omitempty"`
	AbortScaleDownDelaySeconds  *int32                     `json:"abortScaleDownDelaySeconds,omitempty"`
	DynamicStableScale          bool                       `json:"dynamicStableScale,omitempty"`
	PingPong                    *PingPongSpec              `json:"pingPong,omitempty"`
	MinPodsPerReplicaSet        *int32                     `json:"minPodsPerReplicaSet,omitempty"`
	ReplicaProgressThreshold    *ReplicaProgressThreshold  `json:"replicaProgressThreshold,omitempty"`
}

// PingPongSpec names two services that swap roles at each promotion.
type PingPongSpec struct {
	PingService string `json:"pingService"`
	PongService string `json:"pongService"`
}

// ReplicaProgressThreshold is how many replicas complete a step.
type ReplicaProgressThreshold struct {
	Type  string `json:"type"`
	Value int32  `json:"value"`
}

// AntiAffinity keeps new and old pods apart.
type AntiAffinity struct {
	PreferredDuringSchedulingIgnoredDuringExecution *PreferredDuringSchedulingIgnoredDuringExecution `json:"preferredDuringSchedulingIgnoredDuringExecution,omitempty"`
	RequiredDuringSchedulingIgnoredDuringExecution  *RequiredDuringSchedulingIgnoredDuringExecution  `json:"requiredDuringSchedulingIgnoredDuringExecution,omitempty"`
}

// PreferredDuringSchedulingIgnoredDuringExecution weighs anti-affinity.
type PreferredDuringSchedulingIgnoredDuringExecution struct {
	Weight int32 `json:"weight"`
}

// RequiredDuringSchedulingIgnoredDuringExecution demands anti-affinity.
type RequiredDuringSchedulingIgnoredDuringExecution struct {
}

// PodTemplateMetadata is put on pods while they have a role.
type PodTemplateMetadata struct {
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// CanaryStep is one step of a canary; exactly one field is set.
type CanaryStep struct {
	SetWeight      *int32                 `json:"setWeight,omitempty"`
	Pause          *RolloutPause          `json:"pause,omitempty"`
	Experiment     *RolloutExperimentStep `json:"experiment,omitempty"`
	Analysis       *RolloutAnalysis       `json:"analysis,omitempty"`
	SetCanaryScale *SetCanaryScale        `json:"setCanaryScale,omitempty"`
	SetHeaderRoute *SetHeaderRoute        `json:"setHeaderRoute,omitempty"`
	SetMirrorRoute *SetMirrorRoute        `json:"setMirrorRoute,omitempty"`
	Plugin         *PluginStep            `json:"plugin,omitempty"`
}

// RolloutPause waits for a person, or for a time.
type RolloutPause struct {
	Duration *intstr.IntOrString `json:"duration,omitempty"`
}

// SetCanaryScale sets the size of the canary apart from its traffic.
type SetCanaryScale struct {
	Weight             *int32 `json:"weight,omitempty"`
	Replicas           *int32 `json:"replicas,omitempty"`
	MatchTrafficWeight bool   `json:"matchTrafficWeight,omitempty"`
}

// SetHeaderRoute routes requests with some headers to the canary.
type SetHeaderRoute struct {
	Name  string               `json:"name,omitempty"`
	Match []HeaderRoutingMatch `json:"match,omitempty"`
}

// HeaderRoutingMatch matches one header.
type HeaderRoutingMatch struct {
	HeaderName  string       `json:"headerName"`
	HeaderValue *StringMatch `json:"headerValue,omitempty"`
}

// SetMirrorRoute copies some requests to the canary.
type SetMirrorRoute struct {
	Name       string       `json:"name"`
	Match      []RouteMatch `json:"match,omitempty"`
	Percentage *int32       `json:"percentage,omitempty"`
}

// RouteMatch matches requests by method, path and headers.
type RouteMatch struct {
	Method  *StringMatch           `json:"method,omitempty"`
	Path    *StringMatch           `json:"path,omitempty"`
	Headers map[string]StringMatch `json:"headers,omitempty"`
}

// StringMatch matches a string in one of three ways.
type StringMatch struct {
	Exact  string `json:"exact,omitempty"`
	Prefix string `json:"prefix,omitempty"`
	Regex  string `json:"regex,omitempty"`
}

// PluginStep runs a step plugin.
type PluginStep struct {
	Name   string          `json:"name"`
	Config json.RawMessage `json:"config,omitempty"`
}

// RolloutAnalysis says which analysis to run and with what.
type RolloutAnalysis struct {
	Templates            []AnalysisTemplateRef  `json:"templates,omitempty"`
	Args                 []AnalysisRunArgument  `json:"args,omitempty"`
	DryRun               []DryRun               `json:"dryRun,omitempty"`
	MeasurementRetention []MeasurementRetention `json:"measurementRetention,omitempty"`
	AnalysisRunMetadata  *AnalysisRunMetadata   `json:"analysisRunMetadata,omitempty"`
}

// RolloutAnalysisBackground is an analysis that runs beside the steps.
type RolloutAnalysisBackground struct {
	StartingStep         *int32                 `json:"startingStep,omitempty"`
	Templates            []AnalysisTemplateRef  `json:"templates,omitempty"`
	Args                 []AnalysisRunArgument  `json:"args,omitempty"`
	DryRun               []DryRun               `json:"dryRun,omitempty"`
	MeasurementRetention []MeasurementRetention `json:"measurementRetention,omitempty"`
	AnalysisRunMetadata  *AnalysisRunMetadata   `json:"analysisRunMetadata,omitempty"`
}

// AnalysisTemplateRef names a template of metrics.
type AnalysisTemplateRef struct {
	TemplateName string `json:"templateName,omitempty"`
	ClusterScope bool   `json:"clusterScope,omitempty"`
}

// AnalysisRunArgument is one argument a rollout passes to an analysis.
type AnalysisRunArgument struct {
	Name      string             `json:"name"`
	Value     *AnyString         `json:"value,omitempty"`
	ValueFrom *ArgumentValueFrom `json:"valueFrom,omitempty"`
}

// ArgumentValueFrom is where the value of an argument comes from.
type ArgumentValueFrom struct {
	PodTemplateHashValue *string   `json:"podTemplateHashValue,omitempty"`
	FieldRef             *FieldRef `json:"fieldRef,omitempty"`
}

// AnalysisRunMetadata is put on the analysis runs of a rollout.
type AnalysisRunMetadata struct {
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// RolloutExperimentStep runs an experiment.
type RolloutExperimentStep struct {
	Templates             []RolloutExperimentTemplate                `json:"templates"`
	Duration              string                                     `json:"duration,omitempty"`
	Analyses              []RolloutExperimentStepAnalysisTemplateRef `json:"analyses,omitempty"`
	DryRun                []DryRun                                   `json:"dryRun,omitempty"`
	AnalysisRunMetadata   *AnalysisRunMetadata                       `json:"analysisRunMetadata,omitempty"`
	ScaleDownDelaySeconds *int32                                     `json:"scaleDownDelaySeconds,omitempty"`
}

// RolloutExperimentTemplate is one set of pods of an experiment.
type RolloutExperimentTemplate struct {
	Name     string                `json:"name"`
	SpecRef  string                `json:"specRef"`
	Replicas *int32                `json:"replicas,omitempty"`
	Metadata PodTemplateMetadata   `json:"metadata,omitempty"`
	Selector *metav1.LabelSelector `json:"selector,omitempty"`
	Weight   *int32                `json:"weight,omitempty"`
	Service  *TemplateService      `json:"service,omitempty"`
}

// TemplateService is the service of one set of pods.
type TemplateService struct {
	Name string `json:"name,omitempty"`
}

// RolloutExperimentStepAnalysisTemplateRef is one analysis of an experiment.
type RolloutExperimentStepAnalysisTemplateRef struct {
	Name                  string                `json:"name"`
	TemplateName          string                `json:"templateName"`
	ClusterScope          bool                  `json:"clusterScope,omitempty"`
	Args                  []AnalysisRunArgument `json:"args,omitempty"`
	RequiredForCompletion bool                  `json:"requiredForCompletion,omitempty"`
}
