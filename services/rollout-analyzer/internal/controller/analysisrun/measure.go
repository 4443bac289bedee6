package analysisrun

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/libs/kube/secret"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core/analysis"
	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/metric"
)

// step is one thing to do with a metric's measurement.
type step func(ctx context.Context, p metric.Provider, q metric.Request, m v1alpha1.Measurement) (metric.Outcome, error)

func begin(
	ctx context.Context, p metric.Provider, q metric.Request, _ v1alpha1.Measurement,
) (metric.Outcome, error) {
	return p.Run(ctx, q)
}

func resume(
	ctx context.Context, p metric.Provider, q metric.Request, m v1alpha1.Measurement,
) (metric.Outcome, error) {
	return p.Resume(ctx, q, m)
}

// stop ends a measurement. One that cannot be ended is over all the same: the run must not wait for it.
func stop(ctx context.Context, p metric.Provider, q metric.Request, m v1alpha1.Measurement) (metric.Outcome, error) {
	out, err := p.Terminate(ctx, q, m)
	if err == nil && !out.Phase.Completed() {
		out.Phase = v1alpha1.AnalysisSuccessful
	}
	return out, err
}

// measure does all that is due, side by side.
func (r *Reconciler) measure(
	ctx context.Context, run *v1alpha1.AnalysisRun, plan analysis.Plan,
) map[string]analysis.Taken {
	out := map[string]analysis.Taken{}
	if !plan.Due() && len(plan.Look) == 0 {
		return out
	}
	args, hidden, err := r.arguments(ctx, run)
	ending := map[string]bool{}
	for _, m := range plan.Stop {
		ending[m.Name] = true
	}
	var mu sync.Mutex
	var all sync.WaitGroup
	each := func(metrics []v1alpha1.Metric, do step, unread error) {
		for _, m := range metrics {
			all.Go(func() {
				q := metric.Request{
					Metric: m, Run: run, Now: r.Now(), Hidden: hidden.Clone(), Number: 1, Ending: ending[m.Name],
				}
				taken := r.one(ctx, q, do, args, unread)
				mu.Lock()
				defer mu.Unlock()
				out[m.Name] = taken
			})
		}
	}
	each(plan.Start, begin, err)
	each(plan.Resume, resume, err)
	each(plan.Look, resume, err)
	each(plan.Stop, stop, nil) // what is ended needs no arguments, and must not wait for them
	all.Wait()
	return out
}

// unreadable is when to look again at a measurement whose arguments cannot be read now.
const unreadable = 10 * time.Second

// one does one thing with a measurement; whatever goes wrong becomes an error of the measurement.
func (r *Reconciler) one(
	ctx context.Context, q metric.Request, do step, args map[string]string, err error,
) analysis.Taken {
	taken := analysis.Taken{Measurement: v1alpha1.Measurement{Phase: v1alpha1.AnalysisError}}
	name := q.Metric.Name
	if had := analysis.Unfinished(q.Run, name); had != nil {
		taken.Measurement = *had.DeepCopy()
	} else {
		taken.StartedAt = new(metav1.NewTime(q.Now.Truncate(time.Second)))
	}
	for _, result := range q.Run.Status.MetricResults {
		if result.Name == name {
			q.Number = int(result.Count + result.Error + 1)
		}
	}
	var value metric.Outcome
	if err == nil {
		var filled v1alpha1.Metric
		if filled, err = analysis.Substitute(q.Metric, args); err == nil {
			q.Metric = filled
		} else if q.Ending {
			err = nil
		}
	}
	if err != nil && taken.Phase == v1alpha1.AnalysisRunning {
		// What is being measured goes on, as a Job does, while a Secret cannot be read.
		taken.ResumeAt = new(metav1.NewTime(q.Now.Add(unreadable).Truncate(time.Second)))
		taken.Message = q.Hidden.Error(err).Error()
		return taken
	}
	if err == nil {
		q.Interval, _ = time.ParseDuration(string(q.Metric.Interval))
		value, err = do(ctx, r.Measurer, q, taken.Measurement)
	}
	taken.Value, taken.Message, taken.About = value.Text, value.Message, value.About
	if value.Metadata != nil { // an error leaves what is known, such as the name of the Job
		taken.Metadata = value.Metadata
	}
	if taken.Phase = value.Phase; taken.Phase == "" && err == nil {
		taken.Phase, err = analysis.Judge(q.Metric, value.Result, r.Now())
	}
	if err != nil {
		taken.Phase, taken.Message = v1alpha1.AnalysisError, q.Hidden.Error(err).Error()
	}
	taken.ResumeAt = nil
	if !taken.Phase.Completed() {
		taken.ResumeAt = new(metav1.NewTime(value.ResumeAt.Truncate(time.Second)))
		return taken
	}
	taken.FinishedAt = new(metav1.NewTime(r.Now().Truncate(time.Second)))
	r.measured.WithLabelValues(string(taken.Phase)).Inc()
	return taken
}

// arguments reads the values of a run's arguments, and hides those that must not be shown.
func (r *Reconciler) arguments(
	ctx context.Context, run *v1alpha1.AnalysisRun,
) (values map[string]string, hidden *metric.Redactor, err error) {
	values, hidden = map[string]string{}, &metric.Redactor{}
	for _, a := range run.Spec.Args {
		switch {
		case a.Value != nil && a.ValueFrom != nil:
			return values, hidden, fmt.Errorf("argument %q has both value and valueFrom", a.Name)
		case a.Value != nil:
			values[a.Name] = a.Value.String()
		case a.ValueFrom != nil && a.ValueFrom.SecretKeyRef != nil:
			ref := a.ValueFrom.SecretKeyRef
			text, err := r.Secrets.Value(
				ctx,
				run.Namespace,
				&corev1.SecretKeySelector{
					LocalObjectReference: corev1.LocalObjectReference{Name: ref.Name},
					Key:                  ref.Key,
				},
			)
			if _, missing := secret.IsMissing(err); missing {
				return values, hidden, fmt.Errorf("argument %q: secret %s has no key %s", a.Name, ref.Name, ref.Key)
			}
			if err != nil {
				return values, hidden, fmt.Errorf("argument %q: %w", a.Name, err)
			}
			values[a.Name] = text
			hidden.Hide(text)
		}
	}
	return values, hidden, nil
}

// collect lets providers remove what measurements left behind that nobody looks at any more. What cannot be removed
// now is removed after the next measurement, or with the run.
func (r *Reconciler) collect(ctx context.Context, run *v1alpha1.AnalysisRun) {
	for _, m := range run.Spec.Metrics {
		keep := analysis.Retention(run.Spec, m.Name)
		for _, result := range run.Status.MetricResults {
			if result.Name != m.Name || result.Count+result.Error <= keep && !run.Status.Phase.Completed() {
				continue
			}
			q := metric.Request{Metric: m, Run: run, Now: r.Now()}
			if err := r.Measurer.Collect(ctx, q, int(keep)); err != nil {
				r.Log.WarnContext(
					ctx, "old measurements are not removed", "run", run.Namespace+"/"+run.Name, "metric", m.Name,
					"error", err,
				)
			}
		}
	}
}
