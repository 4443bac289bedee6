package applicationset

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/argosy-mesh/argosy/libs/kube/object"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/appset"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// Times between tries.
const (
	soon        = 50 * time.Millisecond // somebody else was faster; the watch brings what they wrote
	maxPatience = 3 * time.Minute       // after many failures
)

// pass is one reconciliation of one ApplicationSet.
type pass struct {
	*Reconciler
	raw   *unstructured.Unstructured
	set   *v1alpha1.ApplicationSet
	known *known
	began time.Time
}

// Reconcile brings one ApplicationSet as far as it can go now.
func (a *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	raw := object.New("ApplicationSet")
	if err := a.Client.Get(ctx, req.NamespacedName, raw); err != nil {
		if apierrors.IsNotFound(err) {
			a.memory.forget(req.NamespacedName)
		}
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if !a.Projects.Serves(raw.GetNamespace()) {
		return reconcile.Result{}, nil
	}
	set, decodeErr := decode(raw)
	p := &pass{Reconciler: a, raw: raw, set: set, began: time.Now()}
	p.known = a.memory.of(req.NamespacedName, raw.GetUID())
	if raw.GetDeletionTimestamp() != nil {
		return reconcile.Result{}, p.delete(ctx)
	}
	if p.known.behind(raw.GetResourceVersion()) {
		return reconcile.Result{RequeueAfter: soon}, nil
	}
	wake, err := p.run(ctx, decodeErr)
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
		return reconcile.Result{RequeueAfter: soon}, nil
	}
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("reconcile applicationset %s: %w", req, err)
	}
	if wake.IsZero() {
		return reconcile.Result{}, nil
	}
	return reconcile.Result{RequeueAfter: max(time.Until(wake), time.Millisecond)}, nil
}

// run generates, decides and performs. What only a person can heal becomes a condition; what a forge or Git may heal
// by itself is tried again later and later.
func (p *pass) run(ctx context.Context, decodeErr error) (wake time.Time, err error) {
	world := appset.World{Set: p.set, Settings: p.Settings, Now: p.began}
	if decodeErr != nil {
		world.Failed = &appset.GenerateError{Reason: appset.ReasonParams, Err: decodeErr}
	} else {
		out, err := p.generate(ctx)
		if world.Failed = failed(err); err != nil && world.Failed == nil {
			return wake, err
		}
		wake = p.known.keep(out.Used)
		world.Wanted = out.Applications
	}
	p.known.failures++
	if world.Failed == nil {
		p.known.failures = 0
	} else {
		p.Log.WarnContext(ctx, "no applications can be generated", "applicationset", p.name(), "error", world.Failed)
		wait := min(time.Second<<min(p.known.failures-1, 10), maxPatience)
		wake = time.Now().Add(wait + rand.N(wait/4+1))
	}
	if world.Existing, err = p.existing(ctx, world.Wanted); err != nil {
		return wake, err
	}
	return wake, p.perform(ctx, appset.Decide(world))
}

// perform does what was decided, and says so in the status whatever comes of it.
func (p *pass) perform(ctx context.Context, d appset.Decision) error {
	if d.Finalize {
		if err := p.finalize(ctx); err != nil {
			return err
		}
	}
	if d.Durable {
		if err := p.report(ctx, d.Status); err != nil {
			return err
		}
	}
	problem := p.apply(ctx, d)
	if lasting := without(problem, apierrors.IsConflict, apierrors.IsAlreadyExists); lasting != nil {
		d.Status = appset.Failing(d.Status, "UpdateApplicationError", lasting, p.began)
	}
	return errors.Join(problem, p.report(ctx, d.Status), p.taken(ctx))
}

// without is an error, nil when it is one of those that pass by themselves.
func without(err error, passing ...func(error) bool) error {
	for _, is := range passing {
		if is(err) {
			return nil
		}
	}
	return err
}

func (p *pass) name() string { return p.raw.GetNamespace() + "/" + p.raw.GetName() }
