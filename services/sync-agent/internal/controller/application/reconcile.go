package application

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/services/sync-agent/internal/cluster"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/push"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/source"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/argosy-mesh/argosy/libs/kube/object"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/lineage"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/operation"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/source/git"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// Reconciler reconciles Applications.
type Reconciler struct {
	Shell
	metrics *metrics

	mu    sync.Mutex
	known map[string]*known // by uid
}

// Shell is what reconciling works with.
type Shell struct {
	Client  client.Client
	Reader  client.Reader // not cached
	Bus     *bus.Bus
	Live    *cluster.Cache
	Sources *source.Sources
	Log     *slog.Logger
	Refresh time.Duration // safety net behind push events
	Control string        // namespace whose applications use their bare name for tracking
}

// New returns a reconciler whose metrics are in r.
func New(s Shell, r prometheus.Registerer) *Reconciler {
	return &Reconciler{Shell: s, metrics: newMetrics(r), known: map[string]*known{}}
}

// known is what is remembered of one application.
type known struct {
	source.Memory
	refresh  string // id of the refresh that was done last
	failures int    // of reading the source, in a row
	settled  map[track.Key]operation.NormalizedDiff
}

// pass is one reconciliation of one application.
type pass struct {
	*Reconciler
	raw    *unstructured.Unstructured
	app    *v1alpha1.Application
	source v1alpha1.ApplicationSource
	known  *known
	report report
}

// Reconcile brings one application as far as it can go now.
func (a *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	raw := object.New("Application")
	if err := a.Client.Get(ctx, req.NamespacedName, raw); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	app, _, decodeErr := v1alpha1.DecodeTolerant[v1alpha1.Application](raw.Object)
	if raw.GetDeletionTimestamp() != nil {
		a.forget(string(raw.GetUID()))
		return a.cascade(ctx, raw, app)
	}
	if app.Annotations[operation.SkipReconcile] == "true" {
		return reconcile.Result{}, nil
	}
	p := &pass{Reconciler: a, raw: raw, app: app, known: a.remember(string(raw.GetUID())), report: newReport(app)}
	wake, err := p.run(ctx, decodeErr)
	if perr := p.patch(ctx); perr != nil {
		err = errors.Join(err, perr)
	}
	if apierrors.IsConflict(err) {
		// Somebody else was faster; the watch brings what they wrote.
		return reconcile.Result{RequeueAfter: 50 * time.Millisecond}, nil
	}
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("reconcile application %s: %w", req, err)
	}
	return reconcile.Result{RequeueAfter: a.next(wake)}, nil
}

// next is the time until the plan wants to be made again, at most the safety net.
func (a *Reconciler) next(wake time.Time) time.Duration {
	net := a.Refresh + rand.N(a.Refresh/4+1)
	if wake.IsZero() {
		return net
	}
	return min(net, max(time.Until(wake), time.Millisecond))
}

func (a *Reconciler) remember(uid string) *known {
	a.mu.Lock()
	defer a.mu.Unlock()
	k := a.known[uid]
	if k == nil {
		k = &known{Memory: source.NewMemory(time.Now()), settled: map[track.Key]operation.NormalizedDiff{}}
		a.known[uid] = k
	}
	return k
}

func (a *Reconciler) forget(uid string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.known, uid)
}

// run reads the spec, then Git, then the cluster, and goes on from there. What
// only a person can heal becomes a condition, not an error.
func (p *pass) run(ctx context.Context, decodeErr error) (time.Time, error) {
	source, err := source.Of(p.app.Spec)
	if err = errors.Join(decodeErr, err, destination(p.app.Spec.Destination)); err != nil {
		p.report.condition("InvalidSpecError", err.Error())
		p.report.unknown()
		return time.Time{}, nil
	}
	p.source = source
	began := time.Now()
	found, err := p.renderSource(ctx)
	p.metrics.checkouts.WithLabelValues(outcomeOf(err)).Observe(time.Since(began).Seconds())
	if err != nil {
		return p.lost(ctx, err), nil
	}
	p.known.failures = 0
	world, err := p.gather(ctx, found)
	if err != nil {
		p.report.condition("ComparisonError", err.Error())
		return time.Time{}, err
	}
	plan, err := p.advance(ctx, &world, found)
	if err != nil {
		return time.Time{}, err
	}
	p.report.compared(world, plan, found.Manifests.Type)
	if plan.Problem != "" {
		p.report.condition("SyncError", plan.Problem)
	}
	return plan.Wake, p.tellHealthy(ctx, world, plan, p.lineage(found))
}

// lost reports a repository that cannot be reached or rendered and says when to
// try again: after a second, then twice that and so on up to the safety net.
func (p *pass) lost(ctx context.Context, err error) time.Time {
	p.report.condition("ComparisonError", err.Error())
	p.report.unknown()
	p.Log.WarnContext(
		ctx, "source cannot be read", "application", p.name(), "failures", p.known.failures+1, "error", err,
	)
	wait := min(time.Second<<min(p.known.failures, 10), p.Refresh)
	p.known.failures++
	return time.Now().Add(wait)
}

