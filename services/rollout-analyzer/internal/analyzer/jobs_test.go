package analyzer

import (
	"context"
	"errors"
	"fmt"

	"github.com/argosy-mesh/argosy/libs/kube/object"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// measured lets Jobs measure: one that ends well, one whose image does not come, one whose run a person ends. Nobody
// runs Jobs here; the test says what became of them.
func (f *field) measured() {
	f.apply("jobs", "jobs.yaml")
	smoke := f.job("jobs", "smoke")
	now := metav1.Now()
	smoke.Status = batchv1.JobStatus{StartTime: &now, CompletionTime: &now, Succeeded: 1}
	smoke.Status.Conditions = []batchv1.JobCondition{
		{Type: batchv1.JobSuccessCriteriaMet, Status: corev1.ConditionTrue},
		{Type: batchv1.JobComplete, Status: corev1.ConditionTrue},
	}
	if err := f.client.Status().Update(f.t.Context(), smoke); err != nil {
		f.t.Fatal(err)
	}
	f.run("jobs", "smoke", v1alpha1.AnalysisSuccessful)

	pulling := f.job("jobs", "pulling")
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: "jobs", Name: "pulling", Labels: map[string]string{batchv1.JobNameLabel: pulling.Name},
	}, Spec: *pulling.Spec.Template.Spec.DeepCopy()}
	f.eventually("a pod", func(ctx context.Context) error { return f.client.Create(ctx, pod) })
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: "main", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull"}},
	}}
	if err := f.client.Status().Update(f.t.Context(), pod); err != nil {
		f.t.Fatal(err)
	}
	f.run("jobs", "pulling", v1alpha1.AnalysisInconclusive)
	f.gone(pulling)

	ended := f.job("jobs", "ended")
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"terminate":true}}`))
	if err := f.client.Patch(f.t.Context(), object.Named("AnalysisRun", "jobs", "ended"), patch); err != nil {
		f.t.Fatal(err)
	}
	f.run("jobs", "ended", v1alpha1.AnalysisInconclusive)
	f.gone(ended)
}

// job waits for the Job of a run whose only metric has its name.
func (f *field) job(namespace, run string) *batchv1.Job {
	f.t.Helper()
	var out *batchv1.Job
	f.eventually("the job of "+run, func(ctx context.Context) error {
		var all batchv1.JobList
		if err := f.client.List(ctx, &all, client.InNamespace(namespace)); err != nil {
			return err
		}
		for i := range all.Items {
			if all.Items[i].Annotations["analysisrun.argoproj.io/name"] == run {
				out = &all.Items[i]
				return nil
			}
		}
		return errors.New("not there")
	})
	return out
}

// gone waits until a Job is deleted.
func (f *field) gone(j *batchv1.Job) {
	f.t.Helper()
	f.eventually("job "+j.Name+" to go", func(ctx context.Context) error {
		var now batchv1.Job
		err := f.client.Get(ctx, client.ObjectKeyFromObject(j), &now)
		if apierrors.IsNotFound(err) || err == nil && now.DeletionTimestamp != nil {
			return nil
		}
		return fmt.Errorf("it is there: %w", err)
	})
}

// run waits until a run is in a phase.
func (f *field) run(namespace, name string, phase v1alpha1.AnalysisPhase) {
	f.t.Helper()
	last := "nothing seen"
	f.eventually(fmt.Sprintf("run %s to be %s", name, phase), func(ctx context.Context) error {
		u := object.New("AnalysisRun")
		if err := f.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, u); err != nil {
			return fmt.Errorf("%w after %s", err, last)
		}
		run, _, err := v1alpha1.DecodeTolerant[v1alpha1.AnalysisRun](u.Object)
		if err != nil {
			return err
		}
		if run.Status.Phase != phase {
			last = fmt.Sprintf("%s %q %+v", run.Status.Phase, run.Status.Message, run.Status.MetricResults)
			return errors.New(last)
		}
		return nil
	})
}
