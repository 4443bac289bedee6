package core

import (
	"slices"
	"strconv"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core/analysis"
)

// evaluateAnalyses reads the verdicts of the analyses before anything else is decided, so that a bad one moves the
// traffic back in the same pass.
func (p *pass) evaluateAnalyses() {
	if p.promoted() || p.aborted() || p.hurries() {
		p.st.Canary.CurrentStepAnalysisRunStatus, p.st.Canary.CurrentBackgroundAnalysisRunStatus = nil, nil
		return
	}
	var step *v1alpha1.AnalysisRun
	if s := p.step(); s != nil && s.Analysis != nil {
		step = p.find(RunTypeStep)
	}
	beside := p.find(RunTypeBackground)
	p.st.Canary.CurrentStepAnalysisRunStatus = mirror(step)
	p.st.Canary.CurrentBackgroundAnalysisRunStatus = mirror(beside)
	for _, run := range []*v1alpha1.AnalysisRun{step, beside} {
		if run != nil && !p.aborted() {
			p.judge(run)
		}
	}
}

// judge draws the conclusion from one analysis.
func (p *pass) judge(run *v1alpha1.AnalysisRun) {
	kind := "Step-based"
	switch run.Labels[LabelRunType] {
	case RunTypeBackground:
		kind = "Background"
	case RunTypePrePromotion:
		kind = "Pre-promotion"
	case RunTypePostPromotion:
		kind = "Post-promotion"
	}
	switch run.Status.Phase {
	case v1alpha1.AnalysisFailed, v1alpha1.AnalysisError:
		p.abort(kind + " analysis phase error/failed: " + run.Status.Message)
	case v1alpha1.AnalysisInconclusive:
		if p.known(run) && !p.pausedFor(v1alpha1.PauseReasonInconclusiveAnalysis) {
			// A person wants to go on: measure once more.
			p.do(RetireAnalysisRun{Name: run.Name, Superseded: true})
			p.resume()
			return
		}
		p.pause(v1alpha1.PauseReasonInconclusiveAnalysis, "Rollout is paused (InconclusiveAnalysisRun)")
		p.reason = ReasonPaused
	}
}

// known reports whether an earlier pass has seen the verdict, so that a pause that is gone was taken away by a
// person.
func (p *pass) known(run *v1alpha1.AnalysisRun) bool {
	before, blue := p.ro.Status.Canary, p.ro.Status.BlueGreen
	for _, seen := range []*v1alpha1.RolloutAnalysisRunStatus{
		before.CurrentStepAnalysisRunStatus, before.CurrentBackgroundAnalysisRunStatus,
		blue.PrePromotionAnalysisRunStatus, blue.PostPromotionAnalysisRunStatus,
	} {
		if seen != nil && seen.Name == run.Name && seen.Status == run.Status.Phase {
			return true
		}
	}
	return false
}

// find returns the analysis of the current attempt, of the current step for one that belongs to a step.
func (p *pass) find(kind string) *v1alpha1.AnalysisRun {
	for _, run := range p.w.Runs {
		if p.current(run) && run.Labels[LabelRunType] == kind &&
			(kind != RunTypeStep || run.Labels[LabelStepIndex] == strconv.Itoa(p.index())) {
			return run
		}
	}
	return nil
}

// current reports whether a run belongs to this attempt at this revision.
func (p *pass) current(run *v1alpha1.AnalysisRun) bool {
	return !p.anew && run.Labels[HashLabel] == p.hash && run.Annotations[AnnotationRevision] == p.revision &&
		run.Annotations[AnnotationSpent] == ""
}

func mirror(run *v1alpha1.AnalysisRun) *v1alpha1.RolloutAnalysisRunStatus {
	if run == nil {
		return nil
	}
	phase := run.Status.Phase
	if phase == "" {
		phase = v1alpha1.AnalysisPending
	}
	return &v1alpha1.RolloutAnalysisRunStatus{Name: run.Name, Status: phase, Message: run.Status.Message}
}

// startRuns starts the analyses that the current step calls for.
func (p *pass) startRuns() {
	if p.promoted() || p.aborted() || p.step() == nil || p.ro.Spec.Paused {
		return
	}
	if step := p.step().Analysis; step != nil && p.st.Canary.CurrentStepAnalysisRunStatus == nil &&
		p.find(RunTypeStep) == nil {
		p.st.Canary.CurrentStepAnalysisRunStatus = p.startRun(RunTypeStep, *step)
	}
	beside := p.canary.Analysis
	if beside == nil || p.index() < int(deref(beside.StartingStep)) || p.find(RunTypeBackground) != nil {
		return
	}
	p.st.Canary.CurrentBackgroundAnalysisRunStatus = p.startRun(RunTypeBackground, besideAnalysis(*beside))
}

