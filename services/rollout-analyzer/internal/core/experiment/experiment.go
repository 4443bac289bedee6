// Package experiment decides what happens to an Experiment next. It is a pure function of a [World], as the core of
// Rollouts is.
//
// The way of an experiment: the pods of all templates become available; then, for a duration or until the analyses
// that it needs are content, they run and are measured; then, after a delay, they go. Whatever fails ends it at once.
//
//	Pending → Running → Successful | Failed | Error | Inconclusive
//
// Promise: performing the actions in order and deciding again asks for nothing new; names are derived from the
// experiment, so that a crash between two actions repeats harmless ones.
package experiment

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/span"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"

	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core/analysis"
	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core/traffic"
)

// Annotations of what belongs to an experiment, as upstream has them.
const (
	AnnotationName     = "experiment.argoproj.io/name"
	AnnotationTemplate = "experiment.argoproj.io/template-name"
	AnnotationDeadline = "scale-down-deadline"
)

// Defaults of an experiment, in seconds.
const (
	defaultProgressDeadline = 600
	defaultScaleDownDelay   = 30
)

// World is everything that may be looked at.
type World struct {
	// Now is the time of looking.
	Now time.Time
	// Experiment is the object to decide about; it is not changed.
	Experiment *v1alpha1.Experiment
	// ReplicaSets, Services and Runs are those that it owns.
	ReplicaSets []*appsv1.ReplicaSet
	Services    []*corev1.Service
	Runs        []*v1alpha1.AnalysisRun
	// Templates are the analysis templates that can be reached from it; a missing one is absent.
	Templates analysis.Templates
}

// Action is one effect to perform. The set is sealed; the shell switches over all of it.
//
//sumtype:decl
type Action interface{ action() }

// CreateReplicaSet makes the pods of a template.
type CreateReplicaSet struct{ Object *appsv1.ReplicaSet }

// UpdateReplicaSet changes the size of a ReplicaSet and says when it will go, if it still is the version looked at.
type UpdateReplicaSet struct {
	Name, Version string
	Replicas      int32
	// Deadline is when its pods go; empty removes the announcement.
	Deadline string
}

// CreateService makes the service of a template.
type CreateService struct{ Object *corev1.Service }

// DeleteService removes one.
type DeleteService struct{ Name string }

// CreateAnalysisRun starts an analysis.
type CreateAnalysisRun struct{ Object *v1alpha1.AnalysisRun }

// EndAnalysisRun ends one that runs.
type EndAnalysisRun struct{ Name string }

// PatchStatus writes the status, last of all.
type PatchStatus struct{ Status v1alpha1.ExperimentStatus }

// RecordEvent tells people what happened.
type RecordEvent struct {
	Warning         bool
	Reason, Message string
}

// WakeAt asks to be looked at again.
type WakeAt struct{ At time.Time }

func (CreateReplicaSet) action()  {}
func (UpdateReplicaSet) action()  {}
func (CreateService) action()     {}
func (DeleteService) action()     {}
func (CreateAnalysisRun) action() {}
func (EndAnalysisRun) action()    {}
func (PatchStatus) action()       {}
func (RecordEvent) action()       {}
func (WakeAt) action()            {}

// pass is one decision in the making.
type pass struct {
	w   World
	ex  *v1alpha1.Experiment
	st  v1alpha1.ExperimentStatus
	out []Action
	at  time.Time
}

// Decide returns what to do, in the order to do it.
func Decide(w World) []Action {
	if w.Experiment.DeletionTimestamp != nil {
		return nil
	}
	p := &pass{w: w, ex: w.Experiment}
	p.ex.Status.DeepCopyInto(&p.st)
	if problem := Check(p.ex, w.Templates); problem != "" && p.st.Phase == "" {
		p.finish(v1alpha1.AnalysisError, "InvalidExperimentSpec", problem)
		return p.end()
	}
	p.pods()
	p.analyses()
	p.conclude()
	p.leave()
	return p.end()
}

func (p *pass) do(a Action) { p.out = append(p.out, a) }

func (p *pass) wakeAt(t time.Time) {
	if p.at.IsZero() || t.Before(p.at) {
		p.at = t
	}
}

