package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/bus/bustest"
	"github.com/argosy-mesh/argosy/libs/flow/location"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/store"
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
	kube := fake.NewClientBuilder().WithInterceptorFuncs(interceptor.Funcs{Create: func(ctx context.Context, next client.WithWatch, o client.Object, options ...client.CreateOption) error {
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
	bind := &eventBindingReconciler{client: kube, bus: b, owns: func(string) bool { return true }, metrics: newMetrics(prometheus.NewRegistry()), log: slog.New(slog.DiscardHandler), running: map[string]*listening{}}
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
		one := anyBinding()
		one.SetNamespace(namespace)
		one.SetName("b")
		one.SetUID(types.UID("uid-" + namespace))
		one.SetGeneration(1)
		one.SetCreationTimestamp(metav1.NewTime(time.Now().Add(-time.Minute)))
		one.Object["spec"] = map[string]any{"event": map[string]any{"selector": "true"}, "submit": map[string]any{"workflowTemplateRef": map[string]any{"name": "t"}}}
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
		one := anyBinding()
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
	doomed := anyBinding()
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
	if err := kube.Get(t.Context(), request("held").NamespacedName, anyBinding()); !apierrors.IsNotFound(err) {
		t.Errorf("it is still there: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := bind.drain(ended); err != nil {
		t.Error(err)
	}
}

func TestAStoreThatIsAwayHoldsNoOther(t *testing.T) {
	var dials atomic.Int32
	insecure := true
	at := func(host, key string) v1alpha1.ArtifactLocation {
		return v1alpha1.ArtifactLocation{S3: &v1alpha1.S3Artifact{Endpoint: host, Bucket: "bucket", Key: key, Region: "r", Insecure: &insecure}}
	}
	j := &artifactGC{log: slog.New(slog.DiscardHandler), stores: &store.Stores{Dial: func(context.Context, string, string) (net.Conn, error) {
		dials.Add(1)
		return nil, errors.New("away")
	}}}
	var waste []location.Waste
	for i := range 50 {
		waste = append(waste, location.Waste{Name: fmt.Sprint(i), Location: at("127.0.0.1:1", fmt.Sprint("k", i))})
	}
	if err := j.remove(t.Context(), artifactGCRecord{Namespace: "ns", Name: "wf"}, waste); err == nil {
		t.Error("all is removed from a store that is away")
	}
	once := dials.Load()
	if err := j.remove(t.Context(), artifactGCRecord{Namespace: "ns", Name: "other"}, waste); err == nil || dials.Load() != once {
		t.Errorf("it was tried %d times more: %v", dials.Load()-once, err)
	}
	if err := j.remove(t.Context(), artifactGCRecord{Namespace: "ns2", Name: "wf"}, waste[:1]); err == nil || dials.Load() == once {
		t.Errorf("another namespace is held: %v", err)
	}
	if err := j.remove(t.Context(), artifactGCRecord{Namespace: "ns", Name: "wf"}, []location.Waste{{Name: "x", Location: at("127.0.0.1:2", "k")}}); err == nil || dials.Load() < 2*once {
		t.Errorf("another store is held: %v", err)
	}
	if a := (&awayStores{}); a.has("x", time.Now()) {
		t.Error("a store is away that nobody asked")
	} else if a.add("x", time.Unix(100, 0)); !a.has("x", time.Unix(99, 0)) || a.has("x", time.Unix(100, 0)) {
		t.Error("it does not come back")
	}
}
