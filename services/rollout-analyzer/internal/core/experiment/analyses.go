package experiment

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/span"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core/analysis"
)

// analyses starts the analyses once all pods are available, and reads their verdicts.
func (p *pass) analyses() {
	for i := range p.ex.Spec.Analyses {
		ref := p.ex.Spec.Analyses[i]
		run := p.run(ref.Name)
		if run == nil {
			if p.st.AvailableAt == nil || p.done() || p.ex.Spec.Terminate {
				continue
			}
			p.start(ref)
			continue
		}
		st := p.runStatus(ref.Name)
		st.AnalysisRun, st.Phase, st.Message = run.Name, run.Status.Phase, run.Status.Message
		if st.Phase == "" {
			st.Phase = v1alpha1.AnalysisPending
		}
	}
}

func (p *pass) run(name string) *v1alpha1.AnalysisRun {
	for _, run := range p.w.Runs {
		if run.Annotations[AnnotationTemplate] == name {
			return run
		}
	}
	return nil
}

func (p *pass) runStatus(name string) *v1alpha1.ExperimentAnalysisRunStatus {
	for i := range p.st.AnalysisRuns {
		if p.st.AnalysisRuns[i].Name == name {
			return &p.st.AnalysisRuns[i]
		}
	}
	p.st.AnalysisRuns = append(p.st.AnalysisRuns, v1alpha1.ExperimentAnalysisRunStatus{Name: name})
	return &p.st.AnalysisRuns[len(p.st.AnalysisRuns)-1]
}

// start starts one analysis. Its arguments may name the pods of the experiment.
func (p *pass) start(ref v1alpha1.ExperimentAnalysisTemplateRef) {
	st := p.runStatus(ref.Name)
	fail := func(err error) {
		st.Phase, st.Message = v1alpha1.AnalysisError, err.Error()
	}
	a := v1alpha1.RolloutAnalysis{
		Templates: []v1alpha1.AnalysisTemplateRef{{TemplateName: ref.TemplateName, ClusterScope: ref.ClusterScope}},
		DryRun:    p.ex.Spec.DryRun, MeasurementRetention: p.ex.Spec.MeasurementRetention,
	}
	secrets := map[string]*v1alpha1.ValueFromArgument{}
	for _, arg := range ref.Args {
		given := v1alpha1.AnalysisRunArgument{Name: arg.Name}
		switch {
		case arg.Value != nil:
			value, err := p.fill(string(*arg.Value))
			if err != nil {
				fail(fmt.Errorf("argument %s: %w", arg.Name, err))
				return
			}
			given.Value = v1alpha1.AnyStringPtr(value)
		case arg.ValueFrom != nil && arg.ValueFrom.FieldRef != nil:
			given.ValueFrom = &v1alpha1.ArgumentValueFrom{FieldRef: arg.ValueFrom.FieldRef}
		case arg.ValueFrom != nil:
			secrets[arg.Name] = arg.ValueFrom
			given.Value = v1alpha1.AnyStringPtr("")
		}
		a.Args = append(a.Args, given)
	}
	spec, err := analysis.Merge(a, p.w.Templates, p.resolve, false)
	if err != nil {
		fail(err)
		return
	}
	for i := range spec.Args {
		if from := secrets[spec.Args[i].Name]; from != nil {
			spec.Args[i].Value, spec.Args[i].ValueFrom = nil, from
		}
	}
	run := &v1alpha1.AnalysisRun{
		TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "AnalysisRun"},
		ObjectMeta: metav1.ObjectMeta{
			Name: p.ex.Name + "-" + ref.Name, Namespace: p.ex.Namespace, OwnerReferences: p.owner(),
			Annotations: p.marks(ref.Name), Labels: map[string]string{},
		},
		Spec: spec,
	}
	if m := p.ex.Spec.AnalysisRunMetadata; m != nil {
		maps.Copy(run.Labels, m.Labels)
		maps.Copy(run.Annotations, m.Annotations)
	}
	st.AnalysisRun, st.Phase = run.Name, v1alpha1.AnalysisPending
	p.do(CreateAnalysisRun{Object: run})
	p.note(false, "AnalysisRunRunning", "Analysis run '"+run.Name+"' is started")
}

