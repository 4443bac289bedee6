package agent

import (
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/libs/kube/object"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// widgets defines a kind, widget is of it.
const (
	widgets = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.other.example.org}
spec:
  group: other.example.org
  scope: Namespaced
  names: {kind: Widget, plural: widgets, singular: widget}
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}
`
	widget = "apiVersion: other.example.org/v1\nkind: Widget\nmetadata: {name: w}\n"
)

// What the options do that only an API server can tell.
func TestSyncOptionsAtTheServer(t *testing.T) {
	m := newMesh(t)
	odd := func(name, options string) string {
		return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + ", annotations: {" + options + "}}\n" +
			"data: {k: '1'}\ntypo: 1\n"
	}
	thing := func(options string) string {
		return "apiVersion: example.org/v1\nkind: Thing\nmetadata: {name: t, annotations: {" + options + "}}\n"
	}
	const options = "argocd.argoproj.io/sync-options: "
	m.commit("first", map[string]string{
		"strict/a.yaml": odd("strict", ""), "lax/a.yaml": odd("lax", options+"Validate=false"),
		"unknown/a.yaml": settings("unknown", "k", "1"), "unknown/t.yaml": thing(""),
		"later/a.yaml":     settings("later", "k", "1"),
		"later/t.yaml":     thing(options + "SkipDryRunOnMissingResource=true"),
		"defined/crd.yaml": widgets, "defined/w.yaml": widget,
		"moved/a.yaml": settings("moved", "k", "1"), "stays/a.yaml": settings("stays", "k", "1"),
	})
	for name, manager := range map[string]string{"moved": "old-tool", "stays": "kubectl-client-side-apply"} {
		if err := m.client.Create(t.Context(), &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": name, "namespace": "demo"},
			"data": map[string]any{"k": "1", "gone": "yes"},
		}}, client.FieldOwner(manager)); err != nil {
			t.Fatal(err)
		}
	}
	m.agent("one")
	const once = "{automated: {}, retry: {limit: 0}}"
	for _, name := range []string{"strict", "lax", "unknown", "later", "defined"} {
		m.create(manifest(name, m.url(), name, once, nil))
	}
	m.create(manifest("moved", m.url(), "moved", automated, map[string]string{
		"argocd.argoproj.io/client-side-apply-migration-manager": "old-tool",
	}))
	m.create(manifest(
		"stays", m.url(), "stays", "{automated: {}, syncOptions: [ClientSideApplyMigration=false]}", nil,
	))
	for name, c := range map[string]struct {
		phase   v1alpha1.OperationPhase
		message string
		applied bool
	}{
		"strict":  {v1alpha1.OperationFailed, "typo", false},
		"lax":     {v1alpha1.OperationSucceeded, "", true},
		"unknown": {v1alpha1.OperationFailed, "dry run", false},
		"later":   {v1alpha1.OperationFailed, "Thing", true},
		"moved":   {v1alpha1.OperationSucceeded, "", true},
		"stays":   {v1alpha1.OperationSucceeded, "", true},
	} {
		m.await(name+" ends", func() bool {
			s := m.app(name).Status.OperationState
			return s != nil && s.Phase == c.phase && strings.Contains(s.Message, c.message)
		})
		if got := m.configMap(name); (got != nil) != c.applied {
			t.Errorf("%s: %v", name, got)
		}
	}
	m.await("a kind and an object of it in one sync", func() bool {
		s := m.app("defined").Status.OperationState
		return s != nil && s.Phase == v1alpha1.OperationSucceeded
	})
	definition := m.find(schema.GroupVersionKind{
		Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition",
	}, "widgets.other.example.org")
	if definition == nil || definition.GetAnnotations()[track.TrackingAnnotation] != "" {
		t.Errorf("a definition is tracked: %v", definition)
	}
	if got := m.configMap("moved").Data; len(got) != 1 {
		t.Errorf("what the manager of the annotation wrote stays: %v", got)
	}
	if got := m.configMap("stays").Data; len(got) != 2 {
		t.Errorf("what was not to be moved is gone: %v", got)
	}
}

// An Application that is deleted with its objects takes the highest wave first and waits until it is gone. Definitions
// stay.
func TestADeletionGoesByWaves(t *testing.T) {
	m := newMesh(t)
	late := strings.Replace(
		settings("late", "k", "1"), "{name: late}", `{name: late, annotations: {argocd.argoproj.io/sync-wave: "1"}}`, 1,
	)
	m.commit("first", map[string]string{
		"app/a.yaml": settings("early", "k", "1"), "app/b.yaml": late, "app/crd.yaml": widgets,
	})
	m.agent("one")
	m.create(manifest("shop", m.url(), "app", automated, nil))
	m.mergePatch("shop", `{"metadata":{"finalizers":["resources-finalizer.argocd.argoproj.io/background"]}}`)
	m.await("synced", func() bool { return m.app("shop").Status.Sync.Status == "Synced" })
	hold := func(finalizers string) {
		t.Helper()
		if err := m.client.Patch(t.Context(), m.configMap("late"), client.RawPatch(
			types.MergePatchType, []byte(`{"metadata":{"finalizers":`+finalizers+`}}`),
		)); err != nil {
			t.Fatal(err)
		}
	}
	hold(`["example.org/hold"]`)
	if err := m.client.Delete(t.Context(), object.Named("Application", "argocd", "shop")); err != nil {
		t.Fatal(err)
	}
	m.await("the highest wave goes", func() bool { return m.configMap("late").DeletionTimestamp != nil })
	if early := m.configMap("early"); early == nil || early.DeletionTimestamp != nil {
		t.Error("a lower wave does not wait")
	}
	hold("null")
	m.await("the rest goes", func() bool { return m.configMap("early") == nil && m.gone("shop") })
	if m.find(schema.GroupVersionKind{
		Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition",
	}, "widgets.other.example.org") == nil {
		t.Error("a definition is gone, with all objects of its kind")
	}
}
