package core

import "github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"

// The values of spec.workloadRef.scaleDown.
const (
	scaleDownNever         = "never"
	scaleDownOnSuccess     = "onsuccess"
	scaleDownProgressively = "progressively"
)

// handOver makes the workload whose template is used smaller while the first version of the Rollout takes its place.
// Later versions leave it alone: somebody may have scaled it since.
func (p *pass) handOver() {
	work, ref := p.w.Workload, p.ro.Spec.WorkloadRef
	p.st.WorkloadObservedGeneration = ""
	if work == nil || ref == nil {
		return
	}
	p.st.WorkloadObservedGeneration = itoa(work.Generation)
	if work.Kind != "Deployment" || p.revision != "1" {
		return
	}
	to := work.Replicas
	switch {
	case ref.ScaleDown == scaleDownOnSuccess && p.st.Phase == v1alpha1.RolloutHealthy:
		to = 0
	case ref.ScaleDown != scaleDownProgressively:
		return
	case p.st.Phase == v1alpha1.RolloutHealthy:
		to = 0
	case p.st.Phase == v1alpha1.RolloutDegraded:
		to = max(to, p.n)
	default:
		to = min(to, max(0, p.n-p.st.ReadyReplicas))
	}
	if to != work.Replicas {
		p.do(ScaleWorkload{Kind: work.Kind, Name: work.Name, Replicas: to})
	}
}
