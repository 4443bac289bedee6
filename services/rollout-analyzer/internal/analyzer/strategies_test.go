package analyzer

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/kube/object"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core"
)

// TestStrategiesOnARealCluster plays blue-green with the template of a Deployment, a canary behind an Ingress, a
// restart, and the end of a Rollout.
func TestStrategiesOnARealCluster(t *testing.T) {
	f := newField(t)
	_, prometheus := newRate(t)
	f.analyzer("one", prometheus)
	t.Run("blue-green with the template of a Deployment", func(t *testing.T) { f.in(t).blueGreen() })
	t.Run("a canary behind an Ingress", func(t *testing.T) { f.in(t).ingress() })
	t.Run("an experiment of a step", func(t *testing.T) { f.in(t).experiment() })
	t.Run("pods are replaced within their budget", func(t *testing.T) { f.in(t).restarted() })
}

func (f *field) selects(ctx context.Context, namespace, service, want string) error {
	svc := &corev1.Service{}
	if err := f.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: service}, svc); err != nil {
		return err
	}
	if got := svc.Spec.Selector[core.HashLabel]; got != want {
		return fmt.Errorf("service %s selects %q, want %q", service, got, want)
	}
	return nil
}

func (f *field) blueGreen() {
	const ns = "bluegreen"
	f.apply(ns, "bluegreen.yaml")
	first := f.await(ns, "shop", v1alpha1.RolloutHealthy, nil)
	work := &appsv1.Deployment{}
	key := client.ObjectKey{Namespace: ns, Name: "old"}
	f.eventually("the Deployment to make room", func(ctx context.Context) error {
		if err := f.client.Get(ctx, key, work); err != nil {
			return err
		}
		if *work.Spec.Replicas != 0 {
			return fmt.Errorf("%d replicas", *work.Spec.Replicas)
		}
		return nil
	})
	stored, err := f.rollout(f.t.Context(), ns, "shop")
	if err != nil {
		f.t.Fatal(err)
	}
	if len(stored.Spec.Template.Spec.Containers) > 0 || stored.Spec.Selector != nil {
		f.t.Errorf("the template of the Deployment was written into the Rollout: %+v", stored.Spec)
	}
	work.Spec.Template.Spec.Containers[0].Image = "shop:v2"
	if err := f.client.Update(f.t.Context(), work); err != nil {
		f.t.Fatal(err)
	}
	paused := f.await(ns, "shop", v1alpha1.RolloutPaused, nil)
	old, fresh := first.Status.StableRS, paused.Status.CurrentPodHash
	for service, want := range map[string]string{"active": old, "preview": fresh} {
		if err := f.selects(f.t.Context(), ns, service, want); err != nil {
			f.t.Error(err)
		}
	}
	f.patch(ns, "shop", `{"status":{"pauseConditions":null}}`, true)
	f.await(
		ns,
		"shop",
		v1alpha1.RolloutHealthy,
		func(ro *v1alpha1.Rollout) bool { return ro.Status.StableRS == fresh },
	)
	if err := f.selects(f.t.Context(), ns, "active", fresh); err != nil {
		f.t.Error(err)
	}
	f.eventually("the old pods to go", func(ctx context.Context) error {
		list := &appsv1.ReplicaSetList{}
		if err := f.client.List(ctx, list, client.InNamespace(ns)); err != nil {
			return err
		}
		for _, rs := range list.Items {
			isNew := rs.Labels[core.HashLabel] == fresh
			if (*rs.Spec.Replicas > 0) != isNew || isNew && rs.Spec.Template.Labels["role"] != "active" ||
				rs.Annotations[core.AnnotationPodsBehind] != "" {
				return fmt.Errorf(
					"%s: %d, %v %v",
					rs.Name,
					*rs.Spec.Replicas,
					rs.Spec.Template.Labels,
					rs.Annotations,
				)
			}
		}
		return nil
	})
	if err := f.client.Delete(f.t.Context(), object.Named("Rollout", ns, "shop")); err != nil {
		f.t.Fatal(err)
	}
	f.eventually("the services to select by their own labels again", func(ctx context.Context) error {
		for _, service := range []string{"active", "preview"} {
			if err := f.selects(ctx, ns, service, ""); err != nil {
				return err
			}
		}
		return nil
	})
}

func (f *field) ingress() {
	const ns = "ingress"
	f.apply(ns, "ingress.yaml")
	f.await(ns, "shop", v1alpha1.RolloutHealthy, nil)
	weight := func(want string) func(context.Context) error {
		return func(ctx context.Context) error {
			made := &networkingv1.Ingress{}
			if err := f.client.Get(ctx, client.ObjectKey{Namespace: ns, Name: "shop-web-canary"}, made); err != nil {
				return err
			}
			service := made.Spec.Rules[0].HTTP.Paths[0].Backend.Service.Name
			if got := made.Annotations["nginx.ingress.kubernetes.io/canary-weight"]; got != want ||
				service != "canary" {
				return fmt.Errorf("weight %s to %s, want %s", got, service, want)
			}
			if owner := metav1.GetControllerOf(made); owner == nil || owner.Name != "shop" {
				return fmt.Errorf("owned by %+v", owner)
			}
			return nil
		}
	}
	f.image(ns, "v2")
	f.await(ns, "shop", v1alpha1.RolloutPaused, nil)
	f.eventually("30 % at the canary", weight("30"))
	f.patch(ns, "shop", `{"status":{"abort":true}}`, true)
	f.eventually("nothing at the canary", weight("0"))
	f.await(ns, "shop", v1alpha1.RolloutDegraded, nil)
}

