package binding

import (
	"context"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/bus/bustest"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/meter"
	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

func TestABindingThatIsHeldHoldsNoOther(t *testing.T) {
	b := bustest.Start(t).Connect("test")
	began, release, made := make(chan struct{}, 10), make(chan struct{}), make(chan string, 10)
	kube := fake.NewClientBuilder().WithInterceptorFuncs(interceptor.Funcs{Create: func(ctx context.Context,
		next client.WithWatch, o client.Object, options ...client.CreateOption) error {
		if o.GetObjectKind().GroupVersionKind().Kind != "Workflow" {
			return next.Create(ctx, o, options...)
		}
		if o.GetNamespace() == "held" {
			began <- struct{}{}
			<-release // whatever becomes of the binding
		}
		made <- o.GetNamespace()
		return nil
	}}).Build()
	bind := &Reconciler{Client: kube, Bus: b, Owns: func(string) bool { return true },
		Metrics: meter.NewOwn(prometheus.NewRegistry()), Log: slog.New(slog.DiscardHandler)}
	request := func(namespace string) reconcile.Request {
		return reconcile.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: "b"}}
	}
	look := func(namespace string) reconcile.Result {
		t.Helper()
		result, err := bind.Reconcile(t.Context(), request(namespace))
		if err != nil {
			t.Fatal(namespace, err)
		}
		return result
	}
	add := func(namespace string) {
		one := Object()
		one.SetNamespace(namespace)
		one.SetName("b")
		one.SetUID(types.UID("uid-" + namespace))
		one.SetGeneration(1)
		one.SetCreationTimestamp(metav1.NewTime(time.Now().Add(-time.Minute)))
		one.Object["spec"] = map[string]any{"event": map[string]any{"selector": "true"},
			"submit": map[string]any{"workflowTemplateRef": map[string]any{"name": "t"}}}
		if err := kube.Create(t.Context(), one); err != nil {
			t.Fatal(err)
		}
		e, err := bus.NewEvent("event", "hooks", "webhook", json.RawMessage(`{}`))
		if err == nil {
			err = b.Publish(t.Context(), events.EventSubject(namespace, "hooks", "x"), e)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	add("held")
	look("held")
	<-began
	change := func(edit func(client.Object)) {
		t.Helper()
		one := Object()
		if err := kube.Get(t.Context(), request("held").NamespacedName, one); err != nil {
			t.Fatal(err)
		}
		edit(one)
		if err := kube.Update(t.Context(), one); err != nil {
			t.Fatal(err)
		}
	}
	change(func(o client.Object) { o.SetGeneration(2) })
	look("held") // it listens anew once it can, and nobody waits for that
	add("free")
	look("free")
	if namespace := <-made; namespace != "free" {
		t.Errorf("made in %s", namespace)
	}
	doomed := Object()
	doomed.SetNamespace("held")
	doomed.SetName("b")
	if err := kube.Delete(t.Context(), doomed); err != nil {
		t.Fatal(err)
	}
	if again := look("held").RequeueAfter; again == 0 {
		t.Error("it is let go with an event in hand")
	}
	close(release)
	for bind.running["held/b"] != nil {
		look("held")
	}
	if err := kube.Get(t.Context(), request("held").NamespacedName, Object()); !apierrors.IsNotFound(err) {
		t.Errorf("it is still there: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := bind.Drain(ended); err != nil {
		t.Error(err)
	}
}
