// Package kube is how services talk to Kubernetes: one manager per process with
// its caches, work gated by ownership, objects created once.
//
// No leader election: every replica watches everything and works on what it
// owns. Ownership only saves work; two replicas that both act are kept harmless
// by resourceVersion and by names derived from causes.
package kube

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// Config loads a client configuration: the named kubeconfig, or the pod's own
// service account when path is empty. The client-side rate limit is off, since
// the API server has priority and fairness of its own.
func Config(path string) (*rest.Config, error) {
	cfg, err := rest.InClusterConfig()
	if path != "" {
		cfg, err = clientcmd.BuildConfigFromFlags("", path)
	}
	if err != nil {
		return nil, fmt.Errorf("load kubeconfig %q: %w", path, err)
	}
	cfg.QPS = -1
	return cfg, nil
}

// quiet sets the library's global logger once: it is only for what has no manager, and setting it is not safe beside
// other managers of a test process.
var quiet sync.Once

// NewManager makes the process's manager: caches and work queues, nothing else.
// Health and metrics belong to libs/obs. It knows the kinds of Kubernetes and ours. Objects that are not in the cache's
// configuration are cached on first use.
func NewManager(kubeconfig string, logger *slog.Logger, objects cache.Options) (manager.Manager, error) {
	cfg, err := Config(kubeconfig)
	if err != nil {
		return nil, err
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, fmt.Errorf("register kinds: %w", err)
	}
	sink := logr.FromSlogHandler(logger.Handler())
	quiet.Do(func() { log.SetLogger(sink) })
	// Managed fields are the bulk of a cached object and nobody here reads them.
	if objects.DefaultTransform == nil {
		objects.DefaultTransform = cache.TransformStripManagedFields()
	}
	mgr, err := ctrl.NewManager(cfg, ctrl.Options{
		Scheme: scheme, Cache: objects, Logger: sink,
		Client:                 client.Options{Cache: &client.CacheOptions{Unstructured: true}},
		Metrics:                metricsserver.Options{BindAddress: "0"},
		HealthProbeBindAddress: "0",
		LeaderElection:         false,
		// Tests run several replicas in one process; the names only label metrics
		// that nobody serves. The queue with priorities of controller-runtime 0.24.1
		// deadlocks now and then when it is shut down with items that are ready: it
		// hands them, under its lock, to workers that have left.
		Controller: config.Controller{SkipNameValidation: new(true), UsePriorityQueue: new(false)},
	})
	if err != nil {
		return nil, fmt.Errorf("make the kubernetes manager: %w", err)
	}
	return mgr, nil
}

// OwnedOnly passes only owned objects on to inner. What is skipped comes back through
// ResyncOnMembership when ownership moves.
func OwnedOnly(owns func(key string) bool, inner reconcile.Reconciler) reconcile.Reconciler {
	return reconcile.Func(func(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
		if !owns(req.String()) {
			return reconcile.Result{}, nil
		}
		return inner.Reconcile(ctx, req)
	})
}

// ResyncOnMembership sends every object of list's kind to out each time membership changed,
// until ctx ends. Feed out to a controller with source.Channel. A cache may be
// started later.
func ResyncOnMembership(
	ctx context.Context, changed <-chan struct{}, reader client.Reader, list client.ObjectList,
	out chan<- event.GenericEvent,
) error {
	return ResyncKinds(ctx, changed, reader, Resync{List: list, Out: out})
}

// Resync says where the objects of List's kind go when they must be looked at again.
type Resync struct {
	List client.ObjectList
	Out  chan<- event.GenericEvent
}

// ResyncKinds is ResyncOnMembership for controllers of several kinds.
func ResyncKinds(ctx context.Context, changed <-chan struct{}, reader client.Reader, kinds ...Resync) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
		// Members may change before a cache was started, which then has nothing to list.
		if c, is := reader.(starting); is && !c.WaitForCacheSync(ctx) && ctx.Err() == nil {
			return errors.New("list objects to look at again: the cache was stopped")
		}
		for _, k := range kinds {
			if err := sendAll(ctx, reader, k.List, k.Out); err != nil && ctx.Err() == nil {
				return err
			}
		}
	}
}

// starting is a reader that can say when it has what it reads: a cache.
type starting interface {
	WaitForCacheSync(ctx context.Context) bool
}

func sendAll(ctx context.Context, reader client.Reader, list client.ObjectList, out chan<- event.GenericEvent) error {
	fresh, _ := list.DeepCopyObject().(client.ObjectList)
	if err := reader.List(ctx, fresh); err != nil {
		return fmt.Errorf("list objects to look at again: %w", err)
	}
	objects, err := items(fresh)
	if err != nil {
		return err
	}
	for _, o := range objects {
		select {
		case out <- event.GenericEvent{Object: o}:
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// Synced is a check of readiness: it fails until the cache has seen all of what it watches so far, which is what. The
// wait ends with ctx.
func Synced(ctx context.Context, c cache.Cache, what string) func() error {
	done := make(chan struct{})
	go func() {
		if c.WaitForCacheSync(ctx) {
			close(done)
		}
	}()
	return func() error {
		select {
		case <-done:
			return nil
		default:
			return fmt.Errorf("%s are not read yet", what)
		}
	}
}

// CreateOnce creates an object whose name is derived from its causes. That it
// exists already means that the work is done: no error, created is false.
func CreateOnce(ctx context.Context, c client.Client, o client.Object) (created bool, err error) {
	err = c.Create(ctx, o)
	if apierrors.IsAlreadyExists(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("create %T %s/%s: %w", o, o.GetNamespace(), o.GetName(), err)
	}
	return true, nil
}
