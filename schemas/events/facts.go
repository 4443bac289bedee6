package events

import (
	"fmt"
	"reflect"
	"time"
)

// Body is what one kind of fact says of its object. On the wire it is a [Fact]: a field with the tag `fact:"name"` is
// the attribute of that name, `fact:",phase"` and `fact:",message"` are the phase and the message. Fields are text, int
// or [time.Time] (RFC 3339); what is zero is left out.
type Body interface {
	// Fact is the kind, as noun.verb.
	Fact() string
}

// TriggerFired says that the effect of a trigger is there. It is about the Sensor.
type TriggerFired struct {
	Trigger string `fact:"trigger"`
	Key     string `fact:"key"` // of the effect; also the id of the fact
	Summary string `fact:",message"`
}

// WorkflowStarted says that a run has begun. It is about the Workflow, as all facts of a run.
type WorkflowStarted struct {
	Phase string `fact:",phase"`
}

// WorkflowFinished says how a run ended.
type WorkflowFinished struct {
	Phase   string `fact:",phase"`
	Message string `fact:",message"`
}

// Step is a node of a run that does work.
type Step struct {
	Node       string    `fact:"node"` // its name in the run
	Step       string    `fact:"step"` // as people see it
	Template   string    `fact:"template"`
	StartedAt  time.Time `fact:"startedAt"`
	FinishedAt time.Time `fact:"finishedAt"`
	Phase      string    `fact:",phase"`
	Message    string    `fact:",message"`
}

// StepStarted says that a step has begun.
type StepStarted struct{ Step }

// StepFinished says how a step ended.
type StepFinished struct{ Step }

// ImageCommitted says that a new image stands in Git. It is about the Application that asked for it.
type ImageCommitted struct {
	Commit      string `fact:"commit"`
	Image       string `fact:"image"`
	Tag         string `fact:"tag"`
	Repository  string `fact:"repository"`  // the one that was written to
	Application string `fact:"application"` // namespace/name
	Message     string `fact:",message"`
}

// ApplicationHydrated says that the rendered manifests of an Application stand in Git.
type ApplicationHydrated struct {
	Commit     string `fact:"commit"`
	Dry        string `fact:"dry"`        // the commit that was rendered
	Repository string `fact:"repository"` // the one that was written to
	Branch     string `fact:"branch"`
	Message    string `fact:",message"`
}

// Sync is an Application at a revision.
type Sync struct {
	Revision  string `fact:"revision"`
	Repo      string `fact:"repo"`
	Resources int    `fact:"resources,zero"` // objects that Git has
	Phase     string `fact:",phase"`
	Message   string `fact:",message"`
}

// ApplicationSynced says that an operation succeeded. It is about the Application, as the next two are.
type ApplicationSynced struct{ Sync }

// ApplicationFailed says that an operation did not.
type ApplicationFailed struct{ Sync }

// ApplicationHealthy says that a revision is in the cluster and well.
type ApplicationHealthy struct{ Sync }

// Revision is a Rollout at a revision.
type Revision struct {
	Revision   string `fact:"revision"`
	ReplicaSet string `fact:"replicaset"`
	Image      string `fact:"image"` // of all containers, comma separated
}

// RolloutUpdated says that a Rollout has begun to bring a revision. It is about the Rollout, as the next three are.
type RolloutUpdated struct{ Revision }

// RolloutWeighted says that traffic was shared anew.
type RolloutWeighted struct {
	Revision
	Weight string `fact:"weight"` // percent for the new revision
	Step   string `fact:"step"`   // index of the step
}

// RolloutPromoted says that a revision is the stable one.
type RolloutPromoted struct{ Revision }

// RolloutAborted says that a revision was given up.
type RolloutAborted struct {
	Revision
	Reason string `fact:"reason"`
}

// Analysis is an AnalysisRun, and for which revision of which Rollout.
type Analysis struct {
	Revision   string `fact:"revision"`
	ReplicaSet string `fact:"replicaset"`
	Rollout    string `fact:"rollout"`
	Hash       string `fact:"hash"` // of the pod template
	Type       string `fact:"type"` // of the run, such as Step or Background
	Step       string `fact:"step"` // index of the step
	Phase      string `fact:",phase"`
	Message    string `fact:",message"`
}

