package trigger

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/core/lineage"
	"github.com/argosy-mesh/argosy/libs/sensing"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
)

// manager is the field manager of what Sensors write.
const manager = "argosy-sensor"

// Labels of created objects. Source: Argo Events.
const (
	labelSensor  = "events.argoproj.io/sensor"
	labelTrigger = "events.argoproj.io/trigger"
	labelAction  = "events.argoproj.io/action-timestamp"
)

// objects is the k8s trigger.
type objects struct {
	stateless
	world World
}

func newK8s(w World) Adapter { return &objects{world: w} }

// change is one operation on an object, at its place in the API.
type change struct {
	call   Call
	object *unstructured.Unstructured
	at     dynamic.ResourceInterface
}

// changes holds the operations by name.
var changes = map[string]func(x *objects, ctx context.Context, c change) error{
	"":       (*objects).create,
	"create": (*objects).create,
	"update": (*objects).update,
	"patch":  (*objects).patch,
	"delete": (*objects).remove,
}

// Fire builds the object and writes it in the name of the Sensor's service account.
func (x *objects) Fire(ctx context.Context, c Call) (Result, error) {
	t := c.Template.K8s
	operate, ok := changes[t.Operation]
	if !ok {
		return Result{}, fault.Poisonf("k8s.operation %q is none of create, update, patch, delete", t.Operation)
	}
	o, err := x.build(ctx, c)
	if err != nil {
		return Result{}, err
	}
	at, err := x.world.Objects.of(c.Sensor, o)
	if err != nil {
		return Result{}, err
	}
	if err := operate(x, ctx, change{call: c, object: o, at: at}); err != nil {
		return Result{}, fmt.Errorf(
			"%s %s %s/%s: %w", word(t.Operation), o.GetKind(), o.GetNamespace(), o.GetName(), refused(err),
		)
	}
	said := Result{Summary: fmt.Sprintf("%s %s/%s", o.GetKind(), o.GetNamespace(), o.GetName())}
	if c.Policy == nil || c.Policy.K8s == nil {
		return said, nil
	}
	return said, await(ctx, at, o.GetName(), c.Policy.K8s)
}

func word(operation string) string {
	if operation == "" {
		return "create"
	}
	return operation
}

// build reads the manifest, or with liveObject what the cluster holds of it, and
// applies the parameters.
func (x *objects) build(ctx context.Context, c Call) (*unstructured.Unstructured, error) {
	t := c.Template.K8s
	manifest, err := x.world.Sources.Manifest(ctx, c.Sensor.Namespace, t.Source)
	if err != nil {
		return nil, err
	}
	if t.LiveObject && t.Operation != "create" && t.Operation != "" {
		if manifest, err = x.live(ctx, c, manifest); err != nil {
			return nil, err
		}
	}
	if manifest, err = c.Fill.Resource(manifest, t.Parameters); err != nil {
		return nil, fault.AsPoison(err)
	}
	o := &unstructured.Unstructured{}
	if err := o.UnmarshalJSON(manifest); err != nil {
		return nil, fault.Poisonf("source: %w", err)
	}
	return o, nil
}

func (x *objects) live(ctx context.Context, c Call, manifest []byte) ([]byte, error) {
	o := &unstructured.Unstructured{}
	if err := o.UnmarshalJSON(manifest); err != nil {
		return nil, fault.Poisonf("source: %w", err)
	}
	at, err := x.world.Objects.of(c.Sensor, o)
	if err != nil {
		return nil, err
	}
	found, err := at.Get(ctx, o.GetName(), metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("read the live %s %s/%s: %w", o.GetKind(), o.GetNamespace(), o.GetName(), refused(err))
	}
	return found.MarshalJSON()
}

// create makes the object once: its name is its own, or ends in the key. One that is there already is done only if the
// same firing made it.
func (x *objects) create(ctx context.Context, c change) error {
	generated := stamp(c.object, c.call, x.world)
	_, err := c.at.Create(ctx, c.object, metav1.CreateOptions{FieldManager: manager})
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	found, lookErr := c.at.Get(ctx, c.object.GetName(), metav1.GetOptions{})
	switch {
	case apierrors.IsForbidden(lookErr) && generated:
		return nil // an account that may only create: the name says whose it is
	case lookErr != nil:
		return fmt.Errorf("%w; whether this firing made it cannot be seen: %w", err, lookErr)
	}
	key := found.GetAnnotations()[lineage.KeyAnnotation]
	if key == c.call.Key || key == "" && generated {
		return nil
	}
	return fmt.Errorf("%w, not made by this firing: use generateName, or the operation update or patch", err)
}

