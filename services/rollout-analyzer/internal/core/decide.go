package core

import (
	"slices"
	"strconv"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/equality"
)

// recheck is how soon an invalid Rollout is looked at again, in case what it needs appears without a watch event.
const recheck = 20 * time.Second

// Decide returns what to do, in the order to do it. Traffic comes before ReplicaSets, so that no pod goes while it
// may still be asked; the status comes after all effects, so that it never claims what did not happen.
func Decide(w World) []Action {
	if w.Rollout.DeletionTimestamp != nil {
		return nil
	}
	p := begin(w)
	if problems := Validate(w); len(problems) > 0 {
		p.refuse(problems)
		return p.finish()
	}
	p.reset()
	if !p.ensureReplicaSet() {
		p.summarise()
		return p.finish()
	}
	p.assignRevision()
	p.applyUserActions()
	p.dress()
	if p.blue != nil {
		p.blueGreen()
	} else {
		p.runCanary()
	}
	p.release()
	p.replacePods()
	p.prune()
	p.summarise()
	p.handOver()
	return p.finish()
}

// runCanary moves traffic and pods by the steps of a canary.
func (p *pass) runCanary() {
	p.st.BlueGreen = v1alpha1.BlueGreenStatus{}
	p.evaluateAnalyses()
	p.judgeExperiment()
	p.route()
	p.startRuns()
	p.startExperiment()
	p.scale()
	p.advance()
	p.promote()
}

// pass is one decision in the making. It reads the world and writes only to itself.
type pass struct {
	w  World
	ro *v1alpha1.Rollout
	// canary is the strategy, an empty one where it is blue-green.
	canary *v1alpha1.CanaryStrategy
	// blue is the strategy where it is blue-green.
	blue  *v1alpha1.BlueGreenStrategy
	steps []v1alpha1.CanaryStep
	n     int32

	// st is the status to be.
	st v1alpha1.RolloutStatus
	// hash is the value of HashLabel of the wanted template.
	hash string
	// revision is the number of the wanted template.
	revision string

	newRS, stableRS *appsv1.ReplicaSet
	older           []*appsv1.ReplicaSet

	// active is the hash that the active service of blue-green selects, after what this pass does to it.
	active string
	// settled says that every route already says what this pass wants.
	settled bool
	// reason is a reason of the Progressing condition that this pass wants to show.
	reason string
	// anew says that the verdicts of earlier attempts no longer count.
	anew bool
	// giveUp is the message of an abort that began in this pass.
	giveUp string

	effects []Action
	sets    []*UpdateReplicaSet
	facts   []Action
	notes   []Action
	wake    time.Time
}

func begin(w World) *pass {
	p := &pass{
		w: w, ro: w.Rollout, n: 1, canary: w.Rollout.Spec.Strategy.Canary, blue: w.Rollout.Spec.Strategy.BlueGreen,
	}
	p.ro.Status.DeepCopyInto(&p.st)
	if p.ro.Spec.Replicas != nil {
		p.n = *p.ro.Spec.Replicas
	}
	if p.canary == nil {
		p.canary = &v1alpha1.CanaryStrategy{}
	}
	p.steps = p.canary.Steps
	return p
}

func (p *pass) finish() []Action {
	out := p.effects
	for _, change := range p.sets {
		out = append(out, *change)
	}
	out = append(out, p.facts...)
	if !equality.Semantic.DeepEqual(p.st, p.ro.Status) {
		out = append(out, PatchStatus{Status: p.st})
	}
	out = append(out, p.notes...)
	if !p.wake.IsZero() {
		out = append(out, WakeAt{At: p.wake})
	}
	return out
}

func (p *pass) do(a Action) { p.effects = append(p.effects, a) }

func (p *pass) note(warning bool, reason, message string) {
	p.notes = append(p.notes, RecordEvent{Warning: warning, Reason: reason, Message: message})
}

// wakeAt remembers the earliest time worth looking again.
func (p *pass) wakeAt(t time.Time) {
	if p.wake.IsZero() || t.Before(p.wake) {
		p.wake = t
	}
}

// change returns the one update of a ReplicaSet in this pass.
func (p *pass) change(rs *appsv1.ReplicaSet) *UpdateReplicaSet {
	i := slices.IndexFunc(p.sets, func(u *UpdateReplicaSet) bool { return u.Name == rs.Name })
	if i >= 0 {
		return p.sets[i]
	}
	u := &UpdateReplicaSet{Name: rs.Name, Version: rs.ResourceVersion, Set: map[string]string{}}
	p.sets = append(p.sets, u)
	return u
}

func (p *pass) annotate(rs *appsv1.ReplicaSet, key, value string) {
	if rs.Annotations[key] != value {
		p.change(rs).Set[key] = value
	}
}

// stay takes back that a ReplicaSet is to be scaled down.
func (p *pass) stay(rs *appsv1.ReplicaSet) {
	if _, has := rs.Annotations[AnnotationScaleDown]; has {
		u := p.change(rs)
		u.Remove = append(u.Remove, AnnotationScaleDown, AnnotationAborted)
	}
}

func (p *pass) resize(rs *appsv1.ReplicaSet, to int32) {
	if rs == nil || size(rs) == to {
		return
	}
	p.change(rs).Replicas = &to
	verb := "up"
	if to < size(rs) {
		verb = "down"
	}
	p.note(
		false,
		ReasonScaling,
		"Scaled "+verb+" ReplicaSet "+rs.Name+" (revision "+rs.Annotations[AnnotationRevision]+
			") from "+itoa(size(rs))+" to "+itoa(to),
	)
}

// index is the current step; len(steps) when all are done.
func (p *pass) index() int {
	if p.st.CurrentStepIndex == nil {
		return len(p.steps)
	}
	return min(max(int(*p.st.CurrentStepIndex), 0), len(p.steps))
}

func (p *pass) setIndex(i int) {
	if len(p.steps) == 0 {
		p.st.CurrentStepIndex = nil
		return
	}
	v := int32(i)
	p.st.CurrentStepIndex = &v
}

// step is the current step, nil when all are done.
func (p *pass) step() *v1alpha1.CanaryStep {
	if i := p.index(); i < len(p.steps) {
		return &p.steps[i]
	}
	return nil
}

// promoted reports whether the wanted template is the stable one.
func (p *pass) promoted() bool { return p.st.StableRS == p.hash }

func (p *pass) aborted() bool { return p.st.Abort && !p.promoted() }

// inconclusive reports whether a person has to decide what an analysis or an experiment could not.
func (p *pass) inconclusive() bool {
	return p.pausedFor(v1alpha1.PauseReasonInconclusiveAnalysis) ||
		p.pausedFor(v1alpha1.PauseReasonInconclusiveExperiment)
}

// halted reports whether nothing may be scaled.
func (p *pass) halted() bool {
	return p.ro.Spec.Paused || p.inconclusive()
}

func itoa[T ~int | ~int32 | ~int64](v T) string { return strconv.FormatInt(int64(v), 10) }
