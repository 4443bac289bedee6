package core

import (
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core/traffic"
	appsv1 "k8s.io/api/apps/v1"
)

// routes reports whether a router splits the traffic.
func (p *pass) routes() bool { return p.canary.TrafficRouting != nil }

// route points the services and sets the weights. The stable service moves first and alone: only when it was seen to
// select the new pods does the weight go back to it, so that no request meets a service that just changed.
func (p *pass) route() {
	p.settled = true
	moved := p.pointStable()
	if !p.routes() {
		p.pointCanary()
		p.st.Canary.Weights = nil
		return
	}
	want := p.weight()
	if moved || !p.stableCanServe(want) {
		want = p.observedWeight()
	}
	if want > 0 {
		p.pointCanary()
	}
	p.setWeights(want)
	if want == 0 && p.settled {
		p.pointCanary()
	}
	if moved {
		p.settled = false
	}
	p.recordWeights(want)
}

// pointStable makes the stable service select the stable pods and reports whether it had to move.
func (p *pass) pointStable() bool {
	name, rs := p.canary.StableService, p.stableRS
	if name == "" {
		return false
	}
	if p.promoted() || rs == nil || !p.routes() && p.drained() {
		rs = p.newRS
	}
	return p.point(name, rs, availableReplicas(rs) >= p.n)
}

// drained reports whether, without a router, the stable pods are about to be gone.
func (p *pass) drained() bool {
	return p.index() == len(p.steps) && !p.aborted() && availableReplicas(p.newRS) > 0
}

// pointCanary makes the canary service select the new pods once there is one, and the stable pods after an abort.
func (p *pass) pointCanary() {
	name, rs := p.canary.CanaryService, p.newRS
	if name == "" {
		return
	}
	if p.aborted() && p.stableRS != nil {
		rs = p.stableRS
	}
	if availableReplicas(rs) > 0 {
		p.point(name, rs, availableReplicas(rs) >= size(rs))
	}
}

// point moves a service. One that selects by labels alone is only narrowed down when the pods can take everything.
func (p *pass) point(name string, rs *appsv1.ReplicaSet, full bool) bool {
	svc := p.w.Services[name]
	hash := rs.Labels[HashLabel]
	now, pinned := svc.Spec.Selector[HashLabel]
	if now == hash || !pinned && !full {
		return false
	}
	p.do(SwitchService{Service: name, Hash: hash})
	p.note(false, ReasonSwitchService, "Switched selector for service '"+name+"' from '"+now+"' to '"+hash+"'")
	return true
}

// weight is the share of the traffic that the new pods should get, given how many are available.
func (p *pass) weight() int32 {
	if p.aborted() || p.promoted() || availableReplicas(p.newRS) == 0 {
		return 0
	}
	i := p.index()
	if i == len(p.steps) {
		if availableReplicas(p.newRS) >= p.n {
			return maxWeight
		}
		return p.holdWeight(p.weightAt(i - 1))
	}
	if enough(availableReplicas(p.newRS), p.canaryTarget(), p.canary.ReplicaProgressThreshold) {
		return p.weightAt(i)
	}
	return p.holdWeight(p.weightAt(i - 1))
}

// holdWeight keeps what was set when that is less than what is wanted and pods are missing.
func (p *pass) holdWeight(want int32) int32 { return min(want, p.observedWeight()) }

// weightAt is the nearest setWeight at or before step i.
func (p *pass) weightAt(i int) int32 {
	for i = min(i, len(p.steps)-1); i >= 0; i-- {
		if w := p.steps[i].SetWeight; w != nil {
			return *w
		}
	}
	return 0
}

// stableCanServe reports whether the stable pods can take what a weight leaves to them. An abort only asks for one pod:
// what it flees from is worse than being short of pods.
func (p *pass) stableCanServe(weight int32) bool {
	stable := p.stableRS
	if p.promoted() || stable == nil {
		stable = p.newRS
	}
	if p.aborted() {
		return availableReplicas(stable) > 0 || p.n == 0
	}
	return availableReplicas(stable) >= (maxWeight-weight)*p.n/maxWeight
}

// observedWeight is what the routes say now; the highest when they differ.
func (p *pass) observedWeight() (highest int32) {
	for _, r := range p.w.Routes {
		highest = max(highest, r.CanaryWeight)
	}
	return highest
}

// setWeights writes the weight to every route that says something else.
func (p *pass) setWeights(want int32) {
	for _, r := range p.w.Routes {
		if r.Uniform && r.CanaryWeight == want && r.StableWeight == maxWeight-want && r.InProgress == (want > 0) {
			continue
		}
		p.settled = false
		p.do(SetWeight{
			Route: r.Ref,
			Split: traffic.Split{Canary: p.canary.CanaryService, Stable: p.canary.StableService, CanaryWeight: want},
		})
	}
	before := int32(-1)
	if w := p.st.Canary.Weights; w != nil {
		before = w.Canary.Weight
	}
	if p.settled || before == want {
		return
	}
	p.note(false, ReasonWeight, "Traffic weight updated from "+itoa(max(before, 0))+" to "+itoa(want))
	if !p.promoted() {
		p.weighted(want)
	}
}

// weighted says which share the new pods get. A share may come and go within one attempt, so the version of the Rollout
// that was looked at tells the times apart; a repeated pass looks at the same one.
func (p *pass) weighted(weight int32) {
	step := itoa(p.index())
	p.fact(step+"/"+itoa(weight)+"@"+p.ro.ResourceVersion, func(r events.Revision) events.Body {
		return events.RolloutWeighted{Revision: r, Weight: itoa(weight), Step: step}
	})
}

func (p *pass) recordWeights(weight int32) {
	stable := p.st.StableRS
	p.st.Canary.Weights = &v1alpha1.TrafficWeights{
		Canary: v1alpha1.WeightDestination{
			Weight: weight, ServiceName: p.canary.CanaryService, PodTemplateHash: p.hash,
		},
		Stable: v1alpha1.WeightDestination{
			Weight: maxWeight - weight, ServiceName: p.canary.StableService, PodTemplateHash: stable,
		},
		Verified: new(p.settled),
	}
}
