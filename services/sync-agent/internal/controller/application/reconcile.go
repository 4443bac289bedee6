package application

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/services/sync-agent/internal/cluster"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/project"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/push"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/projects"
	hub "github.com/argosy-mesh/argosy/services/sync-agent/internal/remote"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/source"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/argosy-mesh/argosy/libs/kube/object"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/lineage"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/diff"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/operation"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/source/git"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	kubeevents "k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// Reconciler reconciles Applications.
type Reconciler struct {
	Shell
	metrics *metrics

	mu    sync.Mutex
	known map[string]*known // by uid
	// uids are those of the applications that are known, by name: one that is gone has only its name left.
	uids map[types.NamespacedName]types.UID
	// inputs are what is known of what applications read.
	inputs map[types.UID]inputs
	// versions are those of the clusters that are connected, by server.
	versions map[string]served

	dependents     dependents
	customizations customizations
	strays         strays
}

// Shell is what reconciling works with.
type Shell struct {
	Client client.Client
	Reader client.Reader // not cached
	Bus    *bus.Bus
	// Clusters are where Applications go.
	Clusters *cluster.Pool
	Sources  *source.Sources
	Log      *slog.Logger
	// Recorder makes Kubernetes events; may be nil.
	Recorder kubeevents.EventRecorder
	Refresh  time.Duration // safety net behind push events
	Control  string        // namespace whose applications use their bare name for tracking
	Projects *projects.Projects
	Tracking track.Method // how objects are marked
	// Account, as namespace:name, writes for projects that name no account of their own; "" is the agent itself.
	Account string
	// WaveDelay is the least time between two waves of a sync.
	WaveDelay time.Duration
	// Hub hands applications over to the agents of other clusters; nil where this is such an agent.
	Hub *hub.Hub
	// Agent is this one's name where a control cluster hands applications over to it; "" is the control cluster itself.
	Agent string
}

// New returns a reconciler whose metrics are in r.
func New(s Shell, r prometheus.Registerer) *Reconciler {
	return &Reconciler{
		Shell:          s,
		metrics:        newMetrics(r),
		known:          map[string]*known{},
		uids:           map[types.NamespacedName]types.UID{},
		inputs:         map[types.UID]inputs{},
		versions:       map[string]served{},
		dependents:     dependents{who: map[types.NamespacedName]map[types.NamespacedName]bool{}},
		customizations: customizations{reader: s.Reader, namespace: s.Control},
	}
}

// known is what is remembered of one application.
type known struct {
	source.Memory
	refresh  string // id of the refresh that was done last
	failures int    // of reading the source, in a row
	settled  map[track.Key]operation.NormalizedDiff
	// progressed is when the last wave of the operation at work was applied.
	progressed time.Time
	written    *unstructured.Unstructured // the application as it was written last; nil when the watch has it
}

// newest is the application as it was read, or as we wrote it where the watch has not caught up with that yet: an
// operation would be begun again otherwise.
func (k *known) newest(read *unstructured.Unstructured) *unstructured.Unstructured {
	if k.written == nil || cluster.Version(read) >= cluster.Version(k.written) {
		k.written = nil
		return read
	}
	return k.written.DeepCopy()
}

// pass is one reconciliation of one application.
type pass struct {
	*Reconciler
	raw *unstructured.Unstructured
	app *v1alpha1.Application
	// sources are those of the spec, in their order; several only where spec.sources says so.
	sources []v1alpha1.ApplicationSource
	known   *known
	report  report

	project *project.Project
	cluster *cluster.Cluster
	target  operation.Target

	customized *customized
	ignore     diff.Rules
	wake       time.Time // when the windows of the project say something else
}