func (p *pass) now() *metav1.Time {
	t := metav1.NewTime(p.w.Now.Truncate(time.Second))
	return &t
}

func (p *pass) end() []Action {
	if !equality.Semantic.DeepEqual(p.st, p.ex.Status) {
		p.do(PatchStatus{Status: p.st})
	}
	if !p.at.IsZero() {
		p.do(WakeAt{At: p.at})
	}
	return p.out
}

// Check says why an experiment cannot be run, empty when it can.
func Check(ex *v1alpha1.Experiment, known analysis.Templates) string {
	if len(ex.Spec.Templates) == 0 {
		return "spec.templates: must not be empty"
	}
	names := map[string]bool{}
	for i, t := range ex.Spec.Templates {
		at := fmt.Sprintf("spec.templates[%d]", i)
		switch {
		case t.Name == "" || names[t.Name]:
			return at + ".name: must be there once"
		case t.Selector == nil || len(t.Selector.MatchLabels)+len(t.Selector.MatchExpressions) == 0:
			return at + ".selector: must not be empty"
		case len(t.Template.Spec.Containers) == 0:
			return at + ".template.spec.containers: must not be empty"
		case t.Service != nil && len(ports(&t)) == 0:
			return at + ".service: needs a port of a container (ports of the template), and there is none"
		}
		names[t.Name] = true
		selector, err := metav1.LabelSelectorAsSelector(t.Selector)
		if err != nil {
			return at + ".selector: " + err.Error()
		}
		if !selector.Matches(labelSet(t.Template.Labels)) {
			return at + ".template.metadata.labels: must match the selector"
		}
	}
	if ex.Spec.Duration != "" {
		if _, err := span.Parse(string(ex.Spec.Duration)); err != nil {
			return "spec.duration: " + err.Error()
		}
	}
	for i, a := range ex.Spec.Analyses {
		ref := v1alpha1.AnalysisTemplateRef{TemplateName: a.TemplateName, ClusterScope: a.ClusterScope}
		if _, is := known[ref]; !is {
			return fmt.Sprintf("spec.analyses[%d]: template %q is not there", i, a.TemplateName)
		}
	}
	return ""
}

type labelSet map[string]string

// Has and Get make labels what a selector asks.
func (s labelSet) Has(key string) bool   { _, is := s[key]; return is }
func (s labelSet) Get(key string) string { return s[key] }

// Lookup is Get that says whether the label is there.
func (s labelSet) Lookup(key string) (string, bool) { v, is := s[key]; return v, is }

// done reports whether the experiment has its verdict.
func (p *pass) done() bool { return p.st.Phase.Completed() }

// pods makes the pods and services of all templates, and writes down how they are.
func (p *pass) pods() {
	all := true
	for i := range p.ex.Spec.Templates {
		t := &p.ex.Spec.Templates[i]
		st := p.status(t.Name)
		rs := p.replicaSet(t.Name)
		if rs == nil {
			if !p.done() {
				made := p.build(t)
				st.PodTemplateHash = made.Labels[traffic.HashLabel]
				p.do(CreateReplicaSet{Object: made})
				p.note(false, "NewReplicaSetCreated", "Created ReplicaSet "+made.Name)
			}
			p.progress(st, t, nil)
			all = false
			continue
		}
		st.PodTemplateHash = rs.Labels[traffic.HashLabel]
		p.service(t, st, rs)
		p.progress(st, t, rs)
		all = all && rs.Status.AvailableReplicas >= wanted(t)
	}
	if p.st.Phase == "" {
		p.st.Phase = v1alpha1.AnalysisPending
	}
	if all && p.st.AvailableAt == nil && !p.done() {
		p.st.AvailableAt = p.now()
		p.st.Phase = v1alpha1.AnalysisRunning
		p.note(false, "ExperimentRunning", "Experiment is running: the pods of all templates are available")
	}
}

