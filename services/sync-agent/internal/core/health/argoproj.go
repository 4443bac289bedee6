package health

import (
	"strconv"
	"strings"
)

var argoproj = group{
	"Rollout": rollout, "Workflow": workflow, "AnalysisRun": analysisRun, "Experiment": analysisRun,
	"CronWorkflow": cronWorkflow, "ApplicationSet": usual, "EventBus": eventBus, "EventSource": usual, "Sensor": usual,
	"Application": none, "AppProject": none, "WorkflowTemplate": none, "ClusterWorkflowTemplate": none,
	"AnalysisTemplate": none, "ClusterAnalysisTemplate": none, "WorkflowEventBinding": none, "WorkflowTaskSet": none,
	"WorkflowArtifactGCTask": none, "WorkflowTaskResult": none,
}

// none holds for kinds that have no health. That of an Application is not the health of the one that made it, unless a
// customization says so.
func none(view) Health { return Health{} }

func rollout(v view) Health {
	if v.empty() || !rolloutSeen(v) {
		return progressing("Waiting for the new generation to be observed")
	}
	message := v.text("status", "message")
	switch phase := v.text("status", "phase"); phase {
	case Healthy, Degraded, Progressing:
		return Health{phase, message}
	case "Paused":
		return suspended(message)
	}
	return olderRollout(v)
}

// rolloutSeen reports whether status is of the present spec. A text that is no number is a hash, as versions before
// 1.0 wrote it, and so is a number that no generation has reached.
func rolloutSeen(v view) bool {
	text := v.text("status", "observedGeneration")
	if n, ok := v.number("status", "observedGeneration"); ok {
		text = strconv.FormatInt(n, 10)
	}
	if text == "" {
		return false
	}
	seen, err := strconv.ParseInt(text, 10, 64)
	if err == nil && seen < v.generation() {
		return false
	}
	want, have := v.annotation("rollout.argoproj.io/workload-generation"), v.text("status", "workloadObservedGeneration")
	return !v.has("spec", "workloadRef") || want == "" || have == "" || want == have
}

// olderRollout judges the status of versions before 1.0, which have no phase.
func olderRollout(v view) Health {
	if c := v.condition("InvalidSpec"); c.is("True") {
		return degraded(c.message)
	}
	progress := v.condition("Progressing")
	switch progress.reason {
	case "RolloutAborted", "ProgressDeadlineExceeded":
		return degraded(progress.message)
	case "RolloutPaused":
		return suspended(progress.message)
	}
	if v.flag("spec", "paused") || v.flag("status", "controllerPause") {
		return suspended("The rollout is paused")
	}
	updated, replicas := v.count("status", "updatedReplicas"), v.count("status", "replicas")
	switch {
	case updated < v.replicas():
		return progressing("Not all replicas are updated")
	case v.count("status", "availableReplicas") < updated:
		return progressing("Not all updated replicas are available")
	case v.has("spec", "strategy", "canary") && replicas > updated:
		return progressing("Old replicas are pending termination")
	}
	return healthy("")
}

func workflow(v view) Health {
	message := v.text("status", "message")
	switch v.text("status", "phase") {
	case "Succeeded":
		return healthy(message)
	case "Failed", "Error":
		return degraded(message)
	}
	return progressing(message)
}

func analysisRun(v view) Health {
	message := v.text("status", "message")
	switch phase := v.text("status", "phase"); phase {
	case "Successful":
		return healthy(message)
	case "Failed", "Error":
		return degraded(message)
	case "Inconclusive":
		return unknown(message)
	default:
		return progressing(strings.TrimSpace(phase + " " + message))
	}
}

func cronWorkflow(v view) Health {
	for _, kind := range []string{"SpecError", "SubmissionError"} {
		if c := v.condition(kind); c.is("True") {
			return degraded(c.because())
		}
	}
	return healthy(v.condition("Completed").message)
}

// eventBus has no status where the bus is not one that a controller makes.
func eventBus(v view) Health { return general(v) }
