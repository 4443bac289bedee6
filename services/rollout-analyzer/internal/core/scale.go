package core

import (
	"slices"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	appsv1 "k8s.io/api/apps/v1"
)

// canaryTarget is how many new pods the current step asks for.
func (p *pass) canaryTarget() int32 {
	i := p.index()
	switch {
	case p.promoted() || p.stableRS == nil || i == len(p.steps):
		return p.n
	case !p.routes():
		return p.want().canary
	}
	want := routed(p.n, p.weightAt(i), p.total())
	if s := p.scaleStep(i); s != nil && s.Replicas != nil {
		return *s.Replicas
	} else if s != nil && s.Weight != nil {
		want = routed(p.n, *s.Weight, maxWeight)
	}
	if least := deref(p.canary.MinPodsPerReplicaSet); want > 0 {
		want = max(want, min(least, p.n))
	}
	return want
}

// scaleStep is the nearest setCanaryScale at or before step i, nil when it says to follow the traffic.
func (p *pass) scaleStep(i int) *v1alpha1.SetCanaryScale {
	for ; i >= 0; i-- {
		if s := p.steps[i].SetCanaryScale; s != nil {
			if s.MatchTrafficWeight {
				return nil
			}
			return s
		}
	}
	return nil
}

// want is the pair of counts that the current step asks for without a router.
func (p *pass) want() counts {
	if p.aborted() {
		return counts{stable: p.n}
	}
	weight := maxWeight
	if i := p.index(); i < len(p.steps) {
		weight = p.weightAt(i)
	}
	return split(p.n, weight, limitsOf(p.canary, p.n).surge > 0)
}

// scale moves the ReplicaSets towards what the step asks for.
func (p *pass) scale() {
	if p.halted() {
		return
	}
	if p.routes() {
		p.scaleRouted()
		return
	}
	l := limitsOf(p.canary, p.n)
	got := basic(p.n, p.want(), l, sides{p.newRS, p.stableRS, p.older})
	p.keep(p.newRS)
	p.keep(p.stableRS)
	p.resize(p.stableRS, got.stable)
	p.resize(p.newRS, got.canary)
	for _, rs := range p.older {
		p.stay(rs)
	}
	left := drain(p.n, l, p.w.ReplicaSets, p.older)
	for _, rs := range p.older {
		if to, ok := left[rs.Name]; ok {
			p.resize(rs, to)
		}
	}
}

// scaleRouted keeps the stable pods complete and gives the canary what its weight needs. Pods only go once the routes
// were seen to send nothing there, and after a delay for those who read routes late.
func (p *pass) scaleRouted() {
	if p.stableRS != nil {
		p.keep(p.stableRS)
		p.resize(p.stableRS, p.stableTarget())
	}
	switch {
	case p.aborted() && p.observedWeight() > 0 && p.canary.DynamicStableScale:
		// The pods stay until their traffic has gone.
		p.keep(p.newRS)
	case p.aborted():
		p.retire(p.newRS, p.canary.AbortScaleDownDelaySeconds, true)
	default:
		p.keep(p.newRS)
		if to := p.canaryTarget(); to > size(p.newRS) || p.settled {
			p.resize(p.newRS, to)
		}
	}
	p.retireAll(p.older, p.canary.ScaleDownDelaySeconds, p.canary.ScaleDownDelayRevisionLimit)
}

// stableTarget is how many stable pods there should be: all, or with dynamicStableScale as many as their share of the
// traffic needs, the one that they should have and the one that they still have.
func (p *pass) stableTarget() int32 {
	if !p.canary.DynamicStableScale || p.aborted() {
		return p.n
	}
	should := routed(p.n, p.total()-p.weight(), p.total())
	return max(should, routed(p.n, p.total()-p.observedWeight(), p.total()))
}

// keep takes back the announcement that a ReplicaSet will go.
func (p *pass) keep(rs *appsv1.ReplicaSet) {
	if rs != nil {
		p.stay(rs)
	}
}

// retireAll lets the pods of old templates go, at once beyond the number of templates that may linger.
func (p *pass) retireAll(sets []*appsv1.ReplicaSet, seconds, limit *int32) {
	older := slices.Clone(sets)
	slices.SortStableFunc(older, func(a, b *appsv1.ReplicaSet) int { return int(revisionOf(b) - revisionOf(a)) })
	lingering := int32(0)
	for _, rs := range older {
		if size(rs) > 0 {
			lingering++
		}
		delay := seconds
		if limit != nil && lingering > *limit {
			delay = new(int32(0))
		}
		p.retire(rs, delay, false)
	}
}

// retire scales a ReplicaSet to zero after a delay that starts when it no longer gets traffic. With never, a delay of
// zero means that it stays.
func (p *pass) retire(rs *appsv1.ReplicaSet, seconds *int32, never bool) {
	if size(rs) == 0 {
		p.stay(rs)
		return
	}
	if !p.settled || p.observedWeight() > 0 && !p.unserved(rs) {
		return
	}
	delay := int32(defaultScaleDownDelay)
	if seconds != nil {
		delay = *seconds
	}
	if delay == 0 && never {
		return
	}
	deadline, err := time.Parse(time.RFC3339, rs.Annotations[AnnotationScaleDown])
	if err != nil || delay == 0 {
		deadline = p.now().Add(time.Duration(delay) * time.Second)
		if delay > 0 {
			p.annotate(rs, AnnotationScaleDown, deadline.UTC().Format(time.RFC3339))
		}
		if delay > 0 && never {
			p.annotate(rs, AnnotationAborted, "true")
		}
	}
	if p.w.Now.Before(deadline) {
		p.wakeAt(deadline)
		return
	}
	p.stay(rs)
	p.resize(rs, 0)
}

// unserved reports whether no service selects rs, so that weights do not concern it.
func (p *pass) unserved(rs *appsv1.ReplicaSet) bool {
	for _, svc := range p.w.Services {
		if hash, pinned := svc.Spec.Selector[HashLabel]; !pinned || hash == rs.Labels[HashLabel] {
			return false
		}
	}
	return true
}

// reached reports whether the pods of the current step are there.
func (p *pass) reached() bool {
	if p.routes() {
		to := p.canaryTarget()
		return size(p.newRS) == to && enough(availableReplicas(p.newRS), to, p.canary.ReplicaProgressThreshold) &&
			p.settled &&
			(p.n == 0 || p.observedWeight() == p.weightAt(p.index()))
	}
	for _, rs := range p.older {
		if rs.Status.AvailableReplicas > 0 {
			return false
		}
	}
	want := p.want()
	return size(p.newRS) == want.canary && size(p.stableRS) == want.stable &&
		p.newRS.Status.Replicas >= want.canary &&
		enough(availableReplicas(p.newRS), want.canary, p.canary.ReplicaProgressThreshold)
}

// enough reports whether available pods complete a step that asks for want.
func enough(available, want int32, t *v1alpha1.ReplicaProgressThreshold) bool {
	switch {
	case t == nil:
		return available >= want
	case t.Type == "Percent":
		return available >= routed(want, t.Value, maxWeight)
	default:
		return available >= min(want, t.Value)
	}
}