// progress writes down how the pods of a template are, and ends what took too long.
func (p *pass) progress(st *v1alpha1.TemplateStatus, t *v1alpha1.TemplateSpec, rs *appsv1.ReplicaSet) {
	if rs != nil {
		st.Replicas, st.UpdatedReplicas = rs.Status.Replicas, rs.Status.Replicas
		st.ReadyReplicas, st.AvailableReplicas = rs.Status.ReadyReplicas, rs.Status.AvailableReplicas
	}
	if p.done() || st.Status.Completed() {
		return
	}
	next := v1alpha1.TemplateProgressing
	if rs != nil && rs.Status.AvailableReplicas >= wanted(t) {
		next = v1alpha1.TemplateRunning
	}
	if st.Status != next {
		st.Status, st.LastTransitionTime = next, p.now()
	}
	if next != v1alpha1.TemplateProgressing {
		return
	}
	limit := int64(defaultProgressDeadline)
	if s := p.ex.Spec.ProgressDeadlineSeconds; s != nil {
		limit = int64(*s)
	}
	over := st.LastTransitionTime.Add(time.Duration(limit) * time.Second)
	if p.w.Now.Before(over) {
		p.wakeAt(over)
		return
	}
	st.Status, st.LastTransitionTime = v1alpha1.TemplateFailed, p.now()
	st.Message = fmt.Sprintf("Template %q exceeded its progressDeadlineSeconds (%d)", t.Name, limit)
	p.note(true, "TemplateFailed", st.Message)
}

func wanted(t *v1alpha1.TemplateSpec) int32 {
	if t.Replicas == nil {
		return 1
	}
	return *t.Replicas
}

func size(rs *appsv1.ReplicaSet) int32 {
	if rs.Spec.Replicas == nil {
		return 1
	}
	return *rs.Spec.Replicas
}

// status is that of a template, made when it is new.
func (p *pass) status(name string) *v1alpha1.TemplateStatus {
	for i := range p.st.TemplateStatuses {
		if p.st.TemplateStatuses[i].Name == name {
			return &p.st.TemplateStatuses[i]
		}
	}
	p.st.TemplateStatuses = append(p.st.TemplateStatuses, v1alpha1.TemplateStatus{Name: name})
	return &p.st.TemplateStatuses[len(p.st.TemplateStatuses)-1]
}

func (p *pass) replicaSet(template string) *appsv1.ReplicaSet {
	for _, rs := range p.w.ReplicaSets {
		if rs.Annotations[AnnotationTemplate] == template {
			return rs
		}
	}
	return nil
}

// hashOf names the pods of a template: never as another template, or a Rollout with the same one, would.
func (p *pass) hashOf(t *v1alpha1.TemplateSpec) string {
	h := fnv.New32a()
	text, err := json.Marshal(t.Template)
	if err != nil {
		text = []byte(err.Error())
	}
	h.Write(text)
	fmt.Fprint(h, p.ex.Name, "/", t.Name)
	return rand.SafeEncodeString(strconv.FormatUint(uint64(h.Sum32()), 10))
}

func (p *pass) owner() []metav1.OwnerReference {
	return []metav1.OwnerReference{{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: "Experiment", Name: p.ex.Name, UID: p.ex.UID,
		Controller: new(true), BlockOwnerDeletion: new(true),
	}}
}

func (p *pass) marks(template string) map[string]string {
	out := map[string]string{AnnotationName: p.ex.Name, AnnotationTemplate: template}
	for _, key := range []string{
		events.AnnotationTraceparent, events.AnnotationCorrelationID, events.AnnotationCausationID,
	} {
		if v := p.ex.Annotations[key]; v != "" {
			out[key] = v
		}
	}
	return out
}

func (p *pass) build(t *v1alpha1.TemplateSpec) *appsv1.ReplicaSet {
	hash := p.hashOf(t)
	template, selector := t.Template.DeepCopy(), t.Selector.DeepCopy()
	template.Labels = with(template.Labels, traffic.HashLabel, hash)
	selector.MatchLabels = with(selector.MatchLabels, traffic.HashLabel, hash)
	return &appsv1.ReplicaSet{
		TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "ReplicaSet"},
		ObjectMeta: metav1.ObjectMeta{
			Name: p.ex.Name + "-" + t.Name, Namespace: p.ex.Namespace, Labels: maps.Clone(template.Labels),
			Annotations: p.marks(t.Name), OwnerReferences: p.owner(),
		},
		Spec: appsv1.ReplicaSetSpec{
			Replicas: new(wanted(t)), MinReadySeconds: t.MinReadySeconds, Selector: selector, Template: *template,
		},
	}
}

