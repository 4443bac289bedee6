package task

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/span"
	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/libs/flow/engine"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Job is the work of one node.
type Job struct {
	Run       string                 // uid of the workflow
	Node      string                 // id of the node
	Namespace string                 // of the workflow
	Workflow  string                 // its name
	Account   string                 // service account to act as
	Owner     metav1.OwnerReference  // the workflow, for objects that it is to own
	Marks     map[string]string      // annotations of what is made: its causes
	Template  v1alpha1.Template      // resolved
	Spec      *v1alpha1.WorkflowSpec // of the workflow: where its pods go, and its plugins
	Deadline  time.Time              // when it must have ended; zero: never
}

// key tells jobs apart, for good: it is the key of their effects.
func (j Job) key() string { return j.Run + "/" + j.Node }

// worker does one kind of work. It returns when the work ended or ctx did.
type worker interface {
	do(ctx context.Context, j Job) flow.Task
}

// Executor takes jobs and keeps how they ended until that was recorded.
type Executor struct {
	workers map[string]worker
	queue   chan *job
	ended   func(ctx context.Context, namespace, workflow string) // told when a job ended

	mu   sync.Mutex
	jobs map[string]map[string]*job // by run, by node
}

// job is one job at the desk. Its fields belong to the desk's lock.
type job struct {
	Job
	cancel context.CancelFunc // nil before it was begun
	gone   bool               // given up before it was begun
	end    *flow.Task
}

// NewExecutor makes a desk; ended is told whenever a job has ended.
func NewExecutor(tools Tools, ended func(ctx context.Context, namespace, workflow string)) *Executor {
	return &Executor{workers: workers(tools), queue: make(chan *job), ended: ended, jobs: map[string]map[string]*job{}}
}

// Run does the jobs until ctx ends; then it gives up what is under way.
func (d *Executor) Run(ctx context.Context) error {
	var working sync.WaitGroup
	defer working.Wait()
	for {
		select {
		case <-ctx.Done():
			return nil
		case j := <-d.queue:
			working.Go(func() { d.work(ctx, j) })
		}
	}
}

// Begin takes a job, unless the desk has it already.
func (d *Executor) Begin(ctx context.Context, j Job) error {
	d.mu.Lock()
	if d.jobs[j.Run] == nil {
		d.jobs[j.Run] = map[string]*job{}
	}
	if d.jobs[j.Run][j.Node] != nil {
		d.mu.Unlock()
		return nil
	}
	fresh := &job{Job: j}
	d.jobs[j.Run][j.Node] = fresh
	d.mu.Unlock()
	select {
	case d.queue <- fresh:
		return nil
	case <-ctx.Done():
		d.Drop(j.Run, j.Node)
		return context.Cause(ctx)
	}
}

// Ended are the jobs of a run that have ended, by node.
func (d *Executor) Ended(run string) map[string]flow.Task {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := map[string]flow.Task{}
	for node, j := range d.jobs[run] {
		if j.end != nil {
			out[node] = *j.end
		}
	}
	return out
}

// Drop forgets a job, and gives it up if it is under way.
func (d *Executor) Drop(run, node string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if j := d.jobs[run][node]; j != nil {
		j.drop()
		delete(d.jobs[run], node)
	}
	if len(d.jobs[run]) == 0 {
		delete(d.jobs, run)
	}
}

// DropRun forgets the jobs of a run.
func (d *Executor) DropRun(run string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, j := range d.jobs[run] {
		j.drop()
	}
	delete(d.jobs, run)
}

func (j *job) drop() {
	j.gone = true
	if j.cancel != nil {
		j.cancel()
	}
}

// workerOf is the worker of a template's kind; one that there is not fails its node by name.
func (d *Executor) workerOf(t *v1alpha1.Template) worker {
	kind := engine.KindOf(t)
	if w := d.workers[kind]; w != nil {
		return w
	}
	return missing(kind)
}

// missing is the worker of a kind that has none.
type missing string

func (m missing) do(context.Context, Job) flow.Task {
	return failed("templates of kind %q are not served by this version", string(m))
}

func (d *Executor) work(life context.Context, j *job) {
	ctx, cancel := context.WithCancel(life)
	defer cancel()
	if limit, ok := j.limit(); ok {
		var expire context.CancelFunc
		ctx, expire = context.WithDeadlineCause(ctx, limit, errDeadline)
		defer expire()
	}
	d.mu.Lock()
	if j.gone {
		d.mu.Unlock()
		return
	}
	j.cancel = cancel
	d.mu.Unlock()
	end := d.workerOf(&j.Template).do(ctx, j.Job)
	if errors.Is(context.Cause(ctx), errDeadline) {
		end = failed("Step exceeded its deadline")
	}
	end.At = time.Now()
	d.mu.Lock()
	tell := !j.gone && (ctx.Err() == nil || errors.Is(context.Cause(ctx), errDeadline))
	if tell {
		j.end = &end
	}
	d.mu.Unlock()
	if tell {
		d.ended(life, j.Namespace, j.Workflow)
	}
}

// limit is when a job must have ended: by its workflow's deadline, or its template's own.
func (j *job) limit() (time.Time, bool) {
	at := j.Deadline
	if own := j.Template.ActiveDeadlineSeconds; own != nil && own.IntValue() > 0 {
		if end := time.Now().Add(span.Seconds(own.IntValue())); at.IsZero() || end.Before(at) {
			at = end
		}
	}
	return at, !at.IsZero()
}
