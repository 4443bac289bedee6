// Package hydrate renders the dry sources of Applications with a source hydrator and commits the manifests to the
// branches that are applied.
//
// One replica writes a branch, by hashing; where two do, the push compares and swaps. What was committed and not told
// is found again in the branch: the second attempt makes no commit and tells the same facts.
package hydrate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/kube"
	"github.com/argosy-mesh/argosy/libs/kube/object"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/hydration"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/push"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/projects"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/render"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/source"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	ctrlsource "sigs.k8s.io/controller-runtime/pkg/source"
)

// Shell is what hydrating works with.
type Shell struct {
	Client   client.Client // reads are cached
	Bus      *bus.Bus
	Sources  *source.Sources
	Projects *projects.Projects
	// Destination is what is known of where an Application goes, for rendering it.
	Destination func(
		ctx context.Context, raw *unstructured.Unstructured, d v1alpha1.ApplicationDestination,
	) (render.Destination, error)
	Author  string // of commits, as name <address>
	Control string // namespace whose Applications have their bare names as instances
	Refresh time.Duration
	Log     *slog.Logger
}

// Hydrator reconciles branches of rendered manifests.
type Hydrator struct {
	Shell
	outcomes *prometheus.CounterVec

	mu sync.Mutex
	// pushes are the last ones that Git was asked for, by the uid of an Application.
	pushes map[types.UID]string
}

// New returns a hydrator whose metrics are in r.
func New(s Shell, r prometheus.Registerer) *Hydrator {
	h := &Hydrator{
		Shell: s, pushes: map[types.UID]string{},
		outcomes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "argosy_sync_hydrations_total", Help: "Hydrations of batches of Applications, by outcome.",
		}, []string{"outcome"}),
	}
	r.MustRegister(h.outcomes)
	return h
}

// concurrency is how many branches are written at once.
const concurrency = 4

// Watch has the manager hydrate the branches that this replica owns; regain brings the Applications that others owned
// until now.
func (h *Hydrator) Watch(mgr manager.Manager, owns func(key string) bool, regain <-chan event.GenericEvent) error {
	branch := handler.EnqueueRequestsFromMapFunc(func(_ context.Context, o client.Object) []reconcile.Request {
		raw, _ := o.(*unstructured.Unstructured)
		if s := hydratorOf(raw); s != nil {
			return []reconcile.Request{requestOf(*s)}
		}
		return nil
	})
	err := builder.ControllerManagedBy(mgr).Named("hydrator").
		Watches(object.New("Application"), branch, builder.WithPredicates(predicate.Funcs{UpdateFunc: matters})).
		Watches(object.New("AppProject"), handler.EnqueueRequestsFromMapFunc(h.all)).
		WatchesRawSource(ctrlsource.Channel(regain, branch)).
		// Tests run several replicas in one process, whose controllers share a name.
		WithOptions(controller.Options{
			MaxConcurrentReconciles: concurrency, SkipNameValidation: new(true),
			RateLimiter: workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](
				time.Second, hydration.Again,
			),
		}).
		Complete(kube.OwnedOnly(owns, reconcile.Func(h.reconcile)))
	if err != nil {
		return fmt.Errorf("set up the hydrator: %w", err)
	}
	return nil
}

// matters leaves out what other parts of the agent write.
func matters(e event.UpdateEvent) bool {
	before, _ := e.ObjectOld.(*unstructured.Unstructured)
	after, _ := e.ObjectNew.(*unstructured.Unstructured)
	if before == nil || after == nil {
		return true
	}
	for _, name := range push.Hydrations {
		if before.GetAnnotations()[name] != after.GetAnnotations()[name] {
			return true
		}
	}
	return !reflect.DeepEqual(before.Object["spec"], after.Object["spec"]) ||
		(before.GetDeletionTimestamp() == nil) != (after.GetDeletionTimestamp() == nil)
}

// all are the branches of all Applications: a project that changed may permit what it did not.
func (h *Hydrator) all(ctx context.Context, _ client.Object) []reconcile.Request {
	list := object.NewList("Application")
	if err := h.Client.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
		h.Log.WarnContext(ctx, "branches of a project that changed are looked at later", "error", err)
		return nil
	}
	var out []reconcile.Request
	for i := range list.Items {
		if s := hydratorOf(&list.Items[i]); s != nil {
			out = append(out, requestOf(*s))
		}
	}
	return out
}

// hydratorOf reads the source hydrator of an Application, nil when it has none.
func hydratorOf(raw *unstructured.Unstructured) *v1alpha1.SourceHydrator {
	if raw == nil {
		return nil
	}
	if has, is, _ := unstructured.NestedFieldNoCopy(raw.Object, "spec", "sourceHydrator"); !is || has == nil {
		return nil
	}
	app, _, err := v1alpha1.DecodeTolerant[v1alpha1.Application](map[string]any{"spec": raw.Object["spec"]})
	if err != nil || len(app.Spec.Sources) > 0 {
		return nil // the Application's own conditions say what is wrong with it
	}
	return app.Spec.SourceHydrator
}

// requestOf names the branch of a source hydrator.
func requestOf(s v1alpha1.SourceHydrator) reconcile.Request {
	b := hydration.BranchOf(s)
	sum := sha256.Sum256([]byte(b.Repository + "\x00" + b.Name))
	return reconcile.Request{NamespacedName: types.NamespacedName{Name: "branch-" + hex.EncodeToString(sum[:16])}}
}

// reconcile brings one branch as far as it can go now.
func (h *Hydrator) reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	members, err := h.gather(ctx, req)
	if err != nil || len(members) == 0 {
		return reconcile.Result{}, err
	}
	now := time.Now()
	wake := now.Add(h.Refresh + rand.N(h.Refresh/4+1))
	batches, refused := hydration.Batches(members.apps())
	for _, a := range refused {
		if err := h.report(ctx, members[a.Name], a.Refused("", a.Problem, now, now), map[string]string{}); err != nil {
			return reconcile.Result{}, err
		}
	}
	var failed error
	for _, b := range batches {
		again, err := h.batch(ctx, members, b)
		if err != nil {
			failed = err
		}
		if !again.IsZero() && again.Before(wake) {
			wake = again
		}
	}
	if failed != nil {
		return reconcile.Result{}, fmt.Errorf("hydrate: %w", failed)
	}
	return reconcile.Result{RequeueAfter: max(time.Until(wake), time.Millisecond)}, nil
}