// restarted gives a ReplicaSet pods, of which the API server evicts those that are too old.
func (f *field) restarted() {
	const ns = "restart"
	f.apply(ns, "ingress.yaml")
	f.await(ns, "shop", v1alpha1.RolloutHealthy, nil)
	list := &appsv1.ReplicaSetList{}
	if err := f.client.List(f.t.Context(), list, client.InNamespace(ns)); err != nil || len(list.Items) != 1 {
		f.t.Fatal(err, len(list.Items))
	}
	rs := list.Items[0]
	for i := range 2 {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
			Namespace: ns, Name: fmt.Sprintf("pod-%d", i), Labels: rs.Spec.Template.Labels,
			OwnerReferences: []metav1.OwnerReference{
				{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: rs.Name, UID: rs.UID, Controller: new(true)},
			},
		}, Spec: rs.Spec.Template.Spec}
		if err := f.client.Create(f.t.Context(), pod); err != nil {
			f.t.Fatal(err)
		}
	}
	at := time.Now().Add(2 * time.Second).UTC().Format(time.RFC3339)
	f.patch(ns, "shop", `{"spec":{"restartAt":"`+at+`"}}`, false)
	f.eventually("all pods to be replaced", func(ctx context.Context) error {
		// Nobody makes pods anew here: each eviction is a chance for the next one, as a change of the ReplicaSet is.
		f.touch(ctx, &rs)
		ro, err := f.rollout(ctx, ns, "shop")
		if err != nil {
			return err
		}
		if ro.Status.RestartedAt == nil || ro.Status.RestartedAt.UTC().Format(time.RFC3339) != at {
			return fmt.Errorf("restartedAt %v, %s", ro.Status.RestartedAt, ro.Status.Message)
		}
		return nil
	})
	pods := &corev1.PodList{}
	if err := f.client.List(f.t.Context(), pods, client.InNamespace(ns)); err != nil || len(pods.Items) != 0 {
		f.t.Errorf("%v, %d pods are left", err, len(pods.Items))
	}
}

// touch makes a ReplicaSet change.
func (f *field) touch(ctx context.Context, rs *appsv1.ReplicaSet) {
	patch := fmt.Sprintf(`{"metadata":{"annotations":{"touched":"%d"}}}`, time.Now().UnixNano())
	raw := client.RawPatch("application/merge-patch+json", []byte(patch))
	if err := f.client.Patch(ctx, rs.DeepCopy(), raw); err != nil {
		f.t.Fatal(err)
	}
}

// experiment runs pods of both versions beside each other before the steps go on.
func (f *field) experiment() {
	const ns = "experiment"
	f.apply(ns, "experiment.yaml")
	first := f.await(ns, "shop", v1alpha1.RolloutHealthy, nil)
	f.patch(ns, "shop", `{"spec":{"template":{"spec":{"containers":[
		{"name":"main","image":"shop:v2","ports":[{"containerPort":80}]}]}}}}`, false)
	f.await(ns, "shop", v1alpha1.RolloutHealthy, func(ro *v1alpha1.Rollout) bool {
		return ro.Status.StableRS != first.Status.StableRS
	})
	list := object.NewList("Experiment")
	if err := f.client.List(f.t.Context(), list, client.InNamespace(ns)); err != nil || len(list.Items) != 1 {
		f.t.Fatal(err, len(list.Items))
	}
	ex, _, _ := v1alpha1.DecodeTolerant[v1alpha1.Experiment](list.Items[0].Object)
	if ex.Status.Phase != v1alpha1.AnalysisSuccessful || len(ex.Status.AnalysisRuns) != 1 {
		f.t.Errorf("%+v", ex.Status)
	}
	images := map[string]string{}
	for _, t := range ex.Spec.Templates {
		images[t.Name] = t.Template.Spec.Containers[0].Image + " " + t.Selector.MatchLabels["set"]
	}
	if images["baseline"] != "shop:v1 baseline" || images["trial"] != "shop:v2 trial" {
		f.t.Errorf("%v", images)
	}
	f.eventually("the pods and the service of the experiment to go", func(ctx context.Context) error {
		sets := &appsv1.ReplicaSetList{}
		if err := f.client.List(ctx, sets, client.InNamespace(ns), client.HasLabels{"set"}); err != nil {
			return err
		}
		services := &corev1.ServiceList{}
		if err := f.client.List(ctx, services, client.InNamespace(ns)); err != nil {
			return err
		}
		for _, rs := range sets.Items {
			if *rs.Spec.Replicas != 0 || len(sets.Items) != 2 {
				return fmt.Errorf("%s has %d", rs.Name, *rs.Spec.Replicas)
			}
		}
		if len(services.Items) > 0 {
			return fmt.Errorf("%d services", len(services.Items))
		}
		return nil
	})
}
