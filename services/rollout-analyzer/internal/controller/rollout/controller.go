// Package rollout is the shell around the core for Rollouts: gather the world, let the core decide, apply, report.
//
// Promise: the status is patched once per pass, after all effects. Two replicas that work on the same Rollout at once
// do no harm: writes are guarded by the version that was looked at, names are derived from causes.
package rollout

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/argosy-mesh/argosy/libs/facts"

	"github.com/argosy-mesh/argosy/libs/kube/object"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core"
	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/router"
)

// staleRetry is how soon to look again after somebody else was faster; the cache has to catch up first.
const staleRetry = 50 * time.Millisecond

// Teller publishes facts.
type Teller interface {
	Tell(ctx context.Context, f facts.Fact) error
}

// Reconciler works on Rollouts.
type Reconciler struct {
	Client client.Client
	// Live reads past the cache what is rarely needed: pods, and workloads whose templates are used.
	Live   client.Reader
	Tell   Teller
	Events record.EventRecorder
	Log    *slog.Logger
	Now    func() time.Time
	// actions counts what was done, by kind.
	actions *prometheus.CounterVec
	// watchDeployments begins to watch Deployments, once a Rollout uses the template of one.
	watchDeployments func()
	// watchKind begins to watch the objects of a router, once a Rollout names one.
	watchKind func(router.Kind)
}

// New returns a reconciler whose metrics are in registry.
func New(
	c client.Client,
	live client.Reader,
	tell Teller,
	recorder record.EventRecorder,
	log *slog.Logger,
	registry prometheus.Registerer,
) *Reconciler {
	r := &Reconciler{
		Client: c,
		Live:   live,
		Tell:   tell,
		Events: recorder,
		Log:    log,
		Now:    time.Now,

		watchDeployments: func() {},
		watchKind:        func(router.Kind) {},
		actions: prometheus.NewCounterVec(
			prometheus.CounterOpts{
				Name: "argosy_rollout_actions_total", Help: "Effects performed on rollouts, by kind.",
			},
			[]string{"kind"},
		),
	}
	registry.MustRegister(r.actions)
	return r
}

// Reconcile looks at one Rollout once.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	found := object.New("Rollout")
	if err := r.Client.Get(ctx, req.NamespacedName, found); err != nil {
		if apierrors.IsNotFound(err) {
			err = r.leave(ctx, req)
		}
		return reconcile.Result{}, err
	}
	world, err := r.gather(ctx, found)
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("gather the world of rollout %s: %w", req, err)
	}
	e := &effort{Reconciler: r, object: found, world: world}
	if err := e.apply(ctx, core.Decide(world)); err != nil {
		if stale(err) {
			r.Log.DebugContext(ctx, "somebody else was faster", "rollout", req.String(), "error", err)
			return reconcile.Result{RequeueAfter: staleRetry}, nil
		}
		return reconcile.Result{}, fmt.Errorf("act on rollout %s: %w", req, err)
	}
	if e.wake.IsZero() {
		return reconcile.Result{}, nil
	}
	return reconcile.Result{RequeueAfter: max(time.Millisecond, e.wake.Sub(r.Now()))}, nil
}

// leave gives back the services of a Rollout that is gone: nobody else would, and they would select nothing for ever.
func (r *Reconciler) leave(ctx context.Context, req reconcile.Request) error {
	var managed corev1.ServiceList
	if err := r.Client.List(
		ctx, &managed, client.InNamespace(req.Namespace), client.MatchingFields{managedIndex: req.Name},
	); err != nil {
		return fmt.Errorf("list the services of rollout %s, which is gone: %w", req, err)
	}
	for i := range managed.Items {
		err := giveBack(ctx, r.Client, &managed.Items[i])
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("give service %s back: %w", managed.Items[i].Name, err)
		}
	}
	return nil
}

// stale reports whether the world moved on since it was looked at.
func stale(err error) bool {
	return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err) ||
		errors.Is(err, errGone)
}
