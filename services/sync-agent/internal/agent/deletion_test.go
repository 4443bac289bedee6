package agent

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/kube/object"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// An application that is deleted runs its hooks before and after its objects go, each once, restarts included.
func TestHooksOfADeletion(t *testing.T) {
	m := newMesh(t)
	m.commit("first", map[string]string{
		"app/a.yaml": settings("a", "k", "1"),
		"app/save.yaml": jobManifest(
			"save", "argocd.argoproj.io/hook: PreDelete, argocd.argoproj.io/hook-delete-policy: HookSucceeded",
		),
		"app/bye.yaml": jobManifest("bye", "helm.sh/hook: post-delete"),
	})
	stop := m.start("one")
	m.create(strings.Replace(
		manifest("shop", m.url(), "app", automated, nil), "namespace: argocd",
		"namespace: argocd\n  finalizers: [resources-finalizer.argocd.argoproj.io/background]", 1,
	))
	finalizers := func() []string {
		o := object.Named("Application", "argocd", "shop")
		if err := m.client.Get(t.Context(), client.ObjectKeyFromObject(o), o); err != nil {
			if !apierrors.IsNotFound(err) {
				t.Fatal(err)
			}
			return nil
		}
		return o.GetFinalizers()
	}
	m.await("it is synced, and held for its hooks", func() bool {
		return m.app("shop").Status.Sync.Status == "Synced" && m.configMap("a") != nil &&
			slices.Contains(finalizers(), "pre-delete-finalizer.argocd.argoproj.io") &&
			slices.Contains(finalizers(), "post-delete-finalizer.argocd.argoproj.io/cleanup")
	})
	if m.find(jobs, "save") != nil || m.find(jobs, "bye") != nil {
		t.Error("a hook of the deletion ran in a sync")
	}
	m.remove("Application", "shop")
	m.await("the first hook runs", func() bool { return m.find(jobs, "save") != nil })
	uid := m.find(jobs, "save").GetUID()
	stop()
	stop = m.start("two")
	m.complete("save", "Complete")
	m.await("it ended, and is taken away", func() bool {
		save := m.find(jobs, "save")
		if save != nil && save.GetUID() != uid {
			t.Fatal("the hook ran twice")
		}
		return save == nil && m.find(jobs, "bye") != nil
	})
	if m.configMap("a") != nil {
		t.Error("the last hook began before the objects were gone")
	}
	if slices.ContainsFunc(finalizers(), func(f string) bool { return strings.HasPrefix(f, "pre-delete") }) {
		t.Error("a stage that ended holds the application:", finalizers())
	}
	m.complete("bye", "Failed")
	m.await("a hook that fails is said, with the way out", func() bool {
		message := m.conditionOf("shop", "DeletionError")
		return strings.Contains(message, "batch/Job demo/bye failed: said the job") &&
			strings.Contains(message, "take the finalizers post-delete-finalizer.argocd.argoproj.io and ")
	})
	bye := m.find(jobs, "bye")
	bye.SetFinalizers(nil)
	if err := m.client.Update(t.Context(), bye); err != nil {
		t.Fatal(err)
	}
	if err := m.client.Delete(t.Context(), bye, client.PropagationPolicy("Background")); err != nil {
		t.Fatal(err)
	}
	m.await("it is made again once it is gone", func() bool {
		again := m.find(jobs, "bye")
		return again != nil && again.GetUID() != bye.GetUID()
	})
	m.complete("bye", "Complete")
	m.await("the application is gone", func() bool { return finalizers() == nil })
	if left := m.find(jobs, "bye"); left == nil || len(left.GetFinalizers()) > 0 {
		t.Error("the hook that no policy deletes is gone or held")
	}
	stop()
}

// An object that asks for it goes only when someone approves, and the application waits for that.
func TestADeletionIsApproved(t *testing.T) {
	m := newMesh(t)
	m.commit("first", map[string]string{
		"app/a.yaml": settings("a", "k", "1"),
		"app/b.yaml": strings.Replace(
			settings("b", "k", "1"), "metadata: {",
			"metadata: {annotations: {argocd.argoproj.io/sync-options: Delete=confirm}, ", 1,
		),
	})
	m.agent("one")
	m.create(strings.Replace(
		manifest("shop", m.url(), "app", automated, nil), "namespace: argocd",
		"namespace: argocd\n  finalizers: [resources-finalizer.argocd.argoproj.io/background]", 1,
	))
	m.await("it is synced", func() bool { return m.app("shop").Status.Sync.Status == "Synced" })
	m.remove("Application", "shop")
	m.await("it says what it waits for", func() bool {
		return strings.HasPrefix(
			m.conditionOf("shop", "DeletionError"), "the deletion of ConfigMap demo/b waits for approval",
		)
	})
	if m.configMap("a") == nil || m.configMap("b") == nil {
		t.Error("something went before it was approved")
	}
	m.mergePatch("shop", fmt.Sprintf(
		`{"metadata":{"annotations":{"argocd.argoproj.io/deletion-approved":%q}}}`,
		time.Now().Add(time.Second).UTC().Format(time.RFC3339),
	))
	m.await("all is gone", func() bool { return m.configMap("a") == nil && m.configMap("b") == nil })
}
