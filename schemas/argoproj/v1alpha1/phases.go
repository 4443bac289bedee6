package v1alpha1

// WorkflowPhase is how far a workflow is.
type WorkflowPhase string

// The phases of a workflow; the zero value means that nobody looked at it yet.
const (
	WorkflowPending   WorkflowPhase = "Pending"
	WorkflowRunning   WorkflowPhase = "Running"
	WorkflowSucceeded WorkflowPhase = "Succeeded"
	WorkflowFailed    WorkflowPhase = "Failed"
	WorkflowError     WorkflowPhase = "Error"
)

// Completed reports whether the phase is final.
func (p WorkflowPhase) Completed() bool {
	return p == WorkflowSucceeded || p == WorkflowFailed || p == WorkflowError
}

// NodePhase is how far a node of a workflow is.
type NodePhase string

// The phases of a node.
const (
	NodePending   NodePhase = "Pending"
	NodeRunning   NodePhase = "Running"
	NodeSucceeded NodePhase = "Succeeded"
	NodeSkipped   NodePhase = "Skipped"
	NodeFailed    NodePhase = "Failed"
	NodeError     NodePhase = "Error"
	NodeOmitted   NodePhase = "Omitted"
)

// Fulfilled reports whether the phase is final.
func (p NodePhase) Fulfilled() bool { return p != "" && p != NodePending && p != NodeRunning }

// Completed reports whether the node did its work, well or not: skipped and omitted ones did none.
func (p NodePhase) Completed() bool { return p == NodeSucceeded || p == NodeFailed || p == NodeError }

// The values of spec.shutdown: Stop runs the exit handler, Terminate does not.
const (
	ShutdownStop      = "Stop"
	ShutdownTerminate = "Terminate"
)

// NodeType is what a node stands for.
type NodeType string

// The types of a node.
const (
	NodeTypePod       NodeType = "Pod"
	NodeTypeContainer NodeType = "Container"
	NodeTypeSteps     NodeType = "Steps"
	NodeTypeStepGroup NodeType = "StepGroup"
	NodeTypeDAG       NodeType = "DAG"
	NodeTypeTaskGroup NodeType = "TaskGroup"
	NodeTypeRetry     NodeType = "Retry"
	NodeTypeSkipped   NodeType = "Skipped"
	NodeTypeSuspend   NodeType = "Suspend"
	NodeTypeHTTP      NodeType = "HTTP"
	NodeTypePlugin    NodeType = "Plugin"
)

// RetryPolicy says which outcomes are tried again.
type RetryPolicy string

// The retry policies.
const (
	RetryAlways           RetryPolicy = "Always"
	RetryOnFailure        RetryPolicy = "OnFailure"
	RetryOnError          RetryPolicy = "OnError"
	RetryOnTransientError RetryPolicy = "OnTransientError"
)

// OperationPhase is how far a synchronisation is.
type OperationPhase string

// The phases of an operation.
const (
	OperationRunning     OperationPhase = "Running"
	OperationTerminating OperationPhase = "Terminating"
	OperationFailed      OperationPhase = "Failed"
	OperationError       OperationPhase = "Error"
	OperationSucceeded   OperationPhase = "Succeeded"
)

// Completed reports whether the phase is final.
func (p OperationPhase) Completed() bool {
	return p == OperationFailed || p == OperationError || p == OperationSucceeded
}

// RolloutPhase is the state of a rollout in one word.
type RolloutPhase string

// The phases of a rollout.
const (
	RolloutHealthy     RolloutPhase = "Healthy"
	RolloutDegraded    RolloutPhase = "Degraded"
	RolloutProgressing RolloutPhase = "Progressing"
	RolloutPaused      RolloutPhase = "Paused"
)

// PauseReason says why a rollout waits.
type PauseReason string

// The reasons to wait.
const (
	PauseReasonCanaryStep             PauseReason = "CanaryPauseStep"
	PauseReasonBlueGreen              PauseReason = "BlueGreenPause"
	PauseReasonInconclusiveAnalysis   PauseReason = "InconclusiveAnalysisRun"
	PauseReasonInconclusiveExperiment PauseReason = "InconclusiveExperiment"
)

// The values of status.canary.stablePingPong: which of the two services is the stable one. Empty is ping.
const (
	PingPongPing = "ping"
	PingPongPong = "pong"
)

// RolloutConditionType names one aspect of the state of a rollout.
type RolloutConditionType string

// The conditions of a rollout.
const (
	RolloutInvalidSpec     RolloutConditionType = "InvalidSpec"
	RolloutAvailable       RolloutConditionType = "Available"
	RolloutProgressingCond RolloutConditionType = "Progressing"
	RolloutPausedCond      RolloutConditionType = "Paused"
	RolloutCompleted       RolloutConditionType = "Completed"
	RolloutHealthyCond     RolloutConditionType = "Healthy"
	RolloutReplicaFailure  RolloutConditionType = "ReplicaFailure"
)

// AnalysisPhase is how far an analysis, a metric or a measurement is.
type AnalysisPhase string

// The phases of an analysis.
const (
	AnalysisPending      AnalysisPhase = "Pending"
	AnalysisRunning      AnalysisPhase = "Running"
	AnalysisSuccessful   AnalysisPhase = "Successful"
	AnalysisFailed       AnalysisPhase = "Failed"
	AnalysisError        AnalysisPhase = "Error"
	AnalysisInconclusive AnalysisPhase = "Inconclusive"
)

// Completed reports whether the phase is final.
func (p AnalysisPhase) Completed() bool {
	switch p {
	case AnalysisSuccessful, AnalysisFailed, AnalysisError, AnalysisInconclusive:
		return true
	default:
		return false
	}
}
