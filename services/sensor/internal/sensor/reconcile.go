package sensor

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// finalizer lets the Sensor's place in the stream be removed with it.
const finalizer = "argosy.dev/sensor-consumer"

// reconciler keeps one listener running per Sensor. Every replica listens to all
// Sensors and the bus shares the events among them.
type reconciler struct {
	client  client.Client
	bus     *bus.Bus
	owns    func(key string) bool
	effects *effects
	metrics *metrics
	log     *slog.Logger

	// serving ends with the process; listeners live within it.
	serving context.Context //nolint:containedctx // set once by the part that owns the listeners
	mu      sync.Mutex
	running map[string]*listening // by namespace/name
}

type listening struct {
	generation int64
	uid        types.UID
	stop       context.CancelFunc
	done       chan struct{}
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
	if err == nil {
		err = validate(s)
	}
	if err != nil {
		r.stop(req.String())
		return reconcile.Result{}, r.report(ctx, raw, ready("False", "Malformed", err.Error()), warnings)
	}
	if err := r.hold(ctx, raw); err != nil {
		return reconcile.Result{}, err
	}
	r.listen(req.String(), s) //nolint:contextcheck // a listener outlives the call that starts it
	return reconcile.Result{}, r.report(ctx, raw, ready("True", "Listening", fmt.Sprintf("%d trigger(s) wait for %d dependencies", len(s.Spec.Triggers), len(s.Spec.Dependencies))), warnings)
}

func validate(s *v1alpha1.Sensor) error {
	if len(s.Spec.Dependencies) == 0 {
		return fmt.Errorf("spec.dependencies: is empty")
	}
	for i := range s.Spec.Triggers {
		if t := s.Spec.Triggers[i].Template; t == nil || t.Name == "" {
			return fmt.Errorf("spec.triggers[%d].template.name: is empty", i)
		}
	}
	return nil
}

func (r *reconciler) listen(key string, s *v1alpha1.Sensor) {
	r.mu.Lock()
	current := r.running[key]
	r.mu.Unlock()
	if current != nil && current.generation == s.Generation && current.uid == s.UID {
		return
	}
	r.stop(key)
	ctx, cancel := context.WithCancel(r.serving)
	next := &listening{generation: s.Generation, uid: s.UID, stop: cancel, done: make(chan struct{})}
	l := &listener{sensor: s, bus: r.bus, effects: r.effects, log: r.log, metrics: r.metrics}
	go func() {
		defer close(next.done)
		// Consume only returns with its context.
		_ = r.bus.Consume(ctx, l.consumer(), l.handle)
	}()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.running[key] = next
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
	if err := r.bus.Forget(ctx, bus.Events, consumerName(string(raw.GetUID()))); err != nil {
		return err
	}
	fresh := raw.DeepCopy()
	fresh.SetFinalizers(slices.DeleteFunc(fresh.GetFinalizers(), func(f string) bool { return f == finalizer }))
	return r.patchFinalizers(ctx, raw, fresh)
}

func (r *reconciler) patchFinalizers(ctx context.Context, old, fresh *unstructured.Unstructured) error {
	patch := client.MergeFromWithOptions(old, client.MergeFromWithOptimisticLock{})
	if err := r.client.Patch(ctx, fresh, patch); err != nil {
		return client.IgnoreNotFound(err)
	}
	return nil
}

func ready(status, reason, message string) v1alpha1.EventCondition {
	return v1alpha1.EventCondition{Type: "Ready", Status: status, Reason: reason, Message: message}
}

// report writes the status when it says something new.
func (r *reconciler) report(ctx context.Context, raw *unstructured.Unstructured, c v1alpha1.EventCondition, warnings []v1alpha1.FieldWarning) error {
	if !r.owns(raw.GetNamespace() + "/" + raw.GetName()) {
		return nil
	}
	conditions := []v1alpha1.EventCondition{c}
	if len(warnings) > 0 {
		var texts []string
		for _, w := range warnings {
			texts = append(texts, w.String())
		}
		conditions = append(conditions, v1alpha1.EventCondition{Type: "SpecWarning", Status: "True", Reason: "FieldsWithoutEffect", Message: strings.Join(texts, "; ")})
	}
	if v1alpha1.SameConditions(raw.Object, conditions) {
		return nil
	}
	now := metav1.Now()
	for i := range conditions {
		conditions[i].LastTransitionTime = &now
	}
	body, err := json.Marshal(map[string]any{"status": v1alpha1.SensorStatus{Conditions: conditions}})
	if err != nil {
		return fmt.Errorf("encode status: %w", err)
	}
	return client.IgnoreNotFound(r.client.Status().Patch(ctx, raw.DeepCopy(), client.RawPatch(types.MergePatchType, body)))
}
