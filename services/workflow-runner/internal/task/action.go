package task

import (
	"context"
	"fmt"
	"hash/fnv"
	"strconv"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/lineage"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
)

// action does one thing to an object and returns how it is then; nil without error when it is gone.
type action func(ctx context.Context, where dynamic.ResourceInterface, o *resourceRequest) (*unstructured.Unstructured,
	error)

// actions are the actions of resource templates by name.
func actions() map[string]action {
	return map[string]action{"get": get, "create": create, "apply": apply, "patch": patch, "replace": replace,
		"delete": remove}
}

func get(ctx context.Context, where dynamic.ResourceInterface, o *resourceRequest) (*unstructured.Unstructured, error) {
	if o.object.GetName() == "" {
		return nil, fmt.Errorf("the manifest has no metadata.name: %w", errOrder)
	}
	return where.Get(ctx, o.object.GetName(), metav1.GetOptions{})
}

// create makes an object once: what is there already and carries the key was made by this very job, before a crash.
func create(ctx context.Context, where dynamic.ResourceInterface, o *resourceRequest) (*unstructured.Unstructured,
	error) {
	made, err := where.Create(ctx, o.object, createOptions())
	if !apierrors.IsAlreadyExists(err) {
		return made, err
	}
	there, lost := where.Get(ctx, o.object.GetName(), metav1.GetOptions{})
	if lost == nil && there.GetAnnotations()[lineage.KeyAnnotation] == o.key {
		return there, nil
	}
	return nil, err
}

func apply(ctx context.Context, where dynamic.ResourceInterface, o *resourceRequest) (*unstructured.Unstructured,
	error) {
	if o.object.GetName() == "" {
		return nil, fmt.Errorf("the manifest has no metadata.name: %w", errOrder)
	}
	return where.Apply(ctx, o.object.GetName(), o.object, metav1.ApplyOptions{FieldManager: manager, Force: true})
}

func patch(ctx context.Context, where dynamic.ResourceInterface, o *resourceRequest) (*unstructured.Unstructured,
	error) {
	if o.object.GetName() == "" || o.patch == nil {
		return nil, fmt.Errorf("a patch needs a manifest and the name of an object: %w", errOrder)
	}
	return where.Patch(ctx, o.object.GetName(), o.patchType, o.patch, metav1.PatchOptions{FieldManager: manager})
}

// replace writes the whole object over the one that is there.
func replace(ctx context.Context, where dynamic.ResourceInterface, o *resourceRequest) (*unstructured.Unstructured,
	error) {
	next := o.object.DeepCopy()
	if next.GetResourceVersion() == "" {
		there, err := get(ctx, where, o)
		if err != nil {
			return nil, err
		}
		next.SetResourceVersion(there.GetResourceVersion())
	}
	return where.Update(ctx, next, metav1.UpdateOptions{FieldManager: manager})
}

// goneCheck is how often a deleted object is looked for until it is gone.
const goneCheck = 500 * time.Millisecond

// remove deletes an object and waits until it is gone; one that is not there is no error. Source: Argo Workflows, and
// kubectl, which it runs.
func remove(ctx context.Context, where dynamic.ResourceInterface, o *resourceRequest) (*unstructured.Unstructured,
	error) {
	there, err := get(ctx, where, o)
	if apierrors.IsNotFound(err) {
		return nil, nil //nolint:nilnil // gone is what was asked for
	}
	if err != nil {
		return nil, err
	}
	uid, background := there.GetUID(), metav1.DeletePropagationBackground
	err = where.Delete(ctx, o.object.GetName(),
		metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}, PropagationPolicy: &background})
	for err == nil {
		there, err = get(ctx, where, o)
		if err != nil || there.GetUID() != uid {
			break
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(goneCheck):
		}
	}
	if apierrors.IsNotFound(err) {
		err = nil
	}
	return nil, err
}

// shortKey is a key as the end of a name.
func shortKey(key string) string {
	h := fnv.New64a()
	h.Write([]byte(key))
	return strconv.FormatUint(h.Sum64(), 36)
}
