package kube

import (
	"context"
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/argosy-mesh/argosy/libs/kube/kubetest"
)

func TestOnlyOwnedObjectsPassTheGate(t *testing.T) {
	var passed []string
	inner := reconcile.Func(func(_ context.Context, r reconcile.Request) (reconcile.Result, error) {
		passed = append(passed, r.Name)
		return reconcile.Result{}, errors.New("inner")
	})
	gate := OwnedOnly(func(key string) bool { return key == "ns/mine" }, inner)
	for _, name := range []string{"mine", "other"} {
		_, err := gate.Reconcile(
			t.Context(), reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "ns", Name: name}},
		)
		if (err != nil) != (name == "mine") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(passed) != 1 || passed[0] != "mine" {
		t.Errorf("passed %v", passed)
	}
}

func configMap(name string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Labels: map[string]string{"of": "test"}},
	}
}

// labelled narrows a reader to the objects of the test.
type labelled struct{ client.Reader }

func (l labelled) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	return l.Reader.List(ctx, list, append(opts, client.MatchingLabels{"of": "test"})...)
}

func TestOnARealAPIServer(t *testing.T) {
	cfg := kubetest.Start(t)
	c, err := client.New(cfg, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Run("an object is created once", func(t *testing.T) {
		for i, want := range []bool{true, false, false} {
			if created, err := CreateOnce(t.Context(), c, configMap("once")); err != nil || created != want {
				t.Errorf("try %d: %v, %v", i, created, err)
			}
		}
		if _, err := CreateOnce(t.Context(), c, configMap("Not A Name")); err == nil {
			t.Error("an invalid object is no error")
		}
	})
	t.Run("all come back when ownership moved", func(t *testing.T) {
		if _, err := CreateOnce(t.Context(), c, configMap("twice")); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		changed, out := make(chan struct{}), make(chan event.GenericEvent)
		ended := make(chan error, 1)
		go func() { ended <- ResyncOnMembership(ctx, changed, labelled{c}, &corev1.ConfigMapList{}, out) }()
		for range 2 {
			changed <- struct{}{}
			for _, want := range []string{"once", "twice"} {
				if got := (<-out).Object.GetName(); got != want {
					t.Errorf("%s came, want %s", got, want)
				}
			}
		}
		changed <- struct{}{}
		cancel() // nobody takes what it sends now
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Run("ownership may move before the cache is started", func(t *testing.T) {
		if _, err := CreateOnce(t.Context(), c, configMap("once")); err != nil {
			t.Fatal(err)
		}
		objects, err := cache.New(
			cfg,
			cache.Options{
				ByObject: map[client.Object]cache.ByObject{
					&corev1.ConfigMap{}: {Label: labels.SelectorFromSet(labels.Set{"of": "test"})},
				},
			},
		)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		changed, out := make(chan struct{}), make(chan event.GenericEvent)
		ended := make(chan error, 2)
		go func() { ended <- ResyncOnMembership(ctx, changed, objects, &corev1.ConfigMapList{}, out) }()
		changed <- struct{}{}
		go func() { ended <- objects.Start(ctx) }()
		select {
		case got := <-out:
			if got.Object.GetNamespace() != "default" {
				t.Errorf("an object of namespace %q came", got.Object.GetNamespace())
			}
		case err := <-ended:
			t.Fatalf("it ended: %v", err)
		}
		cancel()
		if err := errors.Join(<-ended, <-ended); err != nil {
			t.Error(err)
		}
		stopped := make(chan struct{}, 1)
		stopped <- struct{}{}
		if err := ResyncOnMembership(ctx, stopped, objects, &corev1.ConfigMapList{}, out); err != nil {
			t.Error(err)
		}
	})
}
