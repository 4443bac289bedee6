package core

// HashLabel marks the pods, ReplicaSets and service selectors of one template.
const HashLabel = "rollouts-pod-template-hash"

// Annotations of ReplicaSets, Rollouts and Services.
const (
	AnnotationRevision        = "rollout.argoproj.io/revision"
	AnnotationRevisionHistory = "rollout.argoproj.io/revision-history"
	AnnotationDesired         = "rollout.argoproj.io/desired-replicas"
	AnnotationScaleDown       = "scale-down-deadline"
	AnnotationManagedBy       = "argo-rollouts.argoproj.io/managed-by-rollouts"
	// AnnotationSpent marks an analysis run whose verdict no longer counts, since the steps began anew.
	AnnotationSpent = "argosy.dev/spent"
)

// Labels of analysis runs.
const (
	LabelRunType      = "rollout-type"
	LabelStepIndex    = "step-index"
	RunTypeStep       = "Step"
	RunTypeBackground = "Background"
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
)
