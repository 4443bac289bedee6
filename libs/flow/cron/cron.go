// Package cron decides when a CronWorkflow runs: a World goes in, a Decision comes out. It does no I/O and knows no
// clock.
//
// The name of a run follows from its time, so that replicas that decide the same make one workflow. The status is
// written after the workflow was made: a crash in between makes the same workflow again, which is none.
package cron

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/span"
	"github.com/argosy-mesh/argosy/libs/flow/expression"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/robfig/cron/v3"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// late is how long after its time a run is still on time. Later it was missed: only startingDeadlineSeconds lets it
// run.
const late = 30 * time.Second

// World is everything that a decision may look at.
type World struct {
	Name, Namespace     string
	Labels, Annotations map[string]string
	Created             time.Time
	Spec                v1alpha1.CronWorkflowSpec
	Status              v1alpha1.CronWorkflowStatus
	Children            []Child   // its workflows that exist
	Seen                time.Time // up to when times were decided about, as far as is known; zero: not known
	Now                 time.Time
}

// Child is one workflow of a CronWorkflow.
type Child struct {
	Name     string
	UID      string
	Phase    v1alpha1.WorkflowPhase
	Finished time.Time
}

// Decision is what to do, in this order, and what to write down then.
type Decision struct {
	Terminate []string    // names of workflows that make way
	Submit    []time.Time // times of the runs to make
	Delete    []string    // names of workflows that history no longer keeps
	Status    v1alpha1.CronWorkflowStatus
	Seen      time.Time // becomes World.Seen
	Wake      time.Time // when to look again; zero: when something changes
}

// RunName is the name of the workflow of a time. Source: Argo Workflows.
func RunName(name string, at time.Time) string { return fmt.Sprintf("%s-%d", name, at.Unix()) }

// Decide says what a CronWorkflow does now.
func Decide(w World) Decision {
	d := Decision{Status: *w.Status.DeepCopy(), Seen: w.Now}
	d.count(w)
	d.Delete = history(w)
	plan, err := parse(w.Spec)
	d.condition("SpecError", err)
	if err != nil {
		return d
	}
	stopped, err := d.stopped(w)
	d.condition("StopStrategyError", err)
	if stopped || w.Spec.Suspend || err != nil {
		return d
	}
	d.Wake = plan.next(w.Now)
	due := plan.latest(since(w), w.Now)
	if due.IsZero() || !inTime(w, due) {
		return d
	}
	run, err := d.allowed(w)
	d.condition("SubmissionError", err)
	if !run || err != nil {
		return d
	}
	d.start(w, due)
	return d
}

// since is the time from which on runs are due.
func since(w World) time.Time {
	from := w.Created
	if at := w.Status.LastScheduledTime; at != nil && at.After(from) {
		from = at.Time
	}
	if w.Seen.After(from) {
		from = w.Seen
	}
	return from
}

func inTime(w World, due time.Time) bool {
	limit := late
	if s := w.Spec.StartingDeadlineSeconds; s != nil {
		limit = max(limit, span.Seconds(*s))
	}
	return !w.Now.After(due.Add(limit))
}

// allowed reports whether policy and condition let a run begin.
func (d *Decision) allowed(w World) (bool, error) {
	if w.Spec.ConcurrencyPolicy == "Forbid" && len(active(w))+len(d.Status.Active) > 0 {
		return false, nil
	}
	if w.Spec.When == "" {
		return true, nil
	}
	yes, err := expression.When(w.Spec.When, variables(w, w.Status))
	if err != nil {
		return false, fmt.Errorf("when: %w", err)
	}
	return yes, nil
}

func (d *Decision) start(w World, due time.Time) {
	if w.Spec.ConcurrencyPolicy == "Replace" {
		for _, c := range active(w) {
			d.Terminate = append(d.Terminate, c.Name)
		}
	}
	d.Submit = append(d.Submit, due)
	at := metav1.NewTime(due)
	d.Status.LastScheduledTime = &at
	d.Status.Active = append(d.Status.Active, reference(w, Child{Name: RunName(w.Name, due)}))
	d.Status.Phase = "Active"
}

func active(w World) []Child {
	return slices.DeleteFunc(slices.Clone(w.Children), func(c Child) bool { return c.Phase.Completed() })
}

func reference(w World, c Child) corev1.ObjectReference {
	ref := corev1.ObjectReference{APIVersion: v1alpha1.GroupVersion.String(), Kind: "Workflow", Namespace: w.Namespace,
		Name: c.Name}
	ref.UID = uid(c.UID)
	return ref
}

// count takes runs that ended off the list of active ones, and adds them up.
func (d *Decision) count(w World) {
	d.Status.Active = nil
	for _, ref := range w.Status.Active {
		at := slices.IndexFunc(w.Children, func(c Child) bool { return c.Name == ref.Name })
		if at < 0 {
			// It was removed before it ended, or was made just now and is not seen yet.
			if last := w.Status.LastScheduledTime; last != nil && ref.Name == RunName(w.Name, last.Time) &&
				w.Now.Before(last.Add(late)) {
				d.Status.Active = append(d.Status.Active, ref)
			}
			continue
		}
		switch c := w.Children[at]; {
		case !c.Phase.Completed():
			d.Status.Active = append(d.Status.Active, reference(w, c))
		case c.Phase == v1alpha1.WorkflowSucceeded:
			d.Status.Succeeded++
		default:
			d.Status.Failed++
		}
	}
}

