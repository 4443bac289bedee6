package core

import (
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// blueGreen moves all traffic at once: the preview service shows the new pods from the beginning, the active service
// follows once they are complete, analysed and released by a person or by time. The old pods stay until the analysis
// after that is content, so that there is always a way back.
//
//	preview → new pods → pre-promotion analysis → pause → all new pods → active → post-promotion analysis → stable
func (p *pass) blueGreen() {
	p.settled, p.st.Canary = true, v1alpha1.CanaryStatus{}
	p.active = p.pinned(p.blue.ActiveService)
	p.judgePromotion()
	p.pointPreview()
	p.scaleBlueGreen()
	p.releasePreview()
	p.pointActive()
	p.completeBlueGreen()
	p.retireBlueGreen()
	p.st.BlueGreen.PreviewSelector = p.pinned(p.blue.PreviewService)
	p.st.BlueGreen.ActiveSelector = p.active
}

// pinned is the hash that a service selects, empty when it selects by labels alone or is not there.
func (p *pass) pinned(service string) string {
	if svc := p.w.Services[service]; svc != nil {
		return svc.Spec.Selector[HashLabel]
	}
	return ""
}

// fast reports whether analyses and pauses are left out: there is nothing to compare with, the pods were good before,
// or a person said so.
func (p *pass) fast() bool {
	return p.promoted() || p.hurries() || p.active == "" || p.lingers()
}

// lingers reports whether the wanted pods are those of an earlier version that were about to go, and not because of
// an abort.
func (p *pass) lingers() bool {
	return p.newRS.Annotations[AnnotationScaleDown] != "" && p.newRS.Annotations[AnnotationAborted] == ""
}

// judgePromotion reads the verdicts of the analyses before and after the switch.
func (p *pass) judgePromotion() {
	st := &p.st.BlueGreen
	pre, post := p.find(RunTypePrePromotion), p.find(RunTypePostPromotion)
	if pre != nil {
		st.PrePromotionAnalysisRunStatus = mirror(pre)
	}
	if post != nil {
		st.PostPromotionAnalysisRunStatus = mirror(post)
	}
	if p.promoted() || p.hurries() {
		return
	}
	for _, run := range []*v1alpha1.AnalysisRun{pre, post} {
		if run != nil && !p.aborted() {
			p.judge(run)
		}
	}
}

// pointPreview shows the newest pods, available or not; after an abort too, so that one can look at them.
func (p *pass) pointPreview() {
	if p.blue.PreviewService != "" && !p.ro.Spec.Paused {
		p.point(p.blue.PreviewService, p.newRS, true)
	}
}

// scaleBlueGreen keeps the stable pods complete and makes new ones: as many as a preview asks for until it is
// released.
func (p *pass) scaleBlueGreen() {
	p.resize(p.stableRS, p.n)
	p.keep(p.stableRS)
	for _, rs := range p.older {
		if rs.Labels[HashLabel] == p.active {
			p.keep(rs)
			p.resize(rs, p.n)
		}
	}
	if p.aborted() {
		return
	}
	if p.promoted() || !p.lingers() {
		p.keep(p.newRS)
	}
	p.resize(p.newRS, p.previewTarget())
}

// previewTarget is how many new pods there should be now.
func (p *pass) previewTarget() int32 {
	count := p.blue.PreviewReplicaCount
	if count == nil || p.fast() || p.st.BlueGreen.ScaleUpPreviewCheckPoint || p.active == p.hash {
		return p.n
	}
	return *count
}

// releasePreview decides whether the new pods may become active: the analysis was content, and the pause is over. The
// status keeps the answer, so that a scaling afterwards asks for neither again.
func (p *pass) releasePreview() {
	st := &p.st.BlueGreen
	if p.aborted() || p.fast() || st.ScaleUpPreviewCheckPoint || p.active == p.hash || p.ro.Spec.Paused {
		return
	}
	if want := p.previewTarget(); size(p.newRS) != want || availableReplicas(p.newRS) < want {
		return
	}
	if !p.analysed(RunTypePrePromotion, p.blue.PrePromotionAnalysis, &st.PrePromotionAnalysisRunStatus) ||
		p.pausedFor(v1alpha1.PauseReasonInconclusiveAnalysis) || !p.blueGreenPauseOver() {
		return
	}
	st.ScaleUpPreviewCheckPoint = true
	p.resume()
}

// analysed reports whether an analysis succeeded; it is started when it was not yet. None is content.
func (p *pass) analysed(
	kind string, a *v1alpha1.RolloutAnalysis, status **v1alpha1.RolloutAnalysisRunStatus,
) bool {
	if a == nil {
		return true
	}
	if p.find(kind) == nil {
		*status = p.startRun(kind, *a)
		return false
	}
	return *status != nil && (*status).Status == v1alpha1.AnalysisSuccessful
}

// blueGreenPauseOver waits for a person or for autoPromotionSeconds. The clock starts when the pods are there and the
// analysis is content, whatever upstream's documentation says: its code does the same.
func (p *pass) blueGreenPauseOver() bool {
	seconds := p.blue.AutoPromotionSeconds
	if orElse(p.blue.AutoPromotionEnabled, true) && seconds <= 0 {
		return true
	}
	if !p.pausedFor(v1alpha1.PauseReasonBlueGreen) {
		if p.st.ControllerPause {
			return true
		}
		p.pause(v1alpha1.PauseReasonBlueGreen, "Rollout is paused ("+string(v1alpha1.PauseReasonBlueGreen)+")")
		p.reason = ReasonPaused
	}
	if seconds <= 0 {
		return false
	}
	for _, c := range p.st.PauseConditions {
		if c.Reason == v1alpha1.PauseReasonBlueGreen {
			over := c.StartTime.Add(time.Duration(seconds) * time.Second)
			if p.w.Now.Before(over) {
				p.wakeAt(over)
				return false
			}
		}
	}
	return true
}

// pointActive sends the traffic to the new pods when they may have it, and back to the stable ones after an abort.
func (p *pass) pointActive() {
	to, least := p.newRS, p.n
	switch {
	case p.aborted() && p.stableRS != nil:
		// What an abort flees from is worse than being short of pods.
		to, least = p.stableRS, min(1, p.n)
	case p.aborted() || p.ro.Spec.Paused || len(p.st.PauseConditions) > 0:
		return
	case !p.fast() && !p.st.BlueGreen.ScaleUpPreviewCheckPoint && p.active != p.hash:
		return
	}
	if availableReplicas(to) < least || to == p.newRS && size(to) < p.n {
		return
	}
	if hash := to.Labels[HashLabel]; p.point(p.blue.ActiveService, to, true) {
		p.active, p.settled = hash, false
	}
}

// completeBlueGreen makes the active pods the stable ones, once the analysis of them is content.
func (p *pass) completeBlueGreen() {
	// Whether this was fast is asked with the hash that was active when this pass began: the first one has none.
	first := p.pinned(p.blue.ActiveService) == ""
	if p.promoted() || p.aborted() || p.active != p.hash || p.ro.Spec.Paused ||
		p.pausedFor(v1alpha1.PauseReasonInconclusiveAnalysis) {
		return
	}
	if !first && !p.fast() && !p.analysed(
		RunTypePostPromotion, p.blue.PostPromotionAnalysis, &p.st.BlueGreen.PostPromotionAnalysisRunStatus,
	) {
		return
	}
	p.becomeStable("Completed blue-green update")
}

// retireBlueGreen lets pods go that no service selects any more.
func (p *pass) retireBlueGreen() {
	if p.aborted() && p.stableRS != nil && p.active != p.hash {
		p.retire(p.newRS, p.blue.AbortScaleDownDelaySeconds, true)
	}
	var gone []*appsv1.ReplicaSet
	for _, rs := range p.older {
		if rs.Labels[HashLabel] != p.active {
			gone = append(gone, rs)
		}
	}
	p.retireAll(gone, p.blue.ScaleDownDelaySeconds, p.blue.ScaleDownDelayRevisionLimit)
}

// activeRS is the ReplicaSet that the active service selects, nil when there is none.
func (p *pass) activeRS() *appsv1.ReplicaSet { return findByHash(p.w.ReplicaSets, p.active) }

// unavailableOf is how many pods a strategy lets be missing.
func (p *pass) unavailable() int32 {
	if p.blue != nil {
		return resolve(p.blue.MaxUnavailable, intstr.FromString("25%"), p.n, false)
	}
	return limitsOf(p.canary, p.n).unavailable
}
