package metric

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Marks of the Jobs that measure, as upstream's.
const (
	// JobRunUID is the label of all of them: the UID of the run.
	JobRunUID     = "analysisrun.argoproj.io/uid"
	jobRunName    = "analysisrun.argoproj.io/name"
	jobMetricName = "analysisrun.argoproj.io/metric-name"
	// jobName is where the measurement remembers its Job.
	jobName = "job-name"
	// maxJobName is how long a name may be, since it becomes a label of pods.
	maxJobName = 63
	// maxPods bounds the pods of a Job that are looked at.
	maxPods = 50
)

var jobKind = kind{
	name: "job",
	is:   func(m v1alpha1.MetricProvider) bool { return m.Job != nil },
	open: func(t *tools) Provider { return job{t} },
}

// job runs a Job; how it ends is the measurement. Its name is made of the run, the metric and the number of the
// measurement, so that a process that ended before it wrote of its Job finds it again.
type job struct{ *tools }

// Run implements [Provider].
func (j job) Run(ctx context.Context, r Request) (Outcome, error) {
	if j.Objects == nil {
		return Outcome{}, errors.New("jobs cannot be made here")
	}
	made := jobOf(r)
	err := j.Objects.Create(ctx, made)
	if apierrors.IsAlreadyExists(err) {
		var had batchv1.Job
		if err := j.Live.Get(ctx, client.ObjectKeyFromObject(made), &had); err != nil {
			return Outcome{}, fmt.Errorf("look for job %s: %w", made.Name, err)
		}
		if !metav1.IsControlledBy(&had, r.Run) {
			return Outcome{}, fmt.Errorf("job %s is there and belongs to another", made.Name)
		}
		err = nil
	}
	if err != nil {
		return Outcome{}, fmt.Errorf("create job %s: %w", made.Name, err)
	}
	return Outcome{
		Phase: v1alpha1.AnalysisRunning, ResumeAt: r.Now.Add(time.Second),
		Metadata: map[string]string{jobName: made.Name},
	}, nil
}

func jobOf(r Request) *batchv1.Job {
	spec := r.Metric.Provider.Job
	made := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Name: nameOfJob(string(r.Run.UID), r.Metric.Name, r.Number), Namespace: r.Run.Namespace,
			Labels: maps.Clone(spec.Metadata.Labels), Annotations: maps.Clone(spec.Metadata.Annotations),
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: v1alpha1.GroupVersion.String(), Kind: "AnalysisRun", Name: r.Run.Name, UID: r.Run.UID,
				Controller: new(true), BlockOwnerDeletion: new(true),
			}},
		},
		Spec: *spec.Spec.DeepCopy(),
	}
	if made.Labels == nil {
		made.Labels = map[string]string{}
	}
	if made.Annotations == nil {
		made.Annotations = map[string]string{}
	}
	made.Labels[JobRunUID] = string(r.Run.UID)
	made.Annotations[jobRunName], made.Annotations[jobMetricName] = r.Run.Name, r.Metric.Name
	made.Annotations[events.AnnotationKey] = made.Name
	for _, key := range []string{
		events.AnnotationTraceparent, events.AnnotationCorrelationID, events.AnnotationCausationID,
	} {
		if v := r.Run.Annotations[key]; v != "" {
			made.Annotations[key] = v
		}
	}
	return made
}

// unnamed are the characters that a name of an object cannot have.
var unnamed = regexp.MustCompile(`[^a-z0-9.-]+`)

// nameOfJob is <uid>.<metric>.<n>, as upstream's. What had to be changed to be a name is told apart by its hash.
func nameOfJob(uid, metric string, n int) string {
	end := "." + strconv.Itoa(n)
	middle := strings.Trim(unnamed.ReplaceAllString(strings.ToLower(metric), "-"), "-.")
	if room := maxJobName - len(uid) - len(end) - 1; middle != metric || len(middle) > room {
		sum := sha256.Sum256([]byte(metric))
		mark := hex.EncodeToString(sum[:])[:8]
		middle = strings.Trim(middle[:max(0, min(len(middle), room-len(mark)-1))]+"-"+mark, "-.")
	}
	return uid + "." + middle + end
}

