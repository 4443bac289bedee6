package core

import (
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// How a rollout ended, as status.duration.completionStatus says it.
const (
	completedPromoted       = "Promoted"
	completedFastPromoted   = "FastPromoted"
	completedAborted        = "Aborted"
	completedRolledBack     = "RolledBack"
	completedFastRolledBack = "FastRolledBack"
)

// reset notices a new template and edited steps: both begin the steps anew.
func (p *pass) reset() {
	p.sort()
	steps := stepsHash(p.steps)
	before := p.st.CurrentPodHash
	edited := p.st.CurrentStepHash != "" && p.st.CurrentStepHash != steps
	p.st.CurrentPodHash, p.st.CurrentStepHash = p.hash, steps
	switch {
	case before != p.hash:
		p.restart()
		p.st.Abort, p.st.AbortedAt, p.st.PromoteFull = false, nil, false
		p.note(false, ReasonUpdated, "Rollout updated to revision "+itoa(p.nextRevision()))
		p.fact("", func(r events.Revision) events.Body { return events.RolloutUpdated{Revision: r} })
	case edited && !p.promoted():
		p.restart()
		p.retireRuns(true)
	}
	if p.st.StableRS == "" {
		p.st.StableRS = p.hash
	}
	if p.promoted() || p.stableRS == nil || p.index() > len(p.steps) {
		p.setIndex(len(p.steps))
	}
	if p.promoted() {
		p.st.Abort, p.st.AbortedAt, p.st.PromoteFull = false, nil, false
	}
}

// restart begins at the first step.
func (p *pass) restart() {
	p.setIndex(0)
	p.resume()
	p.st.Canary.CurrentStepAnalysisRunStatus = nil
	p.st.Canary.CurrentBackgroundAnalysisRunStatus = nil
	p.st.BlueGreen = v1alpha1.BlueGreenStatus{}
	p.st.Duration = &v1alpha1.RolloutDuration{RolloutStartedAt: p.now()}
}

func (p *pass) nextRevision() int64 {
	if p.newRS != nil && revisionOf(p.newRS) > p.lastRevision() {
		return revisionOf(p.newRS)
	}
	return p.lastRevision() + 1
}

// applyUserActions carries out what a person wrote to the status: abort, retry, promote in full.
func (p *pass) applyUserActions() {
	defer p.hurry()
	switch {
	case p.promoted():
		return
	case p.st.PromoteFull:
		p.st.Abort, p.st.AbortedAt = false, nil
		p.resume()
		p.setIndex(len(p.steps))
		p.retireRuns(false)
	case p.st.Abort && p.st.AbortedAt == nil:
		p.abort(p.decidedBy())
	case p.st.Abort:
		// The abort is written down by now, so the verdicts that led to it are no longer needed.
		p.setIndex(0)
		p.retireRuns(true)
	case p.st.AbortedAt != nil:
		p.retireRuns(true)
		attempt := "retry/" + itoa(p.st.AbortedAt.Unix())
		p.st.AbortedAt = nil
		p.restart()
		p.reason = ReasonRetry
		p.note(false, ReasonRetry, "Rollout retries revision "+p.revision)
		p.fact(attempt, func(r events.Revision) events.Body { return events.RolloutUpdated{Revision: r} })
	}
}

// decidedBy is the event that decided about the wanted template, empty when it was a person.
func (p *pass) decidedBy() string {
	hash, cause, _ := strings.Cut(p.ro.Annotations[AnnotationCause], " ")
	if hash != p.hash {
		return ""
	}
	return cause
}

// hurries reports whether analyses, pauses and steps are left out.
func (p *pass) hurries() bool { return p.st.PromoteFull || p.withinWindow() }

// hurry skips the steps of a canary that goes back to a recent version.
func (p *pass) hurry() {
	if p.blue == nil && !p.promoted() && !p.st.Abort && p.withinWindow() {
		p.resume()
		p.setIndex(len(p.steps))
		p.retireRuns(false)
	}
}

// withinWindow reports whether the wanted template is an earlier one, with fewer versions between it and the stable
// one than spec.rollbackWindow allows.
func (p *pass) withinWindow() bool {
	if p.ro.Spec.RollbackWindow == nil || p.newRS == nil || p.stableRS == nil ||
		!p.newRS.CreationTimestamp.Before(&p.stableRS.CreationTimestamp) {
		return false
	}
	between := int32(0)
	for _, rs := range p.older {
		if p.newRS.CreationTimestamp.Before(&rs.CreationTimestamp) &&
			rs.CreationTimestamp.Before(&p.stableRS.CreationTimestamp) {
			between++
		}
	}
	return between < p.ro.Spec.RollbackWindow.Revisions
}

// abort gives up the wanted template: its traffic goes back in this very pass.
func (p *pass) abort(cause string) {
	p.st.Abort, p.st.AbortedAt = true, p.now()
	p.resume()
	p.setIndex(0)
	p.retireRuns(false)
	message := "Rollout aborted update to revision " + p.revision
	if cause != "" {
		message += ": " + cause
	}
	p.giveUp = message
	p.end(completedAborted)
	p.note(true, ReasonAborted, message)
	p.fact(cause, func(r events.Revision) events.Body { return events.RolloutAborted{Revision: r, Reason: cause} })
}

// end records how long it took.
func (p *pass) end(how string) {
	if p.st.Duration == nil {
		p.st.Duration = &v1alpha1.RolloutDuration{}
	}
	p.st.Duration.FinishedAt, p.st.Duration.CompletionStatus = p.now(), how
}

// promote makes the wanted template the stable one once all steps are done and all its pods are available.
func (p *pass) promote() {
	if p.promoted() || p.aborted() || p.ro.Spec.Paused || p.index() < len(p.steps) || len(p.st.PauseConditions) > 0 {
		return
	}
	if availableReplicas(p.newRS) < p.n || p.routes() && (!p.settled || p.weight() != p.total() && p.n > 0) {
		return
	}
	p.becomeStable("Completed all " + itoa(len(p.steps)) + " canary steps")
}

// becomeStable makes the wanted template the stable one.
func (p *pass) becomeStable(why string) {
	how := completedPromoted
	switch {
	case p.st.PromoteFull:
		how = completedFastPromoted
	case p.withinWindow():
		how = completedFastRolledBack
	}
	p.st.StableRS, p.st.PromoteFull = p.hash, false
	p.swap()
	p.retireRuns(false)
	p.end(how)
	p.note(
		false,
		ReasonCompleted,
		"Rollout completed update to revision "+p.revision+" ("+p.hash+"): "+why,
	)
	p.fact("", func(r events.Revision) events.Body { return events.RolloutPromoted{Revision: r} })
}

// pausedFor reports whether the rollout waits for this reason.
func (p *pass) pausedFor(reason v1alpha1.PauseReason) bool {
	return slices.ContainsFunc(
		p.st.PauseConditions,
		func(c v1alpha1.PauseCondition) bool { return c.Reason == reason },
	)
}

func (p *pass) pause(reason v1alpha1.PauseReason, message string) {
	if p.pausedFor(reason) {
		return
	}
	p.st.PauseConditions = append(p.st.PauseConditions, v1alpha1.PauseCondition{Reason: reason, StartTime: *p.now()})
	p.st.ControllerPause = true
	p.note(false, ReasonPaused, message)
}

// resume forgets every reason to wait.
func (p *pass) resume() { p.st.PauseConditions, p.st.ControllerPause = nil, false }

// now is the time as a status can hold it.
func (p *pass) now() *metav1.Time {
	t := metav1.NewTime(p.w.Now.Truncate(1e9))
	return &t
}