// Reconcile brings one application as far as it can go now.
func (a *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	raw := object.New("Application")
	if err := a.Client.Get(ctx, req.NamespacedName, raw); err != nil {
		if apierrors.IsNotFound(err) {
			a.forget(req.NamespacedName)
			err = a.elsewhere(ctx, req.NamespacedName, "")
		}
		return reconcile.Result{}, err
	}
	known := a.remember(raw)
	raw = known.newest(raw)
	app, warnings, decodeErr := v1alpha1.DecodeTolerant[v1alpha1.Application](raw.Object)
	if raw.GetDeletionTimestamp() != nil {
		a.forget(req.NamespacedName)
		result, err := a.cascade(ctx, raw, app)
		if apierrors.IsConflict(err) {
			return reconcile.Result{RequeueAfter: conflictAgain}, nil
		}
		return result, err
	}
	if !a.Projects.Serves(raw.GetNamespace()) {
		return reconcile.Result{}, nil
	}
	if app.Annotations[operation.SkipReconcile] == "true" {
		return reconcile.Result{}, a.pause(ctx, raw, app.Spec.Destination)
	}
	p := &pass{Reconciler: a, raw: raw, app: app, known: known, report: newReport(app)}
	p.report.unknownFields(warnings)
	began := time.Now()
	wake, err := p.run(ctx, decodeErr)
	if perr := p.conclude(ctx); perr != nil {
		err = errors.Join(err, perr)
	}
	a.metrics.looked(p.app, time.Since(began))
	if apierrors.IsConflict(err) {
		// Somebody else was faster; the watch brings what they wrote.
		return reconcile.Result{RequeueAfter: conflictAgain}, nil
	}
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("reconcile application %s: %w", req, err)
	}
	return reconcile.Result{RequeueAfter: a.next(wake)}, nil
}

// conflictAgain is when an application is looked at again that somebody else wrote meanwhile.
const conflictAgain = 50 * time.Millisecond

// next is the time until the plan wants to be made again, at most the safety net.
func (a *Reconciler) next(wake time.Time) time.Duration {
	net := a.Refresh + rand.N(a.Refresh/4+1)
	if wake.IsZero() {
		return net
	}
	return min(net, max(time.Until(wake), time.Millisecond))
}

func (a *Reconciler) remember(o client.Object) *known {
	a.mu.Lock()
	defer a.mu.Unlock()
	name, uid := client.ObjectKeyFromObject(o), o.GetUID()
	if former, is := a.uids[name]; is && former != uid {
		a.drop(former) // another one of the same name
	}
	a.uids[name] = uid
	k := a.known[string(uid)]
	if k == nil {
		k = &known{Memory: source.NewMemory(time.Now()), settled: map[track.Key]operation.NormalizedDiff{}}
		a.known[string(uid)] = k
	}
	return k
}

// forget drops all that is known of an application that is gone.
func (a *Reconciler) forget(name types.NamespacedName) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.drop(a.uids[name])
	delete(a.uids, name)
	a.metrics.forget(name)
	a.dependents.wait(name, nil)
}

// drop is forget by uid. The caller holds mu.
func (a *Reconciler) drop(uid types.UID) {
	delete(a.known, string(uid))
	delete(a.inputs, uid)
}

// run reads the spec, then Git, then the cluster, and goes on from there. What
// only a person can heal becomes a condition, not an error.
func (p *pass) run(ctx context.Context, decodeErr error) (time.Time, error) {
	sources, err := source.All(p.app.Spec)
	if err = errors.Join(decodeErr, err, checkDestination(p.app.Spec.Destination)); err != nil {
		p.report.condition("InvalidSpecError", err.Error())
		p.report.unknown()
		return time.Time{}, nil
	}
	p.sources = sources
	again := p.connect(ctx)
	to := ""
	if p.cluster != nil {
		to = p.cluster.Agent
	}
	if err := p.elsewhere(ctx, client.ObjectKeyFromObject(p.raw), to); err != nil {
		return time.Time{}, err
	}
	if p.cluster == nil {
		return again, nil
	}
	wrong, err := p.permit(ctx)
	if wrong != nil {
		p.report.condition("InvalidSpecError", wrong.Error())
		p.report.unknown()
	}
	if err == nil && p.cluster.Agent != "" {
		return p.handOver(ctx, wrong != nil)
	}
	if wrong != nil || err != nil {
		return time.Time{}, err
	}
	if err := p.customize(ctx); err != nil {
		return time.Time{}, err
	}
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
	if err := p.holdForHooks(ctx, world.Hooks); err != nil {
		return time.Time{}, err
	}
	plan, err := p.advance(ctx, &world, found)
	if err != nil {
		return time.Time{}, err
	}
	p.report.compared(world, plan, found)
	p.orphaned(ctx)
	if plan.Problem != "" {
		p.report.condition("SyncError", plan.Problem)
	}
	return sooner(plan.Wake, p.wake), p.tellHealthy(ctx, world, plan, p.lineage(found))
}