func besideAnalysis(b v1alpha1.RolloutAnalysisBackground) v1alpha1.RolloutAnalysis {
	return v1alpha1.RolloutAnalysis{Templates: b.Templates, Args: b.Args, DryRun: b.DryRun,
		MeasurementRetention: b.MeasurementRetention, AnalysisRunMetadata: b.AnalysisRunMetadata}
}

func (p *pass) startRun(kind string, a v1alpha1.RolloutAnalysis) *v1alpha1.RolloutAnalysisRunStatus {
	spec, err := analysis.Merge(a, p.w.Templates, p.arguments(), kind != RunTypeBackground)
	if err != nil {
		// Validation has merged the same templates; only a template that changed in between gets here.
		p.abort("analysis cannot start: " + err.Error())
		return nil
	}
	run := &v1alpha1.AnalysisRun{
		TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "AnalysisRun"},
		ObjectMeta: metav1.ObjectMeta{
			Name: p.runName(kind), Namespace: p.ro.Namespace, OwnerReferences: []metav1.OwnerReference{p.owner()},
			Labels:      map[string]string{HashLabel: p.hash, LabelRunType: kind},
			Annotations: map[string]string{AnnotationRevision: p.revision},
		},
		Spec: spec,
	}
	if kind == RunTypeStep {
		run.Labels[LabelStepIndex] = strconv.Itoa(p.index())
	}
	if m := a.AnalysisRunMetadata; m != nil {
		fill(run.Labels, m.Labels)
		fill(run.Annotations, m.Annotations)
	}
	for _, key := range lineageKeys {
		if value := p.ro.Annotations[key]; value != "" {
			run.Annotations[key] = value
		}
	}
	run.Annotations[events.AnnotationKey] = run.Name
	p.do(CreateAnalysisRun{Object: run})
	p.note(false, ReasonRunStarted, kind+" analysis run '"+run.Name+"' is started")
	return &v1alpha1.RolloutAnalysisRunStatus{Name: run.Name, Status: v1alpha1.AnalysisPending}
}

func fill(into, from map[string]string) {
	for k, v := range from {
		if _, has := into[k]; !has {
			into[k] = v
		}
	}
}

// runName is derived from the causes; a further attempt gets the next free suffix.
func (p *pass) runName(kind string) string {
	base := strings.Join([]string{p.ro.Name, p.hash, p.revision}, "-")
	switch kind {
	case RunTypeStep:
		base += "-" + strconv.Itoa(p.index())
	case RunTypePrePromotion:
		base += "-pre"
	case RunTypePostPromotion:
		base += "-post"
	}
	name := base
	for i := 1; slices.ContainsFunc(p.w.Runs, func(r *v1alpha1.AnalysisRun) bool { return r.Name == name }); i++ {
		name = base + "." + strconv.Itoa(i)
	}
	return name
}

// arguments resolves the arguments of a rollout.
func (p *pass) arguments() analysis.Resolve {
	stable := p.st.StableRS
	return func(from v1alpha1.ArgumentValueFrom) (string, error) {
		return analysis.FromRollout(p.ro, from, p.hash, stable)
	}
}

// retireRuns ends the analyses of this revision; spent ones must not be used by the next attempt.
func (p *pass) retireRuns(spent bool) {
	p.retireExperiments(spent)
	p.anew = p.anew || spent
	for _, run := range p.w.Runs {
		if run.Labels[HashLabel] != p.hash || run.Annotations[AnnotationSpent] != "" {
			continue
		}
		done := run.Status.Phase.Completed() || run.Spec.Terminate
		if !done || spent {
			p.do(RetireAnalysisRun{Name: run.Name, Superseded: spent})
		}
	}
}

// pruneRuns deletes analyses beyond what history keeps, and those whose ReplicaSet is gone.
func (p *pass) pruneRuns() {
	keepGood, keepBad := int32(defaultRunHistory), int32(defaultRunHistory)
	if s := p.ro.Spec.Analysis; s != nil {
		keepGood = orElse(s.SuccessfulRunHistoryLimit, keepGood)
		keepBad = orElse(s.UnsuccessfulRunHistoryLimit, keepBad)
	}
	p.pruneExperiments(keepGood, keepBad)
	runs := slices.Clone(p.w.Runs)
	slices.SortStableFunc(
		runs,
		func(a, b *v1alpha1.AnalysisRun) int { return b.CreationTimestamp.Compare(a.CreationTimestamp.Time) },
	)
	for _, run := range runs {
		if !run.Status.Phase.Completed() || p.current(run) && !p.promoted() || run.DeletionTimestamp != nil {
			continue
		}
		keep := &keepBad
		if run.Status.Phase == v1alpha1.AnalysisSuccessful {
			keep = &keepGood
		}
		if *keep--; *keep < 0 || findByHash(p.w.ReplicaSets, run.Labels[HashLabel]) == nil {
			p.do(DeleteAnalysisRun{Name: run.Name})
		}
	}
}

func orElse[T any](v *T, fallback T) T {
	if v == nil {
		return fallback
	}
	return *v
}