// renderSource renders the source at the revision that is wanted now.
func (p *pass) renderSource(ctx context.Context) (*source.Rendered, error) {
	source := p.source
	if s := p.app.Status.OperationState; s != nil && s.Phase == v1alpha1.OperationRunning &&
		!s.Operation.InitiatedBy.Automated &&
		s.SyncResult != nil &&
		s.SyncResult.Revision != "" {
		source.TargetRevision = s.SyncResult.Revision
	} else if o := p.app.Operation; o != nil &&
		o.Sync != nil &&
		o.Sync.Revision != "" {
		source.TargetRevision = o.Sync.Revision
	}
	want := git.Want{Since: time.Now().Add(-p.Refresh)}
	id := p.app.Annotations[push.AnnotationRefresh]
	asked := p.app.Annotations[operation.RefreshAnnotation] != ""
	if (id != "" && id != p.known.refresh) || asked {
		want = git.Want{Since: time.Now()}
		p.report.refreshed = true
		if !asked {
			want.SHA = p.app.Annotations[push.AnnotationRevision]
		}
	}
	if asked {
		p.known.Forget()
	}
	found, err := p.Sources.Render(ctx, p.request(source, want), &p.known.Memory)
	if err == nil {
		p.known.refresh = id
	}
	return found, err
}

func destination(d v1alpha1.ApplicationDestination) error {
	switch {
	case d.Server != "" && d.Name != "":
		return errors.New("spec.destination: server and name exclude each other")
	case d.Name == "in-cluster" || d.Server == "https://kubernetes.default.svc":
		return nil
	case d.Name == "" && d.Server == "":
		return errors.New("spec.destination: server or name is missing")
	}
	return fmt.Errorf(
		"spec.destination: only the agent's own cluster is supported by this version, not %s%s", d.Name, d.Server,
	)
}

// lineage is what facts of this checkout carry: the chain of the commit, caused by
// the push that told about it.
func (p *pass) lineage(found *source.Rendered) lineage.Lineage {
	l := found.Lineage
	a := p.app.Annotations
	if a[push.AnnotationRefresh] == "" ||
		(a[push.AnnotationRevision] != "" && a[push.AnnotationRevision] != found.Revision) {
		return l
	}
	if l.Empty() {
		l = lineage.Lineage{Trace: a[push.AnnotationTrace], Correlation: a[push.AnnotationCorrelation]}
	}
	l.Causation = a[push.AnnotationRefresh]
	return l
}

// advance plans and performs until nothing is left or something has to be waited
// for.
func (p *pass) advance(ctx context.Context, w *operation.World, found *source.Rendered) (operation.Plan, error) {
	chain := p.lineage(found)
	// What is applied is caused by the sync, whose fact has this id.
	objects := chain
	objects.Causation = factID(p.app, w.Revision, events.FactApplicationSynced)
	perform := performer{client: p.Client, reader: p.Reader, live: p.Live, world: w, lineage: objects}
	for {
		plan := operation.Decide(*w)
		if plan.Operation == nil {
			return plan, nil
		}
		if plan.Begins {
			p.report.begin(w, plan)
			p.Log.InfoContext(
				ctx, "sync begins", "application", p.name(), "revision", w.Revision, "automated",
				plan.Operation.InitiatedBy.Automated,
			)
		}
		if len(plan.Step) == 0 {
			if plan.Phase == "" {
				p.report.operation.Message = plan.Wait
				return plan, nil
			}
			return p.end(ctx, w, plan, chain)
		}
		outcomes := perform.step(ctx, plan.Step)
		p.metrics.count(outcomes)
		failed := settle(w, outcomes)
		p.report.did(outcomes)
		if failed != nil && transient(failed) {
			p.report.operation.Message = "will be tried again: " + failed.Error()
			return plan, failed
		}
		if failed != nil {
			plan.Phase, plan.Message = v1alpha1.OperationFailed, "one or more objects failed to apply: "+failed.Error()
			return p.end(ctx, w, plan, chain)
		}
	}
}

// end tells how the operation ended and plans once more, for the report. Facts go
// out before the status says that the operation is over: a crash in between
// repeats them with the same ids.
func (p *pass) end(
	ctx context.Context, w *operation.World, plan operation.Plan, l lineage.Lineage,
) (operation.Plan, error) {
	p.report.end(w, plan)
	if err := p.tellEnd(ctx, *w, plan, l); err != nil {
		return plan, err
	}
	p.metrics.syncs.WithLabelValues(string(plan.Phase)).Inc()
	p.Log.InfoContext(
		ctx, "sync ended", "application", p.name(), "revision", w.Revision, "phase", plan.Phase, "message",
		plan.Message,
	)
	w.State, w.Request = p.report.operation, nil
	after := operation.Decide(*w)
	if after.Begins {
		// One operation per pass: the next one begins from what the watch brings.
		after.Wake = w.Now
	}
	return after, nil
}

func (p *pass) name() string { return p.app.Namespace + "/" + p.app.Name }