// sooner is the earlier of two times that are set.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
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

// wanted is what is compared with now: the sources and revisions of the operation at work where newer ones have to wait
// for it, else those that somebody asked for, else those of the spec. Revisions that are not said are "".
func (p *pass) wanted() operation.Target {
	if p.pinned() {
		return operation.TargetOf(p.app.Status.OperationState.SyncResult)
	}
	var t operation.Target
	if len(p.app.Spec.Sources) > 0 {
		t.Sources = p.sources
	} else {
		t.Source = p.sources[0]
	}
	o := p.app.Operation
	if o == nil || o.Sync == nil {
		return t
	}
	if o.Sync.Source != nil {
		t.Source, t.Sources = *o.Sync.Source, nil
	}
	if len(o.Sync.Sources) > 0 {
		t.Source, t.Sources = v1alpha1.ApplicationSource{}, o.Sync.Sources
	}
	t.Revision, t.Revisions = o.Sync.Revision, o.Sync.Revisions
	return t
}

// renderSource renders the sources at the revisions that are wanted now, and completes what is wanted by these.
func (p *pass) renderSource(ctx context.Context) (*source.Rendered, error) {
	p.target = p.wanted()
	want := git.Want{Since: time.Now().Add(-p.Refresh)}
	id := p.app.Annotations[push.AnnotationRefresh]
	asked := p.app.Annotations[operation.RefreshAnnotation] != ""
	if (id != "" && id != p.known.refresh) || asked {
		want = git.Want{Since: time.Now()}
		p.report.refreshed = true
		if !asked && len(p.target.Sources) == 0 {
			want.SHA = p.app.Annotations[push.AnnotationRevision]
		}
	}
	if asked {
		p.known.Forget()
	}
	request, err := p.request(want)
	if err != nil {
		return nil, err
	}
	found, err := p.Sources.Render(ctx, request, &p.known.Memory)
	if err != nil {
		return nil, err
	}
	p.known.refresh = id
	p.noteInputs(found)
	if len(p.target.Sources) > 0 {
		p.target.Revision, p.target.Revisions = "", found.Revisions
	} else {
		p.target.Revision, p.target.Revisions = found.Revision, nil
	}
	return found, nil
}

// supersede, set to "false" on an Application, has a newer commit wait until the operation at work has ended, its
// retries included.
const supersede = "argosy.dev/supersede"

// pinned reports whether a newer revision has to wait for the operation at work: somebody asked for it, one of its
// hooks runs, or the application wants it so.
func (p *pass) pinned() bool {
	s := p.app.Status.OperationState
	if s == nil || s.SyncResult == nil ||
		(s.Phase != v1alpha1.OperationRunning && s.Phase != v1alpha1.OperationTerminating) {
		return false
	}
	if s.FinishedAt != nil && s.Operation.Retry.Refresh {
		return false
	}
	return !s.Operation.InitiatedBy.Automated || p.app.Annotations[supersede] == "false" || slices.ContainsFunc(
		s.SyncResult.Resources, func(r v1alpha1.ResourceResult) bool {
			return r.HookType != "" && r.HookPhase == string(v1alpha1.OperationRunning)
		},
	)
}

