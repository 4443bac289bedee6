package sensor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/sensing"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	meshevents "github.com/argosy-mesh/argosy/schemas/events"
	"github.com/argosy-mesh/argosy/services/sensor/internal/trigger"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// finalizer lets the Sensor's place in the stream be removed with it.
const finalizer = "argosy.dev/sensor-consumer"

// reconciler keeps one listener running per Sensor. Every replica listens to all
// Sensors and the bus shares the events among them.
type reconciler struct {
	client    client.Client
	bus       *bus.Bus
	owns      func(key string) bool
	performer *performer
	world     trigger.World
	live      func() int // how many replicas there are
	metrics   *metrics
	log       *slog.Logger
	tell      events.EventRecorder // may be nil

	// serving ends with the process; listeners live within it.
	serving context.Context //nolint:containedctx // set once by the part that owns the listeners
	mu      sync.Mutex
	running map[string]*listening // by namespace/name
}

type listening struct {
	version string // of everything that makes the unit
	unit    *unit
	stop    context.CancelFunc
	done    chan struct{}
}

// Reconcile brings the listener of one Sensor up to date.
func (r *reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	raw := &unstructured.Unstructured{}
	raw.SetGroupVersionKind(v1alpha1.Kind("Sensor"))
	if err := r.client.Get(ctx, req.NamespacedName, raw); err != nil {
		if apierrors.IsNotFound(err) {
			r.stop(req.String())
			return reconcile.Result{}, nil
		}
		return reconcile.Result{}, fmt.Errorf("read sensor %s: %w", req, err)
	}
	if raw.GetDeletionTimestamp() != nil {
		r.stop(req.String())
		return reconcile.Result{}, r.leave(ctx, raw)
	}
	s, warnings, err := v1alpha1.DecodeTolerant[v1alpha1.Sensor](raw.Object)
	if err == nil && len(s.Spec.Dependencies) == 0 {
		err = errors.New("spec.dependencies: is empty")
	}
	if err != nil {
		r.stop(req.String())
		return reconcile.Result{}, r.report(ctx, raw, malformed(err, warnings))
	}
	if err := r.hold(ctx, raw); err != nil {
		return reconcile.Result{}, err
	}
	u := r.listen(req.String(), s) //nolint:contextcheck // a listener outlives the call that starts it
	return reconcile.Result{}, r.report(ctx, raw, conditions(u, warnings))
}

// listen brings the listener of a Sensor up to date. An annotation counts like the
// spec, although it does not change the generation.
func (r *reconciler) listen(key string, s *v1alpha1.Sensor) *unit {
	version := fmt.Sprint(s.Generation, s.UID, s.Annotations[sensing.OptionsAnnotation], s.Annotations[orderedAnnotation])
	r.mu.Lock()
	current := r.running[key]
	r.mu.Unlock()
	if current != nil && current.version == version {
		return current.unit
	}
	r.stop(key)
	ctx, cancel := context.WithCancel(r.serving)
	u := newUnit(s, r.world, r.live)
	next := &listening{version: version, unit: u, stop: cancel, done: make(chan struct{})}
	l := newListener(u, r.performer, r.failed(s))
	go func() {
		defer close(next.done)
		l.run(ctx)
	}()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.running[key] = next
	return u
}

// failed tells the people who look at the Sensor that a firing was given up.
func (r *reconciler) failed(s *v1alpha1.Sensor) func(trigger string, err error) {
	about := &corev1.ObjectReference{APIVersion: v1alpha1.GroupVersion.String(), Kind: "Sensor", Namespace: s.Namespace, Name: s.Name, UID: s.UID}
	return func(trigger string, err error) {
		if r.tell != nil {
			r.tell.Eventf(about, nil, corev1.EventTypeWarning, "TriggerFailed", "Fire", "trigger %s: %.800s", trigger, err.Error())
		}
	}
}

// stop ends a listener and waits for what it is doing.
func (r *reconciler) stop(key string) {
	r.mu.Lock()
	current := r.running[key]
	delete(r.running, key)
	r.mu.Unlock()
	if current != nil {
		current.stop()
		<-current.done
	}
}

// drain waits for all listeners once ctx has ended.
func (r *reconciler) drain(ctx context.Context) error {
	<-ctx.Done()
	r.mu.Lock()
	var keys []string
	for key := range r.running {
		keys = append(keys, key)
	}
	r.mu.Unlock()
	for _, key := range keys {
		r.stop(key)
	}
	return nil
}

// hold adds the finalizer.
func (r *reconciler) hold(ctx context.Context, raw *unstructured.Unstructured) error {
	if slices.Contains(raw.GetFinalizers(), finalizer) || !r.owns(raw.GetNamespace()+"/"+raw.GetName()) {
		return nil
	}
	fresh := raw.DeepCopy()
	fresh.SetFinalizers(append(fresh.GetFinalizers(), finalizer))
	return r.patchFinalizers(ctx, raw, fresh)
}

// leave gives the Sensor's place in the stream up and lets the object go.
func (r *reconciler) leave(ctx context.Context, raw *unstructured.Unstructured) error {
	if !slices.Contains(raw.GetFinalizers(), finalizer) || !r.owns(raw.GetNamespace()+"/"+raw.GetName()) {
		return nil
	}
	if err := r.forget(ctx, raw.GetNamespace(), string(raw.GetUID())); err != nil {
		return err
	}
	fresh := raw.DeepCopy()
	fresh.SetFinalizers(slices.DeleteFunc(fresh.GetFinalizers(), func(f string) bool { return f == finalizer }))
	return r.patchFinalizers(ctx, raw, fresh)
}

// forget removes the Sensor's places in the streams and what is queued for it.
func (r *reconciler) forget(ctx context.Context, namespace, uid string) error {
	return errors.Join(r.bus.Forget(ctx, bus.Events, consumerName(uid)), r.bus.Forget(ctx, bus.Commands, queueName(uid)),
		r.bus.Purge(ctx, bus.Commands, meshevents.FireSubject(namespace, uid)))
}

func (r *reconciler) patchFinalizers(ctx context.Context, old, fresh *unstructured.Unstructured) error {
	patch := client.MergeFromWithOptions(old, client.MergeFromWithOptimisticLock{})
	if err := r.client.Patch(ctx, fresh, patch); err != nil {
		return client.IgnoreNotFound(err)
	}
	return nil
}
