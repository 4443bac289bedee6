package core

import (
	"slices"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core/analysis"
)

// refuse marks a Rollout that cannot be served; nothing else is touched.
func (p *pass) refuse(problems []Problem) {
	slices.SortFunc(problems, func(a, b Problem) int { return compareText(a.Field+a.Reason, b.Field+b.Reason) })
	message := `The Rollout "` + p.ro.Name + `" is invalid: ` + summary(problems)
	if c := p.condition(v1alpha1.RolloutInvalidSpec); c == nil || c.Message != message {
		p.note(true, ReasonInvalidSpec, message)
	}
	p.setCondition(v1alpha1.RolloutInvalidSpec, true, ReasonInvalidSpec, message)
	// Who waits for it must not be told what was true of an earlier version.
	p.setCondition(v1alpha1.RolloutHealthyCond, false, "RolloutHealthy", "Rollout is not healthy")
	p.observe()
	p.st.Phase, p.st.Message = v1alpha1.RolloutDegraded, ReasonInvalidSpec+": "+message
	p.wakeAt(p.w.Now.Add(recheck))
}

func compareText(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	default:
		return 0
	}
}

// observe notes that this version of the spec was looked at, and once for each says what of it has no effect.
func (p *pass) observe() {
	generation := itoa(p.ro.Generation)
	if p.st.ObservedGeneration != generation {
		for _, w := range slices.Concat(p.w.Warnings, bounded(p.w)) {
			p.note(true, ReasonNoEffect, w)
		}
	}
	p.st.ObservedGeneration = generation
}

// bounded says which metrics of analyses that steps wait for got an end that their templates do not give them.
func bounded(w World) (out []string) {
	var waited []v1alpha1.RolloutAnalysis
	if c := w.Rollout.Spec.Strategy.Canary; c != nil {
		for _, s := range c.Steps {
			if s.Analysis != nil {
				waited = append(waited, *s.Analysis)
			}
		}
	}
	if b := w.Rollout.Spec.Strategy.BlueGreen; b != nil {
		for _, a := range []*v1alpha1.RolloutAnalysis{b.PrePromotionAnalysis, b.PostPromotionAnalysis} {
			if a != nil {
				waited = append(waited, *a)
			}
		}
	}
	resolve := func(from v1alpha1.ArgumentValueFrom) (string, error) {
		return analysis.FromRollout(w.Rollout, from, "latest", "stable")
	}
	for _, a := range waited {
		warnings, err := analysis.CheckRollout(a, w.Templates, resolve, true)
		if err != nil {
			continue // Validation says so.
		}
		for _, warning := range warnings {
			if !slices.Contains(out, warning) {
				out = append(out, warning)
			}
		}
	}
	return out
}

// summarise writes what was seen and what this pass made of it.
func (p *pass) summarise() {
	before := p.ro.Status
	p.count()
	p.observe()
	p.dropCondition(v1alpha1.RolloutInvalidSpec)
	moved := p.st.UpdatedReplicas != before.UpdatedReplicas || p.st.AvailableReplicas != before.AvailableReplicas ||
		p.st.Replicas != before.Replicas || p.st.ReadyReplicas != before.ReadyReplicas ||
		deref(p.st.CurrentStepIndex) != deref(
			before.CurrentStepIndex,
		) || p.st.CurrentPodHash != before.CurrentPodHash || p.st.StableRS != before.StableRS
	phase, message := p.phase()
	p.clock()
	p.conditions(phase, moved)
	if c := p.condition(v1alpha1.RolloutProgressingCond); c != nil &&
		(c.Reason == ReasonAborted || c.Reason == ReasonDeadline) {
		phase, message = v1alpha1.RolloutDegraded, c.Reason+": "+c.Message
	}
	p.st.Phase, p.st.Message = phase, message
	healthy := corev1.ConditionFalse
	if phase == v1alpha1.RolloutHealthy {
		healthy = corev1.ConditionTrue
		p.conclude()
	}
	p.setCondition(
		v1alpha1.RolloutHealthyCond, healthy == corev1.ConditionTrue, "RolloutHealthy",
		pick(healthy == corev1.ConditionTrue, "Rollout is healthy", "Rollout is not healthy"),
	)
}

// clock adds up how long a person was waited for: in pauses without an end, and while spec.paused.
func (p *pass) clock() {
	d := p.st.Duration
	if d == nil || d.FinishedAt != nil {
		return
	}
	manual := p.ro.Spec.Paused || p.inconclusive()
	if s := p.step(); s != nil && s.Pause != nil && p.pausedFor(v1alpha1.PauseReasonCanaryStep) {
		_, ends := pauseLength(s.Pause.Duration)
		manual = manual || !ends
	}
	if p.blue != nil && p.pausedFor(v1alpha1.PauseReasonBlueGreen) && p.blue.AutoPromotionSeconds <= 0 {
		manual = true
	}
	switch {
	case manual && d.ManualPauseStartedAt == nil:
		d.ManualPauseStartedAt = p.now()
	case !manual && d.ManualPauseStartedAt != nil:
		d.TotalManualPauseDurationSeconds += int64(p.w.Now.Sub(d.ManualPauseStartedAt.Time).Seconds())
		d.ManualPauseStartedAt = nil
	}
}

