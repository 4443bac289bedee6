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
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core"
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
	Tell   Teller
	Events record.EventRecorder
	Log    *slog.Logger
	Now    func() time.Time
	// actions counts what was done, by kind.
	actions *prometheus.CounterVec
}

// New returns a reconciler whose metrics are in registry.
func New(
	c client.Client, tell Teller, recorder record.EventRecorder, log *slog.Logger, registry prometheus.Registerer,
) *Reconciler {
	r := &Reconciler{
		Client: c,
		Tell:   tell,
		Events: recorder,
		Log:    log,
		Now:    time.Now,
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
		return reconcile.Result{}, client.IgnoreNotFound(err)
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

// stale reports whether the world moved on since it was looked at.
func stale(err error) bool {
	return apierrors.IsConflict(err) || apierrors.IsNotFound(err) || errors.Is(err, errGone)
}
