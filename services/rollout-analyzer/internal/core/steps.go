package core

import (
	"time"

	"github.com/argosy-mesh/argosy/libs/core/span"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// advance goes to the next step when the current one is complete; one step per pass, so that each is seen.
func (p *pass) advance() {
	step := p.step()
	if step == nil || p.promoted() || p.aborted() || p.ro.Spec.Paused {
		return
	}
	if p.inconclusive() || !p.complete(*step) {
		return
	}
	i := p.index()
	if step.SetWeight != nil && !p.routes() {
		p.weighted(*step.SetWeight)
	}
	p.setIndex(i + 1)
	p.resume()
	p.st.Canary.CurrentStepAnalysisRunStatus = nil
	p.note(
		false,
		ReasonStepCompleted,
		"Rollout step "+itoa(i+1)+"/"+itoa(len(p.steps))+" completed ("+describe(*step)+")",
	)
}

// complete reports whether a step has nothing left to do.
func (p *pass) complete(step v1alpha1.CanaryStep) bool {
	switch {
	case step.Pause != nil:
		return p.pauseOver(*step.Pause)
	case step.Analysis != nil:
		run := p.st.Canary.CurrentStepAnalysisRunStatus
		return run != nil && run.Status == v1alpha1.AnalysisSuccessful
	case step.Experiment != nil:
		return p.experimentOver()
	case step.SetWeight == nil && step.SetCanaryScale == nil:
		// A step that only manages routes is done when the routers say them.
		return p.settled
	default:
		return p.reached()
	}
}

// pauseOver waits: for its time, or for a person to take the condition away.
func (p *pass) pauseOver(pause v1alpha1.RolloutPause) bool {
	if !p.pausedFor(v1alpha1.PauseReasonCanaryStep) {
		if p.st.ControllerPause {
			return true
		}
		p.pause(v1alpha1.PauseReasonCanaryStep, "Rollout is paused ("+string(v1alpha1.PauseReasonCanaryStep)+")")
		p.reason = ReasonPaused
	}
	length, ok := pauseLength(pause.Duration)
	if !ok {
		return false
	}
	for _, c := range p.st.PauseConditions {
		if c.Reason != v1alpha1.PauseReasonCanaryStep {
			continue
		}
		over := c.StartTime.Add(length)
		if !p.w.Now.Before(over) {
			return true
		}
		p.wakeAt(over)
	}
	return false
}

// pauseLength reads a duration: whole numbers are seconds. It is not ok when the pause has no end.
func pauseLength(d *intstr.IntOrString) (time.Duration, bool) {
	if d == nil {
		return 0, false
	}
	length, err := span.Parse(d.String())
	return length, err == nil && length >= 0
}

// describe names a step for people.
func describe(step v1alpha1.CanaryStep) string {
	switch {
	case step.SetWeight != nil:
		return "setWeight: " + itoa(*step.SetWeight)
	case step.Pause != nil && step.Pause.Duration != nil:
		return "pause: " + step.Pause.Duration.String()
	case step.Pause != nil:
		return "pause"
	case step.SetCanaryScale != nil:
		return "setCanaryScale"
	case step.Experiment != nil:
		return "experiment"
	case step.SetHeaderRoute != nil:
		return "setHeaderRoute: " + step.SetHeaderRoute.Name
	case step.SetMirrorRoute != nil:
		return "setMirrorRoute: " + step.SetMirrorRoute.Name
	default:
		return "analysis"
	}
}