// service makes the service of a template that asks for one, with the ports of its containers.
func (p *pass) service(t *v1alpha1.TemplateSpec, st *v1alpha1.TemplateStatus, rs *appsv1.ReplicaSet) {
	if t.Service == nil || p.done() {
		return
	}
	name := t.Service.Name
	if name == "" {
		name = rs.Name
	}
	st.ServiceName = name
	if slices.ContainsFunc(p.w.Services, func(s *corev1.Service) bool { return s.Name == name }) {
		return
	}
	p.do(CreateService{Object: &corev1.Service{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: p.ex.Namespace, Annotations: p.marks(t.Name), OwnerReferences: p.owner(),
		},
		Spec: corev1.ServiceSpec{Selector: maps.Clone(rs.Spec.Selector.MatchLabels), Ports: ports(t)},
	}})
}

// ports are those of a service: the ports of all containers.
func ports(t *v1alpha1.TemplateSpec) (out []corev1.ServicePort) {
	for _, c := range t.Template.Spec.Containers {
		for _, port := range c.Ports {
			made := corev1.ServicePort{
				Name: port.Name, Protocol: port.Protocol, Port: port.ContainerPort,
			}
			made.TargetPort.IntVal = port.ContainerPort
			if made.Name == "" {
				made.Name = fmt.Sprintf("port-%d", port.ContainerPort)
			}
			out = append(out, made)
		}
	}
	return out
}

// leave lets the pods go when the experiment is over, and their services with them.
func (p *pass) leave() {
	if !p.done() {
		return
	}
	delay := int64(defaultScaleDownDelay)
	if s := p.ex.Spec.ScaleDownDelaySeconds; s != nil {
		delay = int64(*s)
	}
	for _, rs := range p.w.ReplicaSets {
		if size(rs) == 0 {
			p.closeService(rs)
			continue
		}
		deadline, err := time.Parse(time.RFC3339, rs.Annotations[AnnotationDeadline])
		if err != nil {
			deadline = p.w.Now.Add(time.Duration(delay) * time.Second)
		}
		switch {
		case !p.w.Now.Before(deadline) || delay == 0:
			p.do(UpdateReplicaSet{Name: rs.Name, Version: rs.ResourceVersion})
			p.note(false, "ScalingReplicaSet", "Scaled down ReplicaSet "+rs.Name+" to 0")
		case err != nil:
			p.do(UpdateReplicaSet{
				Name: rs.Name, Version: rs.ResourceVersion, Replicas: size(rs),
				Deadline: deadline.UTC().Format(time.RFC3339),
			})
			p.wakeAt(deadline)
		default:
			p.wakeAt(deadline)
		}
	}
}

// closeService removes the service of pods that are gone.
func (p *pass) closeService(rs *appsv1.ReplicaSet) {
	for _, svc := range p.w.Services {
		if svc.Annotations[AnnotationTemplate] == rs.Annotations[AnnotationTemplate] {
			p.do(DeleteService{Name: svc.Name})
		}
	}
}

func (p *pass) note(warning bool, reason, message string) {
	p.do(RecordEvent{Warning: warning, Reason: reason, Message: message})
}

func with(m map[string]string, key, value string) map[string]string {
	out := maps.Clone(m)
	if out == nil {
		out = map[string]string{}
	}
	out[key] = value
	return out
}

// finish writes the verdict down.
func (p *pass) finish(phase v1alpha1.AnalysisPhase, reason, message string) {
	p.st.Phase, p.st.Message = phase, strings.TrimSpace(message)
	p.st.Conditions = []v1alpha1.ExperimentCondition{{
		Type: "Progressing", Status: corev1.ConditionFalse, Reason: reason, Message: p.st.Message,
		LastUpdateTime: p.now(), LastTransitionTime: p.now(),
	}}
	p.note(phase != v1alpha1.AnalysisSuccessful, "Experiment"+string(phase), orText(message, "Experiment is over"))
}

func orText(text, fallback string) string {
	if text == "" {
		return fallback
	}
	return text
}
