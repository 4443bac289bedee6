package agent

import (
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
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
		"later/a.yaml": settings("later", "k", "1"),
		"later/t.yaml": thing(options + "SkipDryRunOnMissingResource=true"),
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
	for _, name := range []string{"strict", "lax", "unknown", "later"} {
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
	if got := m.configMap("moved").Data; len(got) != 1 {
		t.Errorf("what the manager of the annotation wrote stays: %v", got)
	}
	if got := m.configMap("stays").Data; len(got) != 2 {
		t.Errorf("what was not to be moved is gone: %v", got)
	}
}