// stopped reports whether the stop strategy has ended the CronWorkflow, for good.
func (d *Decision) stopped(w World) (bool, error) {
	if w.Status.Phase == "Stopped" {
		return true, nil
	}
	if w.Spec.StopStrategy == nil || w.Spec.StopStrategy.Expression == "" {
		return false, nil
	}
	yes, err := expression.Holds(w.Spec.StopStrategy.Expression, variables(w, d.Status))
	if err != nil {
		return false, fmt.Errorf("stopStrategy: %w", err)
	}
	if yes {
		d.Status.Phase = "Stopped"
	}
	return yes, nil
}

// condition notes an error, or that there is none any more.
func (d *Decision) condition(kind string, err error) {
	d.Status.Conditions = slices.DeleteFunc(d.Status.Conditions,
		func(c v1alpha1.Condition) bool { return c.Type == kind })
	if err != nil {
		d.Status.Conditions = append(d.Status.Conditions,
			v1alpha1.Condition{Type: kind, Status: "True", Message: err.Error()})
	}
}

// How many ended runs are kept where the manifest says nothing. Source: Argo Workflows.
const (
	keepSucceeded = 3
	keepFailed    = 1
)

// history lists the runs that are not kept any longer: the oldest beyond the limits.
func history(w World) []string {
	var gone []string
	for _, of := range []struct {
		succeeded bool
		limit     *int64
		otherwise int64
	}{{true, w.Spec.SuccessfulJobsHistoryLimit, keepSucceeded}, {false, w.Spec.FailedJobsHistoryLimit, keepFailed}} {
		limit := of.otherwise
		if of.limit != nil {
			limit = max(*of.limit, 0)
		}
		ended := slices.DeleteFunc(slices.Clone(w.Children), func(c Child) bool {
			return !c.Phase.Completed() || (c.Phase == v1alpha1.WorkflowSucceeded) != of.succeeded
		})
		slices.SortFunc(ended, func(a, b Child) int {
			return cmp.Or(b.Finished.Compare(a.Finished), cmp.Compare(b.Name, a.Name))
		})
		for i, c := range ended {
			if int64(i) >= limit {
				gone = append(gone, c.Name)
			}
		}
	}
	return gone
}

// plan is when a CronWorkflow runs.
type plan struct {
	schedules []cron.Schedule
	zone      *time.Location
}

func parse(spec v1alpha1.CronWorkflowSpec) (plan, error) {
	p := plan{zone: time.UTC}
	if spec.Timezone != "" {
		zone, err := time.LoadLocation(spec.Timezone)
		if err != nil {
			return p, fmt.Errorf("timezone %q: %w", spec.Timezone, err)
		}
		p.zone = zone
	}
	schedules := Schedules(spec)
	if len(schedules) == 0 {
		return p, errors.New("schedules: there is none")
	}
	for _, text := range schedules {
		s, err := cron.ParseStandard(text)
		if err != nil {
			return p, fmt.Errorf("schedule %q: %w", text, err)
		}
		p.schedules = append(p.schedules, s)
	}
	return p, nil
}

// Schedules are the schedules of a CronWorkflow, with the one that version 3 of Argo Workflows knew.
func Schedules(spec v1alpha1.CronWorkflowSpec) []string {
	if spec.Schedule == "" || slices.Contains(spec.Schedules, spec.Schedule) {
		return spec.Schedules
	}
	return append([]string{spec.Schedule}, spec.Schedules...)
}

// next is the first time after one.
func (p plan) next(after time.Time) time.Time {
	var first time.Time
	for _, s := range p.schedules {
		if at := s.Next(after.In(p.zone)); !at.IsZero() && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	return first
}

// steps bounds the search for missed times: beyond it the past is too long ago to matter.
const steps = 100_000

// latest is the last time after from and not after until; zero when there is none. Of several missed runs only that
// one counts.
func (p plan) latest(from, until time.Time) time.Time {
	var last time.Time
	for range steps {
		at := p.next(from)
		if at.IsZero() || at.After(until) {
			return last
		}
		last, from = at, at
	}
	return p.latest(until.Add(-time.Hour), until)
}

// Between lists the times of a span, both ends included; more than limit of them are an error.
func Between(spec v1alpha1.CronWorkflowSpec, from, until time.Time, limit int) ([]time.Time, error) {
	p, err := parse(spec)
	if err != nil {
		return nil, err
	}
	var out []time.Time
	for at := p.next(from.Add(-time.Second)); !at.IsZero() && !at.After(until); at = p.next(at) {
		if len(out) == limit {
			return nil, fmt.Errorf("the span has more than %d runs", limit)
		}
		out = append(out, at)
	}
	return out, nil
}