// update merges the manifest over what is there, and creates it when nothing is.
func (x *objects) update(ctx context.Context, c change) error {
	found, err := c.at.Get(ctx, c.object.GetName(), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return x.create(ctx, c)
	}
	if err != nil {
		return err
	}
	merge(found.Object, c.object.Object)
	c.object.SetNamespace(found.GetNamespace())
	// A lost race is tried again with what the winner left.
	_, err = c.at.Update(ctx, found, metav1.UpdateOptions{FieldManager: manager})
	return err
}

// merge lays over on top of base; maps are merged, all else is replaced. Source:
// Argo Events, mergo with override.
func merge(base, over map[string]any) {
	for key, value := range over {
		into, isMap := base[key].(map[string]any)
		from, alsoMap := value.(map[string]any)
		if isMap && alsoMap {
			merge(into, from)
			continue
		}
		base[key] = value
	}
}

func (x *objects) patch(ctx context.Context, c change) error {
	strategy := types.PatchType(c.call.Template.K8s.PatchStrategy)
	if strategy == "" {
		strategy = types.MergePatchType
	}
	body, err := json.Marshal(c.object.Object)
	if err != nil {
		return fault.AsPoison(err)
	}
	options := metav1.PatchOptions{FieldManager: manager}
	if strategy == types.ApplyPatchType {
		force := true
		options.Force = &force
	}
	_, err = c.at.Patch(ctx, c.object.GetName(), strategy, body, options)
	return err
}

// remove deletes the object; one that is gone is done.
func (x *objects) remove(ctx context.Context, c change) error {
	err := c.at.Delete(ctx, c.object.GetName(), metav1.DeleteOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// stamp gives an object its deterministic name and says who made it; generated tells that the name is ours.
func stamp(o *unstructured.Unstructured, c Call, w World) (generated bool) {
	if prefix := o.GetGenerateName(); prefix != "" && o.GetName() == "" {
		o.SetName(nameOf(prefix, c.Key))
		o.SetGenerateName("")
		generated = true
	}
	labels := o.GetLabels()
	if labels == nil {
		labels = map[string]string{}
	}
	annotations := c.Lineage.Annotate(o.GetAnnotations())
	for label, name := range map[string]string{labelSensor: c.Sensor.Name, labelTrigger: c.Template.Name} {
		if labels[label] = sensing.LabelValue(name); labels[label] != name {
			annotations[label] = name // as it was given
		}
	}
	labels[labelAction] = strconv.FormatInt(w.Now().UnixMilli(), 10)
	o.SetLabels(labels)
	annotations[lineage.KeyAnnotation] = c.Key
	o.SetAnnotations(annotations)
	return generated
}

const (
	// longestName is what every kind takes. Source: Kubernetes, whose API server cuts generateName the same way.
	longestName = 63
	// keyInName is how much of the key ends a name.
	keyInName = 10
)

func nameOf(prefix, key string) string {
	return prefix[:min(len(prefix), longestName-keyInName)] + key[:keyInName]
}

// refused classes what the API server says.
func refused(err error) error {
	if apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || apierrors.IsMethodNotSupported(err) {
		return fault.AsPoison(err)
	}
	return err
}

// await waits until an object has all labels of the policy.
func await(ctx context.Context, at dynamic.ResourceInterface, name string, policy *v1alpha1.K8SResourcePolicy) error {
	missing := fmt.Errorf("policy.k8s: %s does not have the labels %v", name, policy.Labels)
	err := Backoff(policy.Backoff).Do(ctx, func(ctx context.Context) error {
		found, err := at.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for key, want := range policy.Labels {
			if found.GetLabels()[key] != want {
				return missing
			}
		}
		return nil
	})
	if err != nil && ctx.Err() != nil {
		return err // interrupted: the next attempt finds the object, and waits on
	}
	if err != nil && !policy.ErrorOnBackoffTimeout {
		return nil
	}
	if err != nil {
		// The object is there; creating it again would not change its labels.
		return fault.AsPoison(err)
	}
	return nil
}