// fill puts in what an argument may say of the experiment.
func (p *pass) fill(text string) (string, error) {
	pairs := []string{}
	for _, t := range p.st.TemplateStatuses {
		pairs = append(pairs, "templates."+t.Name+".podTemplateHash", t.PodTemplateHash,
			"templates."+t.Name+".replicaset.name", p.ex.Name+"-"+t.Name)
	}
	pairs = append(
		pairs,
		"experiment.availableAt",
		timeText(p.st.AvailableAt),
		"experiment.finishedAt",
		p.finishedAt(),
	)
	out := text
	for i := 0; i < len(pairs); i += 2 {
		for _, tag := range []string{"{{" + pairs[i] + "}}", "{{ " + pairs[i] + " }}"} {
			out = strings.ReplaceAll(out, tag, pairs[i+1])
		}
	}
	if from := strings.Index(out, "{{templates."); from >= 0 {
		return "", fmt.Errorf("%q names no template of the experiment", out[from:])
	}
	return out, nil
}

func timeText(t *metav1.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// finishedAt is when the experiment will end by itself, empty when it has no end.
func (p *pass) finishedAt() string {
	over, has := p.over()
	if !has {
		return ""
	}
	return over.UTC().Format(time.RFC3339)
}

// over is when the time of the experiment is up.
func (p *pass) over() (time.Time, bool) {
	if p.ex.Spec.Duration == "" || p.st.AvailableAt == nil {
		return time.Time{}, false
	}
	length, err := span.Parse(string(p.ex.Spec.Duration))
	if err != nil {
		return time.Time{}, false
	}
	return p.st.AvailableAt.Add(length), true
}

// resolve takes the value of an argument from the experiment itself.
func (p *pass) resolve(from v1alpha1.ArgumentValueFrom) (string, error) {
	ro := &v1alpha1.Rollout{ObjectMeta: p.ex.ObjectMeta}
	return analysis.FromRollout(ro, from, "", "")
}

// worse orders verdicts: a later one takes the place of an earlier one.
func worse(a, b v1alpha1.AnalysisPhase) v1alpha1.AnalysisPhase {
	order := []v1alpha1.AnalysisPhase{
		"",
		v1alpha1.AnalysisSuccessful,
		v1alpha1.AnalysisInconclusive,
		v1alpha1.AnalysisError,
		v1alpha1.AnalysisFailed,
	}
	for _, phase := range order {
		if phase == a {
			return b
		}
		if phase == b {
			return a
		}
	}
	return a
}

// conclude decides whether the experiment is over, and how.
func (p *pass) conclude() {
	if p.done() {
		p.endRuns()
		return
	}
	phase, message := p.verdict()
	required, content := 0, 0
	for _, ref := range p.ex.Spec.Analyses {
		if !ref.RequiredForCompletion {
			continue
		}
		required++
		if p.runStatus(ref.Name).Phase == v1alpha1.AnalysisSuccessful {
			content++
		}
	}
	over, has := p.over()
	switch {
	case phase != "":
	case p.ex.Spec.Terminate:
		phase, message = v1alpha1.AnalysisSuccessful, "Experiment was terminated"
	case required > 0 && required == content:
		phase = v1alpha1.AnalysisSuccessful
	case required == 0 && has && !p.w.Now.Before(over):
		phase = v1alpha1.AnalysisSuccessful
	default:
		if required == 0 && has {
			p.wakeAt(over)
		}
		return
	}
	for i := range p.st.TemplateStatuses {
		if st := &p.st.TemplateStatuses[i]; !st.Status.Completed() {
			st.Status, st.LastTransitionTime = v1alpha1.TemplateSuccessful, p.now()
		}
	}
	p.finish(phase, "Experiment"+string(phase), message)
	p.endRuns()
}

// verdict is what ends the experiment at once, empty when nothing does.
func (p *pass) verdict() (phase v1alpha1.AnalysisPhase, message string) {
	for _, t := range p.st.TemplateStatuses {
		if t.Status == v1alpha1.TemplateFailed || t.Status == v1alpha1.TemplateError {
			next := worse(phase, v1alpha1.AnalysisPhase(t.Status))
			if next != phase {
				phase, message = next, t.Message
			}
		}
	}
	for _, run := range p.st.AnalysisRuns {
		if !run.Phase.Completed() || run.Phase == v1alpha1.AnalysisSuccessful {
			continue
		}
		if next := worse(phase, run.Phase); next != phase {
			phase, message = next, run.Message
		}
	}
	return phase, message
}

// endRuns ends the analyses that still run.
func (p *pass) endRuns() {
	for _, run := range p.w.Runs {
		if !run.Status.Phase.Completed() && !run.Spec.Terminate {
			p.do(EndAnalysisRun{Name: run.Name})
		}
	}
}