// conclude ends what no promotion ended: the first deployment, and a way back to the stable template.
func (p *pass) conclude() {
	if p.st.Duration == nil || p.st.Duration.FinishedAt != nil {
		return
	}
	how, why := completedPromoted, "Initial deploy"
	if p.revision != "1" {
		how, why = completedRolledBack, "Rollback to the stable version"
	}
	p.end(how)
	p.note(false, ReasonCompleted, "Rollout completed update to revision "+p.revision+" ("+p.hash+"): "+why)
	p.fact("", func(r events.Revision) events.Body { return events.RolloutPromoted{Revision: r} })
}

func (p *pass) count() {
	st := &p.st
	st.Replicas, st.ReadyReplicas, st.AvailableReplicas, st.UpdatedReplicas = 0, 0, 0, 0
	for _, rs := range p.w.ReplicaSets {
		st.Replicas += rs.Status.Replicas
		st.ReadyReplicas += rs.Status.ReadyReplicas
		st.AvailableReplicas += rs.Status.AvailableReplicas
	}
	if p.newRS != nil {
		st.UpdatedReplicas = p.newRS.Status.Replicas
	}
	st.HPAReplicas = st.Replicas
	if p.routes() && !p.canary.DynamicStableScale {
		// A scaler must not take the canary for load on the stable pods. Where these shrink as it grows, both
		// together are what carries the load.
		st.HPAReplicas = 0
		if stable := findByHash(p.w.ReplicaSets, st.StableRS); stable != nil {
			st.HPAReplicas = stable.Status.Replicas
		}
	}
	st.Selector = metav1.FormatLabelSelector(p.ro.Spec.Selector)
	if p.blue != nil {
		p.countActive()
	}
}

// countActive describes the pods that the active service selects: they are what a scaler and an availability are
// about.
func (p *pass) countActive() {
	st := &p.st
	st.HPAReplicas, st.ReadyReplicas, st.AvailableReplicas = 0, 0, 0
	rs := p.activeRS()
	if rs == nil {
		return
	}
	st.HPAReplicas, st.ReadyReplicas = rs.Status.Replicas, rs.Status.ReadyReplicas
	st.AvailableReplicas = rs.Status.AvailableReplicas
	selector := p.ro.Spec.Selector.DeepCopy()
	if selector == nil {
		selector = &metav1.LabelSelector{}
	}
	selector.MatchLabels = with(selector.MatchLabels, HashLabel, p.active)
	st.Selector = metav1.FormatLabelSelector(selector)
}

// phase is the state in one word and one sentence.
func (p *pass) phase() (v1alpha1.RolloutPhase, string) {
	st := p.st
	switch {
	case p.ro.Spec.Paused:
		return v1alpha1.RolloutPaused, "manually paused"
	case len(st.PauseConditions) > 0:
		return v1alpha1.RolloutPaused, string(st.PauseConditions[0].Reason)
	case p.restarting():
		return v1alpha1.RolloutProgressing, "rollout is restarting"
	case p.newRS == nil || st.UpdatedReplicas < p.n:
		return v1alpha1.RolloutProgressing, "more replicas need to be updated"
	case availableReplicas(p.newRS) < p.n:
		return v1alpha1.RolloutProgressing, "updated replicas are still becoming available"
	case p.blue != nil && p.active != p.hash:
		return v1alpha1.RolloutProgressing, "active service cutover pending"
	case p.blue != nil && !p.promoted() && st.BlueGreen.PostPromotionAnalysisRunStatus != nil:
		return v1alpha1.RolloutProgressing, "waiting for post-promotion verification to complete"
	case p.blue != nil && !p.promoted():
		return v1alpha1.RolloutProgressing, "waiting for analysis to complete"
	case p.blue == nil && !p.routes() && st.Replicas > st.UpdatedReplicas:
		return v1alpha1.RolloutProgressing, "old replicas are pending termination"
	case !p.promoted() || p.routes() && (!p.settled || p.observedWeight() > 0):
		return v1alpha1.RolloutProgressing, "waiting for all steps to complete"
	default:
		return v1alpha1.RolloutHealthy, ""
	}
}