func checkDestination(d v1alpha1.ApplicationDestination) error {
	switch {
	case d.Server != "" && d.Name != "":
		return errors.New("spec.destination: server and name exclude each other")
	case d.Name == "" && d.Server == "":
		return errors.New("spec.destination: server or name is missing")
	}
	return nil
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
	objects.Causation = factID(p.app, w.Target.String(), events.FactApplicationSynced)
	writer, err := p.writer(p.cluster, p.project, p.destination())
	if err != nil {
		return operation.Plan{}, err
	}
	perform := performer{
		client: writer, reader: p.cluster.Reader, live: p.cluster.Live, world: w, lineage: objects,
		manager: p.app.Annotations[migrationManager],
	}
	for {
		plan := operation.Decide(*w)
		p.turn(ctx, w, plan)
		err = nil
		switch {
		case len(plan.Ask) > 0:
			err = perform.answer(ctx, plan.Ask)
		case plan.Operation == nil:
			return plan, nil
		case len(plan.DryRun) > 0:
			w.Refused, err = perform.judge(ctx, plan.DryRun)
		case len(plan.Step) > 0:
			err = p.step(ctx, perform, plan)
		case plan.Phase == "" && len(plan.Results) > 0:
			// What became known of tasks may let others begin.
		case plan.Phase == "":
			p.report.operation.Message = plan.Wait
			return plan, nil
		default:
			return p.end(ctx, w, plan, chain)
		}
		if err != nil {
			if p.report.operation != nil && w.State == p.report.operation {
				p.report.operation.Message = "will be tried again: " + err.Error()
			}
			return plan, err
		}
	}
}

// turn takes into the report and the world what a plan says of operations: one that is over, one that begins, and
// what became known of tasks.
func (p *pass) turn(ctx context.Context, w *operation.World, plan operation.Plan) {
	if plan.Ends != "" {
		p.report.operation = operation.Supersede(*w, plan)
		w.State = p.report.operation
		p.metrics.syncs.WithLabelValues("Superseded").Inc()
		p.Log.InfoContext(ctx, "sync ends", "application", p.name(), "message", plan.Ends)
	}
	if plan.Begins {
		p.begin(ctx, w, plan)
	}
	if len(plan.Results) > 0 {
		list := &p.report.operation.SyncResult.Resources
		*list = operation.MergeResults(*list, plan.Results)
	}
}

func (p *pass) begin(ctx context.Context, w *operation.World, plan operation.Plan) {
	p.report.operation = operation.Begin(*w, plan)
	p.report.changed = false
	w.State, w.Refused, w.Progressed = p.report.operation, nil, time.Time{}
	p.known.progressed = w.Progressed
	if plan.Requested {
		p.report.hold = p.holds(w)
		p.report.taken, w.Request = true, nil
	}
	p.auditBegin(w, plan)
	p.Log.InfoContext(
		ctx, "sync begins", "application", p.name(), "revision", w.Target.String(), "automated",
		plan.Operation.InitiatedBy.Automated, "retry", plan.Retry,
	)
}

// step performs a step. Where a crash would have it done twice, the progress is written before.
func (p *pass) step(ctx context.Context, perform performer, plan operation.Plan) error {
	if plan.Durable {
		if err := p.persist(ctx); err != nil {
			return err
		}
		perform.world.State = p.report.operation
	}
	outcomes := perform.step(ctx, plan.Step)
	p.metrics.count(outcomes)
	failed := settle(perform.world, outcomes)
	if failed != nil && transient(failed) {
		outcomes = slices.DeleteFunc(outcomes, func(o outcome) bool { return o.err != nil })
	} else {
		failed = nil
	}
	list := &p.report.operation.SyncResult.Resources
	*list = operation.MergeResults(*list, results(outcomes))
	p.report.changed = p.report.changed || len(outcomes) > 0
	perform.world.Progressed = time.Now()
	p.known.progressed = perform.world.Progressed
	return failed
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
	p.metrics.ended(p.app, p.report.operation, plan.Phase)
	p.auditEnd(p.report.operation, plan)
	p.Log.InfoContext(
		ctx, "sync ended", "application", p.name(), "revision", w.Target.String(), "phase", plan.Phase, "message",
		p.report.operation.Message,
	)
	w.State, w.Request = p.report.operation, nil
	after := operation.Decide(*w)
	if after.Begins || len(after.Ask) > 0 {
		// One operation per pass: the next one begins from what the watch brings.
		after.Wake = w.Now
	}
	return after, nil
}

func (p *pass) name() string { return p.app.Namespace + "/" + p.app.Name }
