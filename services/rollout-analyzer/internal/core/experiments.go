package core

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core/traffic"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The values of specRef of an experiment's template.
const (
	specRefStable = "stable"
	specRefCanary = "canary"
)

// experiment is that of the current step and attempt, nil when there is none.
func (p *pass) experiment() *v1alpha1.Experiment {
	for _, ex := range p.w.Experiments {
		if p.anew || ex.Annotations[AnnotationSpent] != "" || ex.Labels[HashLabel] != p.hash ||
			ex.Annotations[AnnotationRevision] != p.revision || ex.Labels[LabelStepIndex] != strconv.Itoa(p.index()) {
			continue
		}
		return ex
	}
	return nil
}

// judgeExperiment draws the conclusion from the experiment of the current step.
func (p *pass) judgeExperiment() {
	p.st.Canary.CurrentExperiment = ""
	s := p.step()
	if s == nil || s.Experiment == nil || p.promoted() || p.aborted() || p.hurries() {
		return
	}
	ex := p.experiment()
	if ex == nil {
		return
	}
	p.st.Canary.CurrentExperiment = ex.Name
	switch ex.Status.Phase {
	case v1alpha1.AnalysisFailed, v1alpha1.AnalysisError:
		p.abort("Experiment phase error/failed: " + ex.Status.Message)
	case v1alpha1.AnalysisInconclusive:
		if p.ro.Status.Canary.CurrentExperiment == ex.Name && p.ro.Status.ControllerPause &&
			!p.pausedFor(v1alpha1.PauseReasonInconclusiveExperiment) {
			// A person wants to go on: the experiment counts as content.
			return
		}
		p.pause(v1alpha1.PauseReasonInconclusiveExperiment, "Rollout is paused (InconclusiveExperiment)")
		p.reason = ReasonPaused
	}
}

// experimentOver reports whether the step of an experiment is complete.
func (p *pass) experimentOver() bool {
	ex := p.experiment()
	if ex == nil {
		return false
	}
	switch ex.Status.Phase {
	case v1alpha1.AnalysisSuccessful:
		return true
	case v1alpha1.AnalysisInconclusive:
		return !p.pausedFor(v1alpha1.PauseReasonInconclusiveExperiment)
	default:
		return false
	}
}

// startExperiment starts the experiment that the current step calls for.
func (p *pass) startExperiment() {
	s := p.step()
	if s == nil || s.Experiment == nil || p.promoted() || p.aborted() || p.ro.Spec.Paused || p.experiment() != nil {
		return
	}
	ex, err := p.buildExperiment(*s.Experiment)
	if err != nil {
		p.abort("experiment cannot start: " + err.Error())
		return
	}
	p.st.Canary.CurrentExperiment = ex.Name
	p.do(CreateExperiment{Object: ex})
	p.note(false, ReasonExperiment, "Experiment '"+ex.Name+"' is started")
}

func (p *pass) buildExperiment(s v1alpha1.RolloutExperimentStep) (*v1alpha1.Experiment, error) {
	base := strings.Join([]string{p.ro.Name, p.hash, p.revision, strconv.Itoa(p.index())}, "-")
	name := base
	for i := 1; slices.ContainsFunc(p.w.Experiments, func(e *v1alpha1.Experiment) bool { return e.Name == name }); i++ {
		name = base + "." + strconv.Itoa(i)
	}
	ex := &v1alpha1.Experiment{
		TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "Experiment"},
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: p.ro.Namespace, OwnerReferences: []metav1.OwnerReference{p.owner()},
			Labels:      map[string]string{HashLabel: p.hash, LabelStepIndex: strconv.Itoa(p.index())},
			Annotations: map[string]string{AnnotationRevision: p.revision, events.AnnotationKey: name},
		},
		Spec: v1alpha1.ExperimentSpec{
			Duration: v1alpha1.DurationString(s.Duration), ScaleDownDelaySeconds: s.ScaleDownDelaySeconds,
			ProgressDeadlineSeconds: p.ro.Spec.ProgressDeadlineSeconds, DryRun: s.DryRun,
			AnalysisRunMetadata: s.AnalysisRunMetadata,
		},
	}
	for _, key := range lineageKeys {
		if value := p.ro.Annotations[key]; value != "" {
			ex.Annotations[key] = value
		}
	}
	for _, t := range s.Templates {
		made, err := p.experimentTemplate(t)
		if err != nil {
			return nil, err
		}
		ex.Spec.Templates = append(ex.Spec.Templates, made)
	}
	for _, a := range s.Analyses {
		ref := v1alpha1.ExperimentAnalysisTemplateRef{
			Name: a.Name, TemplateName: a.TemplateName, ClusterScope: a.ClusterScope,
			RequiredForCompletion: a.RequiredForCompletion,
		}
		for _, arg := range a.Args {
			given := v1alpha1.Argument{Name: arg.Name, Value: arg.Value}
			if arg.ValueFrom != nil {
				value, err := p.arguments()(*arg.ValueFrom)
				if err != nil {
					return nil, fmt.Errorf("argument %s of %s: %w", arg.Name, a.Name, err)
				}
				given.Value = v1alpha1.AnyStringPtr(value)
			}
			ref.Args = append(ref.Args, given)
		}
		ex.Spec.Analyses = append(ex.Spec.Analyses, ref)
	}
	return ex, nil
}

