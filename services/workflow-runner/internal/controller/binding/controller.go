// Package binding submits workflows for events, as WorkflowEventBindings say.
package binding

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/libs/kube/object"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/meter"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// bindingFinalizer lets a binding's place in the stream be removed with it.
const bindingFinalizer = "argosy.dev/binding-consumer"

// Reconciler submits workflows for events, as WorkflowEventBindings say. Every replica listens for all of them, and the
// bus shares the events among them.
type Reconciler struct {
	Client  client.Client
	Bus     *bus.Bus
	Owns    func(key string) bool
	Metrics *meter.Own
	Meters  *meter.Upstream
	Log     *slog.Logger

	mu      sync.Mutex
	closed  bool
	running map[string]*listening // by namespace/name
}

// listening is one binding at work.
type listening struct {
	version string
	stop    context.CancelFunc
	done    chan struct{}
}

// Object is a WorkflowEventBinding to be read into.
func Object() *unstructured.Unstructured {
	u := object.New("WorkflowEventBinding")
	return u
}

// List is a list of them.
func List() *unstructured.UnstructuredList {
	l := object.NewList("WorkflowEventBinding")
	return l
}

// Control has the manager call the reconciler.
func (b *Reconciler) Control(mgr manager.Manager, regain <-chan event.GenericEvent) error {
	err := builder.ControllerManagedBy(mgr).Named("workfloweventbinding").For(Object()).
		WatchesRawSource(source.Channel(regain, &handler.EnqueueRequestForObject{})).Complete(b)
	if err != nil {
		return fmt.Errorf("set up the controller of WorkflowEventBindings: %w", err)
	}
	return nil
}

// Reconcile brings what listens for one binding up to date.
func (b *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	raw := Object()
	if err := b.Client.Get(ctx, req.NamespacedName, raw); err != nil {
		if apierrors.IsNotFound(err) {
			b.halt(req.String())
		}
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	old := raw.DeepCopy()
	if raw.GetDeletionTimestamp() != nil {
		if !b.halt(req.String()) {
			return reconcile.Result{RequeueAfter: haltAgain}, nil
		}
		if !b.Owns(req.String()) || !controllerutil.RemoveFinalizer(raw, bindingFinalizer) {
			return reconcile.Result{}, nil
		}
		if err := b.Bus.DeleteConsumer(ctx, bus.Events, bindingConsumer(old)); err != nil {
			return reconcile.Result{}, err
		}
		return reconcile.Result{}, b.patch(ctx, old, raw)
	}
	one, _, err := v1alpha1.DecodeTolerant[v1alpha1.WorkflowEventBinding](raw.Object)
	if err != nil {
		b.halt(req.String())
		b.Log.WarnContext(ctx, "binding cannot be read", "binding", req.String(), "error", err)
		return reconcile.Result{}, nil
	}
	if b.Owns(req.String()) && controllerutil.AddFinalizer(raw, bindingFinalizer) {
		if err := b.patch(ctx, old, raw); err != nil {
			return reconcile.Result{}, err
		}
	}
	b.listen(req.String(), one) //nolint:contextcheck // it outlives the call that starts it
	return reconcile.Result{}, nil
}

func (b *Reconciler) patch(ctx context.Context, old, fresh *unstructured.Unstructured) error {
	err := b.Client.Patch(ctx, fresh, client.MergeFromWithOptions(old, client.MergeFromWithOptimisticLock{}))
	return client.IgnoreNotFound(err)
}

// listen starts what listens for a binding, anew when its spec has changed: its place in the stream stays.
func (b *Reconciler) listen(key string, one *v1alpha1.WorkflowEventBinding) {
	version := fmt.Sprint(one.UID, one.Generation)
	b.mu.Lock()
	defer b.mu.Unlock()
	current := b.running[key]
	if b.closed || current != nil && current.version == version {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	next := &listening{version: version, stop: cancel, done: make(chan struct{})}
	if current != nil {
		current.stop()
	}
	if b.running == nil {
		b.running = map[string]*listening{}
	}
	b.running[key] = next
	go func() {
		defer close(next.done)
		// What the earlier one has in hand may take its time; this one waits for it, and nobody else.
		if current != nil {
			<-current.done
		}
		if ctx.Err() != nil {
			return
		}
		// It only returns with its context.
		_ = b.Bus.Consume(ctx, b.consumer(one),
			func(ctx context.Context, d bus.Delivery) ([]bus.Outgoing, error) { return nil, b.Handle(ctx, one, d) })
	}()
}

// haltAgain is when it is looked again whether a binding has stopped.
const haltAgain = 200 * time.Millisecond

// halt stops what listens for a binding, and says whether it has. It never waits for what is in hand: the bindings of
// all share who calls it.
func (b *Reconciler) halt(key string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	current := b.running[key]
	if current == nil {
		return true
	}
	current.version = "" // one that comes under this name listens anew
	current.stop()
	select {
	case <-current.done:
		delete(b.running, key)
		return true
	default:
		return false
	}
}

// Drain ends all of them with ctx, and waits for what they have in hand.
func (b *Reconciler) Drain(ctx context.Context) error {
	<-ctx.Done()
	b.mu.Lock()
	b.closed = true
	all := slices.Collect(maps.Values(b.running))
	b.mu.Unlock()
	for _, one := range all {
		one.stop()
	}
	for _, one := range all {
		<-one.done
	}
	return nil
}
