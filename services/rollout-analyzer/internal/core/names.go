package core

import "github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core/traffic"

// HashLabel marks the pods, ReplicaSets and service selectors of one template.
const HashLabel = traffic.HashLabel

// Annotations of ReplicaSets, Rollouts and Services.
const (
	AnnotationRevision        = "rollout.argoproj.io/revision"
	AnnotationRevisionHistory = "rollout.argoproj.io/revision-history"
	AnnotationDesired         = "rollout.argoproj.io/desired-replicas"
	AnnotationScaleDown       = "scale-down-deadline"
	AnnotationManagedBy       = traffic.AnnotationManagedBy
	// AnnotationCause holds the hash of the pods and the event by which a Rollout was decided last.
	AnnotationCause = "argosy.dev/decided-by"
	// AnnotationSpent marks an analysis run whose verdict no longer counts, since the steps began anew.
	AnnotationSpent = "argosy.dev/spent"
	// AnnotationEphemeral holds the metadata that the role of a ReplicaSet put on its pods, as JSON.
	AnnotationEphemeral = "rollout.argoproj.io/ephemeral-metadata"
	// AnnotationPodsBehind holds what live pods of a ReplicaSet may still wear while its template says something
	// else.
	AnnotationPodsBehind = "argosy.dev/pods-behind"
	// AnnotationAborted marks a ReplicaSet whose pods go because of an abort: going back to it is no fast way.
	AnnotationAborted = "argosy.dev/aborted"
)

// Labels of analysis runs.
const (
	LabelRunType         = "rollout-type"
	LabelStepIndex       = "step-index"
	RunTypeStep          = "Step"
	RunTypeBackground    = "Background"
	RunTypePrePromotion  = "PrePromotion"
	RunTypePostPromotion = "PostPromotion"
)

// Defaults of a Rollout.
const (
	defaultRevisionHistory        = 10
	defaultProgressDeadline       = 600
	defaultScaleDownDelay         = 30
	defaultRunHistory             = 5
	maxWeight               int32 = 100
)

// Reasons of the Progressing condition and of Kubernetes events.
const (
	ReasonNoEffect         = "FieldHasNoEffect"
	ReasonInvalidSpec      = "InvalidSpec"
	ReasonNewReplicaSet    = "NewReplicaSetCreated"
	ReasonReplicaSetUpdate = "ReplicaSetUpdated"
	ReasonAvailable        = "NewReplicaSetAvailable"
	ReasonPaused           = "RolloutPaused"
	ReasonResumed          = "RolloutResumed"
	ReasonRetry            = "RolloutRetry"
	ReasonAborted          = "RolloutAborted"
	ReasonDeadline         = "ProgressDeadlineExceeded"
	ReasonUpdated          = "RolloutUpdated"
	ReasonStepCompleted    = "RolloutStepCompleted"
	ReasonCompleted        = "RolloutCompleted"
	ReasonNotCompleted     = "RolloutNotCompleted"
	ReasonScaling          = "ScalingReplicaSet"
	ReasonSwitchService    = "SwitchService"
	ReasonWeight           = "TrafficWeightUpdated"
	ReasonRunStarted       = "AnalysisRunRunning"
	ReasonExperiment       = "ExperimentRunning"
)