// Resume implements [Provider].
func (j job) Resume(ctx context.Context, r Request, m v1alpha1.Measurement) (Outcome, error) {
	name := m.Metadata[jobName]
	if name == "" {
		return Outcome{}, errors.New("the measurement has lost its " + jobName)
	}
	var made batchv1.Job
	key := client.ObjectKey{Namespace: r.Run.Namespace, Name: name}
	err := j.Objects.Get(ctx, key, &made)
	if apierrors.IsNotFound(err) { // the cache may not have heard of it
		err = j.Live.Get(ctx, key, &made)
	}
	if apierrors.IsNotFound(err) {
		return Outcome{}, fmt.Errorf("job %s is gone", name)
	}
	if err != nil {
		return Outcome{}, fmt.Errorf("look at job %s: %w", name, err)
	}
	out := Outcome{Metadata: m.Metadata}
	for _, c := range made.Status.Conditions {
		if c.Status != corev1.ConditionTrue {
			continue
		}
		switch c.Type {
		case batchv1.JobComplete:
			out.Phase = v1alpha1.AnalysisSuccessful
			return out, nil
		case batchv1.JobFailed:
			out.Phase, out.Message = v1alpha1.AnalysisFailed, strings.TrimSpace(c.Reason+" "+c.Message)
			return out, nil
		}
	}
	if m.ResumeAt != nil && r.Now.Before(m.ResumeAt.Time) {
		// Something happened to the Job, though not its end.
		out.Phase, out.ResumeAt = v1alpha1.AnalysisRunning, m.ResumeAt.Time
		return out, nil
	}
	return j.pulling(ctx, r, m, out)
}

// pullErrors are the reasons for which a container waits for an image that will not come.
var pullErrors = []string{"ErrImagePull", "ImagePullBackOff", "InvalidImageName"}

// pulling looks whether the Job waits for an image that will not come.
func (j job) pulling(ctx context.Context, r Request, m v1alpha1.Measurement, out Outcome) (Outcome, error) {
	var pods corev1.PodList
	err := j.Live.List(
		ctx, &pods, client.InNamespace(r.Run.Namespace), client.Limit(maxPods),
		client.MatchingLabels{batchv1.JobNameLabel: m.Metadata[jobName]},
	)
	if err != nil {
		return Outcome{}, fmt.Errorf("look at the pods of job %s: %w", m.Metadata[jobName], err)
	}
	for _, p := range pods.Items {
		for _, c := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
			w := c.State.Waiting
			if w == nil || !slices.Contains(pullErrors, w.Reason) {
				continue
			}
			// The Job is removed when the run has ended: without it, a pass that is repeated would find it gone.
			out.Phase = v1alpha1.AnalysisInconclusive
			out.Message = fmt.Sprintf("container %q of pod %s: %s: %s", c.Name, p.Name, w.Reason, w.Message)
			return out, nil
		}
	}
	out.Phase, out.ResumeAt = v1alpha1.AnalysisRunning, r.Now.Add(jobPause(r.Now, m))
	return out, nil
}

// jobPause is how long a Job is left alone, the longer it takes the longer: the watch tells of its end at once, this
// is for images that do not come.
func jobPause(now time.Time, m v1alpha1.Measurement) time.Duration {
	elapsed := 0.0
	if m.StartedAt != nil {
		elapsed = max(0, now.Sub(m.StartedAt.Time).Seconds())
	}
	return min(max(time.Duration(math.Sqrt(2*elapsed)*float64(time.Second)), time.Second), time.Minute)
}

// Terminate implements [Provider].
func (j job) Terminate(ctx context.Context, r Request, m v1alpha1.Measurement) (Outcome, error) {
	if err := j.remove(ctx, r.Run.Namespace, m.Metadata[jobName]); err != nil {
		return Outcome{}, err
	}
	return Outcome{Phase: v1alpha1.AnalysisInconclusive, Message: "job terminated", Metadata: m.Metadata}, nil
}

func (j job) remove(ctx context.Context, namespace, name string) error {
	made := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	err := j.Objects.Delete(ctx, made, client.PropagationPolicy(metav1.DeletePropagationBackground))
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("delete job %s: %w", name, err)
	}
	return nil
}

// Collect implements [Provider]: the Jobs of the newest measurements stay, for people to look at, but for those at
// work when the run has ended.
func (j job) Collect(ctx context.Context, r Request, keep int) error {
	var all batchv1.JobList
	err := j.Objects.List(
		ctx, &all, client.InNamespace(r.Run.Namespace), client.MatchingLabels{JobRunUID: string(r.Run.UID)},
	)
	if err != nil {
		return fmt.Errorf("list the jobs of %s: %w", r.Run.Name, err)
	}
	mine := slices.DeleteFunc(all.Items, func(o batchv1.Job) bool {
		return o.Annotations[jobMetricName] != r.Metric.Name || o.DeletionTimestamp != nil
	})
	slices.SortFunc(mine, func(a, b batchv1.Job) int { return cmp.Compare(jobNumber(a), jobNumber(b)) })
	var failed error
	for i, o := range mine {
		if i < len(mine)-keep || r.Run.Status.Phase.Completed() && !jobEnded(o) {
			failed = errors.Join(failed, j.remove(ctx, o.Namespace, o.Name))
		}
	}
	return failed
}

func jobEnded(o batchv1.Job) bool {
	return slices.ContainsFunc(o.Status.Conditions, func(c batchv1.JobCondition) bool {
		return c.Status == corev1.ConditionTrue && (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed)
	})
}

func jobNumber(o batchv1.Job) int {
	n, _ := strconv.Atoi(o.Name[strings.LastIndexByte(o.Name, '.')+1:])
	return n
}
