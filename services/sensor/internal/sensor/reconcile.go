package sensor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"github.com/argosy-mesh/argosy/libs/kube/object"

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
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// finalizer lets the Sensor's place in the stream be removed with it.
const finalizer = "argosy.dev/sensor-consumer"

// reconciler keeps one listener per Sensor. Every replica knows all Sensors; the readers give each its events in the
// one replica that holds it.
type reconciler struct {
	client    client.Client
	bus       *bus.Bus
	owns      func(key string) bool
	performer *performer
	readers   *bus.Shared
	world     trigger.World
	live      func() int // how many replicas there are
	metrics   *metrics
	log       *slog.Logger
	tell      events.EventRecorder // may be nil

	listening sync.Mutex // one listener of a version is enough
	listeners *listeners
	news      chan<- event.GenericEvent // Sensors about which the bus said something new
}

// Reconcile brings the listener of one Sensor up to date. It waits for the API server and the bus only.
func (r *reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	raw := object.New("Sensor")
	if err := r.client.Get(ctx, req.NamespacedName, raw); err != nil {
		if apierrors.IsNotFound(err) {
			r.end(req.String()) //nolint:contextcheck // what it does later outlives this call
			return reconcile.Result{}, nil
		}
		return reconcile.Result{}, fmt.Errorf("read sensor %s: %w", req, err)
	}
	if raw.GetDeletionTimestamp() != nil {
		r.end(req.String()) //nolint:contextcheck // what it does later outlives this call
		return reconcile.Result{}, r.leave(ctx, raw)
	}
	s, warnings, err := v1alpha1.DecodeTolerant[v1alpha1.Sensor](raw.Object)
	if err == nil && len(s.Spec.Dependencies) == 0 {
		err = errors.New("spec.dependencies: is empty")
	}
	if err != nil {
		r.listeners.stop(req.String(), nil)
		return reconcile.Result{}, r.report(ctx, raw, malformed(err, warnings))
	}
	if err := r.hold(ctx, raw); err != nil {
		return reconcile.Result{}, err
	}
	l := r.listen(req.String(), s) //nolint:contextcheck // a listener outlives the call that starts it
	ready, known := readiness(l, r.world.Now())
	if !known {
		return reconcile.Result{RequeueAfter: confirmWait}, nil
	}
	return reconcile.Result{}, r.report(ctx, raw, conditions(l.compiled, ready, warnings))
}

// listen brings the listener of a Sensor up to date. An annotation counts like the
// spec, although it does not change the generation.
func (r *reconciler) listen(key string, s *v1alpha1.Sensor) *listening {
	r.listening.Lock()
	defer r.listening.Unlock()
	version := fmt.Sprint(
		s.Generation, s.UID, s.Annotations[sensing.OptionsAnnotation], s.Annotations[orderedAnnotation],
	)
	if current := r.listeners.find(key, version); current != nil {
		return current
	}
	return r.listeners.start(
		key, version, newListener(compileSensor(s, r.world, r.live), r.performer, r.readers, r.failed(s)),
	)
}

// end stops the listener of a Sensor that is deleted. What it was doing may put its place or a firing on the streams
// once more: they are removed again when it has ended.
func (r *reconciler) end(key string) {
	r.listeners.mu.Lock()
	l := r.listeners.running[key]
	r.listeners.mu.Unlock()
	if l == nil {
		return
	}
	s := l.compiled.sensor
	wait := r.readers.Remove(string(s.UID))
	r.listeners.stop(key, func() {
		wait()
		ctx, cancel := context.WithTimeout(r.listeners.serving, stopWait)
		defer cancel()
		if err := r.forget(ctx, s.Namespace, string(s.UID)); err != nil {
			r.log.WarnContext(
				ctx, "the places of a deleted sensor may be left on the streams", "sensor", key, "uid", s.UID, "error",
				err,
			)
		}
	})
}

// heard has the status of a Sensor written anew.
func (r *reconciler) heard(l *listening) {
	about := object.Named("Sensor", l.compiled.sensor.Namespace, l.compiled.sensor.Name)
	select {
	case r.news <- event.GenericEvent{Object: about}:
	case <-l.stopped:
	}
}

// failed tells the people who look at the Sensor that a firing was given up.
func (r *reconciler) failed(s *v1alpha1.Sensor) func(trigger string, err error) {
	about := &corev1.ObjectReference{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: "Sensor", Namespace: s.Namespace, Name: s.Name, UID: s.UID,
	}
	return func(trigger string, err error) {
		if r.tell != nil {
			r.tell.Eventf(
				about, nil, corev1.EventTypeWarning, "TriggerFailed", "Fire", "trigger %s: %.800s", trigger,
				err.Error(),
			)
		}
	}
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

// forget removes the Sensor's places in the streams, what is queued for it and what it remembers.
func (r *reconciler) forget(ctx context.Context, namespace, uid string) error {
	windows := r.bus.KV(bus.WindowsBucket)
	keys, err := windows.Keys(ctx, uid+".")
	for _, key := range keys {
		err = errors.Join(err, windows.Purge(ctx, key))
	}
	return errors.Join(
		err, r.readers.DeleteSubscriber(ctx, uid, consumerName(uid)),
		r.bus.DeleteConsumer(ctx, bus.Commands, queueName(uid)),
		r.bus.Purge(ctx, bus.Commands, meshevents.FireSubject(namespace, uid)),
	)
}

func (r *reconciler) patchFinalizers(ctx context.Context, old, fresh *unstructured.Unstructured) error {
	patch := client.MergeFromWithOptions(old, client.MergeFromWithOptimisticLock{})
	if err := r.client.Patch(ctx, fresh, patch); err != nil {
		return client.IgnoreNotFound(err)
	}
	return nil
}
