package events

// Extension names of the CloudEvents that carry causality.
const (
	ExtTraceparent   = "traceparent"
	ExtCorrelationID = "correlationid"
	ExtCausationID   = "causationid"
)

// Annotations of every object that a service creates.
const (
	AnnotationTraceparent   = "argosy.dev/traceparent"
	AnnotationCorrelationID = "argosy.dev/correlationid"
	AnnotationCausationID   = "argosy.dev/causationid"
	AnnotationKey           = "argosy.dev/key"
)

// Trailers of commits that a service writes.
const (
	TrailerTraceparent   = "Argosy-Traceparent"
	TrailerCorrelationID = "Argosy-Correlation-Id"
	TrailerCausationID   = "Argosy-Causation-Id"
	TrailerKey           = "Argosy-Key"
)

// Annotations of images.
const (
	ImageTraceparent   = "dev.argosy.traceparent"
	ImageCorrelationID = "dev.argosy.correlationid"
	ImageCausationID   = "dev.argosy.causationid"
)

// Environment variables of the pods of a workflow.
const (
	EnvTraceparent   = "ARGOSY_TRACEPARENT"
	EnvCorrelationID = "ARGOSY_CORRELATIONID"
	EnvCausationID   = "ARGOSY_CAUSATIONID"
)

// Names of the services, as they stand in subjects and sources.
const (
	ServiceWebhookIngest   = "webhook-ingest"
	ServiceSensor          = "sensor"
	ServiceWorkflowRunner  = "workflow-runner"
	ServiceSyncAgent       = "sync-agent"
	ServiceRolloutAnalyzer = "rollout-analyzer"
)

// Types of events and commands.
const (
	TypeImagePushed = "dev.argosy.image.pushed.v1"
	// TypeGitPushed names the contract [GitPushed].
	TypeGitPushed = "dev.argosy.git.pushed.v1"
	// TypeTrafficCounted is the type of [TrafficCounted].
	TypeTrafficCounted = "dev.argosy.traffic.counted.v1"
	TypeSubmitWorkflow = "dev.argosy.workflow.submit.v1"
	// TypeOperateWorkflow is the type of [OperateWorkflow].
	TypeOperateWorkflow = "dev.argosy.workflow.operate.v1"
	// TypeFireTrigger is the type of [FireTrigger].
	TypeFireTrigger = "dev.argosy.trigger.fire.v1"
)

// The facts, as noun.verb; [Fact] types and subjects are built from them.
const (
	FactTriggerFired        = "trigger.fired"
	FactWorkflowStarted     = "workflow.started"
	FactStepStarted         = "step.started"
	FactStepFinished        = "step.finished"
	FactWorkflowFinished    = "workflow.finished"
	FactImageCommitted      = "image.committed"
	FactApplicationHydrated = "application.hydrated"
	FactApplicationSynced   = "application.synced"
	FactApplicationFailed   = "application.failed"
	FactApplicationHealthy  = "application.healthy"
	FactRolloutUpdated      = "rollout.updated"
	FactRolloutWeighted     = "rollout.weighted"
	FactAnalysisStarted     = "analysis.started"
	FactAnalysisMeasured    = "analysis.measured"
	FactAnalysisFinished    = "analysis.finished"
	FactRolloutPromoted     = "rollout.promoted"
	FactRolloutAborted      = "rollout.aborted"
)

// FactType returns the event type of a fact named noun.verb.
func FactType(fact string) string { return "dev.argosy." + fact + ".v1" }

// RunType returns the event type of a journal entry of a workflow run.
func RunType(entry string) string { return "dev.argosy.run." + entry + ".v1" }
