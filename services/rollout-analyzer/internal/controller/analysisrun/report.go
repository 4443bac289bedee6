package analysisrun

import (
	"context"
	"fmt"
	"strings"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/lineage"
	"github.com/argosy-mesh/argosy/libs/facts"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core"
)

// told is a fact and what tells it apart from others of its kind about the run.
type told struct {
	body  events.Body
	which string
}

// said are the facts that the way from one status to the next tells: a beginning, measurements that ended, an end.
func said(run *v1alpha1.AnalysisRun, status v1alpha1.AnalysisRunStatus) []told {
	var out []told
	if run.Status.Phase == "" && status.Phase != "" {
		out = append(out, told{body: events.AnalysisStarted{Analysis: about(run, status.Phase, status.Message)}})
	}
	for _, r := range status.MetricResults {
		taken := r.Count + r.Error
		if taken == measuredBefore(run, r.Name) || len(r.Measurements) == 0 {
			continue
		}
		last := r.Measurements[len(r.Measurements)-1]
		out = append(out, told{
			which: fmt.Sprintf("/%s/%d", r.Name, taken),
			body: events.AnalysisMeasured{
				Analysis: about(run, last.Phase, last.Message), Metric: r.Name, Number: int(taken), Value: last.Value,
				Verdict: string(r.Phase), Evidence: r.Message,
			},
		})
	}
	if status.Phase.Completed() {
		out = append(out, told{body: events.AnalysisFinished{Analysis: about(run, status.Phase, status.Message)}})
	}
	return out
}

// measuredBefore is how many measurements of a metric had ended.
func measuredBefore(run *v1alpha1.AnalysisRun, name string) int32 {
	for _, r := range run.Status.MetricResults {
		if r.Name == name {
			return r.Count + r.Error
		}
	}
	return 0
}

func (r *Reconciler) tell(ctx context.Context, run *v1alpha1.AnalysisRun, f told) error {
	return r.Tell.Tell(ctx, facts.Fact{
		ID: bus.Key(string(run.UID) + "/" + f.body.Fact() + f.which), About: facts.About("AnalysisRun", run),
		Body: f.body, Lineage: lineage.FromAnnotations(run.Annotations),
	})
}

func about(run *v1alpha1.AnalysisRun, phase v1alpha1.AnalysisPhase, message string) events.Analysis {
	a := events.Analysis{
		Revision: run.Annotations[core.AnnotationRevision], Hash: run.Labels[core.HashLabel],
		Type: run.Labels[core.LabelRunType], Step: run.Labels[core.LabelStepIndex], Phase: string(phase),
		Message: message,
	}
	if owner := metav1.GetControllerOf(run); owner != nil {
		a.Rollout, a.ReplicaSet = owner.Name, owner.Name+"-"+a.Hash
	}
	return a
}

// record writes Kubernetes events of verdicts, with their evidence, and logs the end.
func (r *Reconciler) record(
	ctx context.Context, object *unstructured.Unstructured, run *v1alpha1.AnalysisRun,
	status v1alpha1.AnalysisRunStatus,
) {
	for _, result := range status.MetricResults {
		if !result.Phase.Completed() || phaseBefore(run, result.Name).Completed() {
			continue
		}
		text := fmt.Sprintf("Metric '%s' Completed. Result: %s", result.Name, result.Phase)
		r.event(object, "Metric", result.Phase, text+evidence(result))
	}
	if !status.Phase.Completed() {
		return
	}
	text := "Analysis Completed. Result: " + string(status.Phase)
	if status.Message != "" {
		text += ". " + status.Message
	}
	r.event(object, "AnalysisRun", status.Phase, text)
	r.Log.InfoContext(
		ctx, "analysis finished", "run", run.Namespace+"/"+run.Name, "phase", status.Phase, "message", status.Message,
	)
}

func phaseBefore(run *v1alpha1.AnalysisRun, name string) v1alpha1.AnalysisPhase {
	for _, r := range run.Status.MetricResults {
		if r.Name == name {
			return r.Phase
		}
	}
	return ""
}

// evidence is why a metric came to its verdict: the limit, and the last value that was seen.
func evidence(r v1alpha1.MetricResult) string {
	var parts []string
	if r.Message != "" {
		parts = append(parts, r.Message)
	}
	if n := len(r.Measurements); n > 0 && r.Measurements[n-1].Value != "" {
		value := r.Measurements[n-1].Value
		if len(value) > maxEvidence {
			value = value[:maxEvidence] + "…"
		}
		parts = append(parts, "last value "+value)
	}
	if len(parts) == 0 {
		return ""
	}
	return ". " + strings.Join(parts, "; ")
}

// maxEvidence bounds a value in an event, whose message has at most 1 KiB.
const maxEvidence = 200

func (r *Reconciler) event(object *unstructured.Unstructured, of string, phase v1alpha1.AnalysisPhase, text string) {
	if r.Events == nil {
		return
	}
	kind := corev1.EventTypeNormal
	if phase != v1alpha1.AnalysisSuccessful {
		kind = corev1.EventTypeWarning
	}
	r.Events.Event(object, kind, of+string(phase), text)
}
