// Package object handles the kinds of argoproj.io/v1alpha1 as trees, so that one object that cannot be decoded costs
// only itself, and writes what controllers have to say of them.
package object

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// New returns an empty object of a kind, such as "Sensor", to read into.
func New(kind string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(v1alpha1.Kind(kind))
	return u
}

// Named returns an object of a kind that says no more than which one it is.
func Named(kind, namespace, name string) *unstructured.Unstructured {
	u := New(kind)
	u.SetNamespace(namespace)
	u.SetName(name)
	return u
}

// NewList returns an empty list of objects of a kind, such as "Sensor".
func NewList(kind string) *unstructured.UnstructuredList {
	l := &unstructured.UnstructuredList{}
	l.SetGroupVersionKind(v1alpha1.Kind(kind + "List"))
	return l
}

// MergePatch changes o as body says, an RFC 7396 merge patch that is encoded here. o itself stays as it is. The error
// of the API server is returned as it is: callers tell "not found" and "conflict" apart.
func MergePatch(ctx context.Context, c client.Writer, o *unstructured.Unstructured, body any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode a patch of %s %s/%s: %w", o.GetKind(), o.GetNamespace(), o.GetName(), err)
	}
	return c.Patch(ctx, o.DeepCopy(), client.RawPatch(types.MergePatchType, raw))
}

// Warned adds the condition SpecWarning, which names the fields that were given and have no effect.
func Warned(conditions []v1alpha1.EventCondition, warnings []v1alpha1.FieldWarning) []v1alpha1.EventCondition {
	if len(warnings) == 0 {
		return conditions
	}
	texts := make([]string, len(warnings))
	for i, w := range warnings {
		texts[i] = w.String()
	}
	return append(conditions, v1alpha1.EventCondition{
		Type: SpecWarning, Status: "True", Reason: "FieldsWithoutEffect", Message: strings.Join(texts, "; "),
	})
}

// SpecWarning is the type of the condition that Warned adds.
const SpecWarning = "SpecWarning"

// ReportConditions writes status.conditions, stamped with the time, when they say something new. It tells whether they
// were written; an object that is gone meanwhile needs none.
func ReportConditions(
	ctx context.Context, c client.Client, o *unstructured.Unstructured, conditions []v1alpha1.EventCondition,
) (written bool, err error) {
	if v1alpha1.SameConditions(o.Object, conditions) {
		return false, nil
	}
	now := metav1.Now()
	for i := range conditions {
		conditions[i].LastTransitionTime = &now
	}
	body, err := json.Marshal(map[string]any{"status": map[string]any{"conditions": conditions}})
	if err != nil {
		return false, fmt.Errorf("encode status: %w", err)
	}
	err = c.Status().Patch(ctx, o.DeepCopy(), client.RawPatch(types.MergePatchType, body))
	return err == nil, client.IgnoreNotFound(err)
}
