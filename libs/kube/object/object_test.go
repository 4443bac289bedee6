package object_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/argosy-mesh/argosy/libs/kube/object"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// writer notes the patches of a status.
type writer struct {
	client.Client
	status status
}

type status struct {
	client.SubResourceWriter
	fails error
	sent  []string
}

func (w *writer) Status() client.SubResourceWriter { return &w.status }

func (w *status) Patch(_ context.Context, o client.Object, p client.Patch, _ ...client.SubResourcePatchOption) error {
	raw, err := p.Data(o)
	w.sent = append(w.sent, string(raw))
	if err != nil {
		return err
	}
	return w.fails
}

func TestConditionsAreWrittenWhenTheySaySomethingNew(t *testing.T) {
	w := &writer{}
	o := object.Named("Sensor", "ns", "s")
	ready := []v1alpha1.EventCondition{{Type: "Ready", Status: "True", Reason: "Listening"}}
	if written, err := object.ReportConditions(t.Context(), w, o, ready); !written || err != nil ||
		len(w.status.sent) != 1 {
		t.Fatal(written, err, w.status.sent)
	}
	var body struct {
		Status v1alpha1.SensorStatus `json:"status"`
	}
	if err := json.Unmarshal([]byte(w.status.sent[0]), &body); err != nil || len(body.Status.Conditions) != 1 ||
		body.Status.Conditions[0].LastTransitionTime == nil {
		t.Fatal(err, w.status.sent[0])
	}
	o.Object["status"] = map[string]any{
		"conditions": []any{map[string]any{"type": "Ready", "status": "True", "reason": "Listening"}},
	}
	if written, err := object.ReportConditions(t.Context(), w, o, ready); written || err != nil ||
		len(w.status.sent) != 1 {
		t.Error("said again:", written, err, w.status.sent)
	}
	w.status.fails = apierrors.NewNotFound(schema.GroupResource{Resource: "sensors"}, "s")
	ready[0].Status = "False"
	if written, err := object.ReportConditions(t.Context(), w, o, ready); written || err != nil {
		t.Error("of an object that is gone:", written, err)
	}
}

func TestKinds(t *testing.T) {
	if l := object.NewList("Sensor"); l.GetKind() != "SensorList" || l.GetAPIVersion() != "argoproj.io/v1alpha1" {
		t.Error(l.GroupVersionKind())
	}
	if o := object.Named("Sensor", "ns", "s"); o.GetKind() != "Sensor" || o.GetNamespace() != "ns" ||
		o.GetName() != "s" {
		t.Error(o)
	}
	if got := object.Warned(nil, nil); got != nil {
		t.Error(got)
	}
}