// AnalysisStarted says that measuring has begun. It is about the AnalysisRun, as the next two are.
type AnalysisStarted struct{ Analysis }

// AnalysisMeasured says what one measurement of a metric came to; its phase and message are those of the measurement.
type AnalysisMeasured struct {
	Analysis
	Metric   string `fact:"metric"`
	Number   int    `fact:"number"`   // of the measurement, from 1
	Value    string `fact:"value"`    // what was measured
	Verdict  string `fact:"verdict"`  // on the metric so far; Running while there is none
	Evidence string `fact:"evidence"` // why the verdict is not a good one
}

// AnalysisFinished says how it ended.
type AnalysisFinished struct{ Analysis }

// Fact implements [Body].
func (TriggerFired) Fact() string { return FactTriggerFired }

// Fact implements [Body].
func (WorkflowStarted) Fact() string { return FactWorkflowStarted }

// Fact implements [Body].
func (WorkflowFinished) Fact() string { return FactWorkflowFinished }

// Fact implements [Body].
func (StepStarted) Fact() string { return FactStepStarted }

// Fact implements [Body].
func (StepFinished) Fact() string { return FactStepFinished }

// Fact implements [Body].
func (ImageCommitted) Fact() string { return FactImageCommitted }

// Fact implements [Body].
func (ApplicationHydrated) Fact() string { return FactApplicationHydrated }

// Fact implements [Body].
func (ApplicationSynced) Fact() string { return FactApplicationSynced }

// Fact implements [Body].
func (ApplicationFailed) Fact() string { return FactApplicationFailed }

// Fact implements [Body].
func (ApplicationHealthy) Fact() string { return FactApplicationHealthy }

// Fact implements [Body].
func (RolloutUpdated) Fact() string { return FactRolloutUpdated }

// Fact implements [Body].
func (RolloutWeighted) Fact() string { return FactRolloutWeighted }

// Fact implements [Body].
func (RolloutPromoted) Fact() string { return FactRolloutPromoted }

// Fact implements [Body].
func (RolloutAborted) Fact() string { return FactRolloutAborted }

// Fact implements [Body].
func (AnalysisStarted) Fact() string { return FactAnalysisStarted }

// Fact implements [Body].
func (AnalysisMeasured) Fact() string { return FactAnalysisMeasured }

// Fact implements [Body].
func (AnalysisFinished) Fact() string { return FactAnalysisFinished }

// Bodies are all kinds of facts, by the service that tells them.
var Bodies = map[string][]Body{
	ServiceSensor:         {TriggerFired{}},
	ServiceWorkflowRunner: {WorkflowStarted{}, StepStarted{}, StepFinished{}, WorkflowFinished{}},
	ServiceSyncAgent: {
		ImageCommitted{}, ApplicationHydrated{}, ApplicationSynced{}, ApplicationFailed{}, ApplicationHealthy{},
	},
	ServiceRolloutAnalyzer: {
		RolloutUpdated{}, RolloutWeighted{}, AnalysisStarted{}, AnalysisMeasured{}, AnalysisFinished{},
		RolloutPromoted{}, RolloutAborted{},
	},
}

// NewFact writes what body says of an object.
func NewFact(about Object, body Body) Fact {
	f := Fact{Object: about}
	for field, v := range fields(reflect.ValueOf(body)) {
		text := written(field, v)
		switch {
		case text == "":
		case field.role == "phase":
			f.Phase = text
		case field.role == "message":
			f.Message = text
		default:
			if f.Attributes == nil {
				f.Attributes = map[string]string{}
			}
			f.Attributes[field.name] = text
		}
	}
	return f
}

// ReadFact reads what a fact says as B. What the fact does not say is zero; what it says beside, such as what a later
// version knows, is left. The error names an attribute that is not of its type.
func ReadFact[B Body](f Fact) (B, error) {
	var body B
	for field, v := range fields(reflect.ValueOf(&body).Elem()) {
		text := f.Attributes[field.name]
		switch field.role {
		case "phase":
			text = f.Phase
		case "message":
			text = f.Message
		}
		if err := readField(v, text); err != nil {
			return body, fmt.Errorf(
				"fact %s of %s %s/%s: %s: %w", body.Fact(), f.Object.Kind, f.Object.Namespace, f.Object.Name,
				field.name, err,
			)
		}
	}
	return body, nil
}