func (p *pass) conditions(phase v1alpha1.RolloutPhase, moved bool) {
	available := p.st.AvailableReplicas >= p.n-p.unavailable()
	p.setCondition(v1alpha1.RolloutAvailable, available, pick(available, "AvailableReason", "ReplicaSetNotAvailable"),
		pick(available, "Rollout has minimum availability", "Rollout does not have minimum availability"))
	p.setCondition(
		v1alpha1.RolloutCompleted, p.promoted(), ReasonCompleted,
		pick(p.promoted(), "Rollout completed", "Rollout is not completed"),
	)
	waits := p.ro.Spec.Paused || len(p.st.PauseConditions) > 0
	p.setCondition(
		v1alpha1.RolloutPausedCond, waits, ReasonPaused, pick(waits, "Rollout is paused", "Rollout is not paused"),
	)
	p.progress(phase, moved)
}

// whyAborted is the reason found now, or the one that was given when it was found.
func (p *pass) whyAborted(had *v1alpha1.RolloutCondition) string {
	message := p.giveUp
	if message == "" && had != nil && had.Reason == ReasonAborted {
		message = had.Message
	}
	return orText(message, "Rollout aborted update to revision "+p.revision)
}

// timedOut says that the deadline has passed, or that it ended the rollout.
func (p *pass) timedOut(name string) {
	if p.aborted() {
		p.setCondition(v1alpha1.RolloutProgressingCond, false, ReasonAborted, p.giveUp)
		return
	}
	p.setCondition(
		v1alpha1.RolloutProgressingCond, false, ReasonDeadline, `ReplicaSet "`+name+`" has timed out progressing.`,
	)
}

// progress keeps the Progressing condition. Its lastUpdateTime is the clock of the progress deadline: it moves when
// something moved.
func (p *pass) progress(phase v1alpha1.RolloutPhase, moved bool) {
	had := p.condition(v1alpha1.RolloutProgressingCond)
	name := p.ro.Name + "-" + p.hash
	if p.newRS != nil {
		name = p.newRS.Name
	}
	switch {
	case p.aborted():
		p.setCondition(v1alpha1.RolloutProgressingCond, false, ReasonAborted, p.whyAborted(had))
		return
	case p.ro.Spec.Paused || len(p.st.PauseConditions) > 0:
		p.setProgress("Unknown", ReasonPaused, "Rollout is paused", moved)
		return
	case phase == v1alpha1.RolloutHealthy:
		p.setProgress("True", ReasonAvailable, `ReplicaSet "`+name+`" has successfully progressed.`, false)
		return
	case p.overdue(had, moved):
		p.timedOut(name)
		return
	}
	reason := orText(p.reason, ReasonReplicaSetUpdate)
	if had != nil && !moved && p.reason == "" && had.Status == corev1.ConditionTrue && had.Reason != ReasonAvailable {
		reason = had.Reason
	}
	if had != nil && had.Reason == ReasonPaused && p.reason == "" {
		reason, moved = ReasonResumed, true
	}
	p.setProgress("True", reason, `ReplicaSet "`+name+`" is progressing.`, moved)
}

// overdue reports whether nothing moved for longer than the deadline. What waits on purpose has no deadline.
func (p *pass) overdue(had *v1alpha1.RolloutCondition, moved bool) bool {
	limit := orElse(p.ro.Spec.ProgressDeadlineSeconds, int32(defaultProgressDeadline))
	if moved || had == nil || had.LastUpdateTime == nil || p.reason != "" || p.waitsOnPurpose() {
		return false
	}
	if had.Reason == ReasonDeadline {
		return true
	}
	at := had.LastUpdateTime.Add(time.Duration(limit) * time.Second)
	if p.w.Now.Before(at) {
		p.wakeAt(at)
		return false
	}
	p.note(true, ReasonDeadline, "Rollout "+p.ro.Name+" made no progress for "+itoa(limit)+" s")
	if p.ro.Spec.ProgressDeadlineAbort && !p.promoted() {
		p.abort("progress deadline exceeded")
	}
	return true
}

func (p *pass) waitsOnPurpose() bool {
	if s := p.step(); s != nil && !p.promoted() && (s.Pause != nil || s.Analysis != nil || s.Experiment != nil) {
		return true
	}
	if p.blue != nil && !p.promoted() && p.analysing() {
		return true
	}
	for _, rs := range p.older {
		if rs.Annotations[AnnotationScaleDown] != "" {
			return true
		}
	}
	return false
}

// analysing reports whether an analysis before or after the switch has no verdict yet.
func (p *pass) analysing() bool {
	st := p.st.BlueGreen
	for _, run := range []*v1alpha1.RolloutAnalysisRunStatus{
		st.PrePromotionAnalysisRunStatus, st.PostPromotionAnalysisRunStatus,
	} {
		if run != nil && !run.Status.Completed() {
			return true
		}
	}
	return false
}

func pick(condition bool, yes, no string) string {
	if condition {
		return yes
	}
	return no
}

func orText(text, fallback string) string { return pick(text != "", text, fallback) }
