package core

import (
	"maps"
	"slices"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core/traffic"
	appsv1 "k8s.io/api/apps/v1"
)

// routes reports whether a router splits the traffic.
func (p *pass) routes() bool { return p.canary.TrafficRouting != nil }

// release gives back the services that the Rollout no longer names: they select by their own labels again.
func (p *pass) release() {
	named := ServiceNames(p.ro)
	for _, name := range slices.Sorted(maps.Keys(p.w.Services)) {
		svc := p.w.Services[name]
		if svc.Annotations[AnnotationManagedBy] == p.ro.Name && !slices.Contains(named, name) {
			p.do(SwitchService{Service: name})
		}
	}
}

// ServiceNames are the services that a Rollout names, each once.
func ServiceNames(ro *v1alpha1.Rollout) (names []string) {
	var all []string
	if c := ro.Spec.Strategy.Canary; c != nil {
		all = append(all, c.CanaryService, c.StableService)
		if c.PingPong != nil {
			all = append(all, c.PingPong.PingService, c.PingPong.PongService)
		}
	}
	if b := ro.Spec.Strategy.BlueGreen; b != nil {
		all = append(all, b.ActiveService, b.PreviewService)
	}
	for _, name := range all {
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// route points the services and sets the weights. The stable service moves first and alone: only when it was seen to
// select the new pods does the weight go back to it, so that no request meets a service that just changed.
func (p *pass) route() {
	p.settled = true
	if p.canary.PingPong != nil && p.st.Canary.StablePingPong == "" {
		p.st.Canary.StablePingPong = v1alpha1.PingPongPing
	}
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
	if want > 0 && !p.aborted() {
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
	name, rs := p.stableService(), p.stableRS
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
	name, rs := p.canaryService(), p.newRS
	if name == "" {
		return
	}
	if p.aborted() && p.stableRS != nil {
		rs = p.stableRS
	}
	if p.between() {
		return
	}
	if availableReplicas(rs) > 0 {
		p.point(name, rs, availableReplicas(rs) >= size(rs))
	}
}

// between reports whether a version between the stable and the wanted one still gets the share of the canary. The
// wanted pods may be too few for it: the weight goes first, then the service.
func (p *pass) between() bool {
	return p.routes() && p.observedWeight() > 0 && p.serves(p.canaryService(), p.older)
}

// serves reports whether a service selects one of some ReplicaSets.
func (p *pass) serves(service string, sets []*appsv1.ReplicaSet) bool {
	hash := p.pinned(service)
	return hash != "" && slices.ContainsFunc(sets, func(rs *appsv1.ReplicaSet) bool {
		return rs.Labels[HashLabel] == hash && availableReplicas(rs) > 0
	})
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
	if p.aborted() && p.canary.DynamicStableScale && !p.promoted() {
		return p.weightBack()
	}
	if p.aborted() || p.promoted() || availableReplicas(p.newRS) == 0 || p.between() {
		return 0
	}
	i := p.index()
	if i == len(p.steps) {
		if availableReplicas(p.newRS) >= p.n {
			return p.total()
		}
		return p.holdWeight(p.weightAt(i - 1))
	}
	if enough(availableReplicas(p.newRS), p.canaryTarget(), p.canary.ReplicaProgressThreshold) {
		return p.weightAt(i)
	}
	return p.holdWeight(p.weightAt(i - 1))
}

// weightBack is how far an abort may lower the weight: the stable pods were made fewer while the canary grew, and
// take back what they can serve. It goes along the weights of the steps.
func (p *pass) weightBack() int32 {
	now := p.observedWeight()
	if p.n == 0 {
		return 0
	}
	least := max(0, p.total()-availableReplicas(p.stableRS)*p.total()/p.n)
	back := now
	for i := range p.steps {
		if w := p.steps[i].SetWeight; w != nil && *w >= least {
			back = min(back, *w)
		}
	}
	if least == 0 {
		return 0
	}
	return back
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

// stableCanServe reports whether the stable pods can take what a weight leaves to them. An abort only asks for one
// pod: what it flees from is worse than being short of pods.
func (p *pass) stableCanServe(weight int32) bool {
	stable := p.stableRS
	if p.promoted() || stable == nil {
		stable = p.newRS
	}
	if p.aborted() {
		return availableReplicas(stable) > 0 || p.n == 0
	}
	return int64(availableReplicas(stable)) >= int64(p.total()-weight)*int64(p.n)/int64(p.total())
}

// observedWeight is what the routes say now; the highest when they differ.
func (p *pass) observedWeight() (highest int32) {
	for _, r := range p.w.Routes {
		highest = max(highest, r.Observed().CanaryWeight)
	}
	return highest
}

// setWeights writes the shares, and the routes that steps manage, to every route that says something else.
func (p *pass) setWeights(want int32) {
	split := p.split(want)
	for _, r := range p.w.Routes {
		seen := r.Observed()
		if r.Obeys(split) {
			p.settled = p.settled && !seen.Pending
			continue
		}
		p.settled = false
		p.do(SetWeight{Route: seen.Ref, Field: seen.Field, Split: split})
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

// split is how the routers should share the traffic when the canary gets a weight.
func (p *pass) split(weight int32) traffic.Split {
	out := traffic.Split{
		Canary: p.canaryService(), Stable: p.stableService(), CanaryHash: p.hash, StableHash: p.st.StableRS,
		CanaryWeight: weight, Total: p.total(), Managed: p.managed(),
		Additional: p.additional(),
	}
	if p.aborted() {
		// Subsets follow the services: nobody may get to the canary any more.
		out.CanaryHash = out.StableHash
	}
	for _, m := range p.canary.TrafficRouting.ManagedRoutes {
		out.Names = append(out.Names, m.Name)
	}
	return out
}

// managed are the routes that steps until now added and did not take away, in the order of managedRoutes. Without a
// pod that could answer there are none.
func (p *pass) managed() (out []traffic.Managed) {
	if p.aborted() || p.promoted() || availableReplicas(p.newRS) == 0 || p.between() {
		return nil
	}
	by := map[string]traffic.Managed{}
	for _, s := range p.steps[:min(p.index()+1, len(p.steps))] {
		switch {
		case s.SetHeaderRoute != nil && len(s.SetHeaderRoute.Match) > 0:
			by[s.SetHeaderRoute.Name] = traffic.Managed{Name: s.SetHeaderRoute.Name, Headers: s.SetHeaderRoute.Match}
		case s.SetHeaderRoute != nil:
			delete(by, s.SetHeaderRoute.Name)
		case s.SetMirrorRoute != nil && len(s.SetMirrorRoute.Match) > 0:
			by[s.SetMirrorRoute.Name] = traffic.Managed{
				Name: s.SetMirrorRoute.Name, Mirror: true, Matches: s.SetMirrorRoute.Match,
				Percentage: orElse(s.SetMirrorRoute.Percentage, int32(100)),
			}
		case s.SetMirrorRoute != nil:
			delete(by, s.SetMirrorRoute.Name)
		}
	}
	for _, m := range p.canary.TrafficRouting.ManagedRoutes {
		if route, is := by[m.Name]; is {
			out = append(out, route)
		}
	}
	return out
}

// total is what all shares add up to.
func (p *pass) total() int32 {
	if t := p.canary.TrafficRouting; t != nil {
		return orElse(t.MaxTrafficWeight, maxWeight)
	}
	return maxWeight
}

// canaryService is the service of the new pods. With ping-pong two services swap their roles at each promotion, so
// that none that receives traffic is ever pointed elsewhere.
func (p *pass) canaryService() string {
	pp := p.canary.PingPong
	switch {
	case pp == nil:
		return p.canary.CanaryService
	case p.st.Canary.StablePingPong == v1alpha1.PingPongPong:
		return pp.PingService
	default:
		return pp.PongService
	}
}

// stableService is the service of the stable pods.
func (p *pass) stableService() string {
	pp := p.canary.PingPong
	switch {
	case pp == nil:
		return p.canary.StableService
	case p.st.Canary.StablePingPong == v1alpha1.PingPongPong:
		return pp.PongService
	default:
		return pp.PingService
	}
}

// swap exchanges the roles of the services of ping-pong, when the new pods become the stable ones.
func (p *pass) swap() {
	switch {
	case p.canary.PingPong == nil:
		p.st.Canary.StablePingPong = ""
	case p.st.Canary.StablePingPong == v1alpha1.PingPongPong:
		p.st.Canary.StablePingPong = v1alpha1.PingPongPing
	default:
		p.st.Canary.StablePingPong = v1alpha1.PingPongPong
	}
}

func additionalWeights(list []traffic.Destination) (out []v1alpha1.WeightDestination) {
	for _, d := range list {
		out = append(
			out,
			v1alpha1.WeightDestination{Weight: d.Weight, ServiceName: d.Service, PodTemplateHash: d.Hash},
		)
	}
	return out
}

// weighted says which share the new pods get. A share may come and go within one attempt, so the version of the
// Rollout that was looked at tells the times apart; a repeated pass looks at the same one.
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
			Weight: weight, ServiceName: p.canaryService(), PodTemplateHash: p.hash,
		},
		Stable: v1alpha1.WeightDestination{
			Weight: p.split(weight).StableWeight(), ServiceName: p.stableService(), PodTemplateHash: stable,
		},
		Additional: additionalWeights(p.additional()), Verified: new(p.settled),
	}
}