// experimentTemplate is one set of pods: those of the wanted or of the stable template, told apart by further labels.
func (p *pass) experimentTemplate(t v1alpha1.RolloutExperimentTemplate) (out v1alpha1.TemplateSpec, err error) {
	var template corev1.PodTemplateSpec
	switch t.SpecRef {
	case specRefCanary:
		p.ro.Spec.Template.DeepCopyInto(&template)
	case specRefStable:
		if p.stableRS == nil {
			return out, fmt.Errorf("the stable ReplicaSet is not there")
		}
		p.stableRS.Spec.Template.DeepCopyInto(&template)
		template.ObjectMeta = undressed(template.ObjectMeta, worn(p.stableRS))
		delete(template.Labels, HashLabel)
		template.Spec.Affinity = withoutSpread(template.Spec.Affinity)
	default:
		return out, fmt.Errorf("specRef %q is neither stable nor canary", t.SpecRef)
	}
	selector := p.ro.Spec.Selector.DeepCopy()
	if t.Selector != nil {
		selector = t.Selector.DeepCopy()
	}
	for k, v := range t.Metadata.Labels {
		template.Labels = with(template.Labels, k, v)
		selector.MatchLabels = with(selector.MatchLabels, k, v)
	}
	for k, v := range t.Metadata.Annotations {
		template.Annotations = with(template.Annotations, k, v)
	}
	out = v1alpha1.TemplateSpec{
		Name: t.Name, Replicas: t.Replicas, MinReadySeconds: p.ro.Spec.MinReadySeconds, Selector: selector,
		Template: template, Service: t.Service,
	}
	if t.Weight != nil && out.Service == nil {
		// What gets traffic needs a name to get it by.
		out.Service = &v1alpha1.TemplateService{}
	}
	return out, nil
}

// additional are the shares of the experiment of the current step, while its pods are there.
func (p *pass) additional() (out []traffic.Destination) {
	s := p.step()
	if s == nil || s.Experiment == nil || p.aborted() || p.promoted() || p.hurries() {
		return nil
	}
	ex := p.experiment()
	if ex == nil || ex.Status.AvailableAt == nil || ex.Status.Phase.Completed() {
		return nil
	}
	for _, t := range s.Experiment.Templates {
		i := slices.IndexFunc(ex.Status.TemplateStatuses, func(st v1alpha1.TemplateStatus) bool {
			return st.Name == t.Name && st.Status == v1alpha1.TemplateRunning && st.ServiceName != ""
		})
		if t.Weight != nil && i >= 0 {
			st := ex.Status.TemplateStatuses[i]
			out = append(
				out,
				traffic.Destination{Service: st.ServiceName, Hash: st.PodTemplateHash, Weight: *t.Weight},
			)
		}
	}
	return out
}

// retireExperiments ends the experiments of this revision; spent ones must not be used by the next attempt.
func (p *pass) retireExperiments(spent bool) {
	for _, ex := range p.w.Experiments {
		if ex.Labels[HashLabel] != p.hash || ex.Annotations[AnnotationSpent] != "" {
			continue
		}
		if done := ex.Status.Phase.Completed() || ex.Spec.Terminate; !done || spent {
			p.do(RetireExperiment{Name: ex.Name, Superseded: spent})
		}
	}
}

// pruneExperiments deletes experiments beyond what history keeps, and those whose ReplicaSet is gone.
func (p *pass) pruneExperiments(keepGood, keepBad int32) {
	all := slices.Clone(p.w.Experiments)
	slices.SortStableFunc(all, func(a, b *v1alpha1.Experiment) int {
		return b.CreationTimestamp.Compare(a.CreationTimestamp.Time)
	})
	current := p.experiment()
	for _, ex := range all {
		if !ex.Status.Phase.Completed() || ex == current && !p.promoted() || ex.DeletionTimestamp != nil {
			continue
		}
		keep := &keepBad
		if ex.Status.Phase == v1alpha1.AnalysisSuccessful {
			keep = &keepGood
		}
		if *keep--; *keep < 0 || findByHash(p.w.ReplicaSets, ex.Labels[HashLabel]) == nil {
			p.do(DeleteExperiment{Name: ex.Name})
		}
	}
}

// experiment checks a step that runs one.
func (v *checking) experiment(at string, s *v1alpha1.RolloutExperimentStep, routing bool) {
	if len(s.Templates) == 0 {
		v.addf(at+".templates", "must not be empty")
	}
	names := map[string]bool{}
	for i, t := range s.Templates {
		here := fmt.Sprintf("%s.templates[%d]", at, i)
		switch {
		case t.Name == "" || names[t.Name]:
			v.addf(here+".name", "must be there, and only once")
		case t.SpecRef != specRefStable && t.SpecRef != specRefCanary:
			v.addf(here+".specRef", "%q is neither stable nor canary", t.SpecRef)
		case t.Weight != nil && !routing:
			v.addf(here+".weight", "needs trafficRouting")
		case t.Weight != nil && !v.w.Routing.Weights:
			v.addf(here+".weight", "is something that not all of the named routers can give to an experiment")
		}
		names[t.Name] = true
	}
	for i, a := range s.Analyses {
		ref := v1alpha1.AnalysisTemplateRef{TemplateName: a.TemplateName, ClusterScope: a.ClusterScope}
		if _, is := v.w.Templates[ref]; !is && !v.w.Partial {
			v.addf(fmt.Sprintf("%s.analyses[%d].templateName", at, i), "template %q is not there", a.TemplateName)
		}
	}
}
