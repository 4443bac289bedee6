package agent

import (
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const guestbook = `apiVersion: apps/v1
kind: Deployment
metadata: {name: guestbook}
spec:
  replicas: 0
  selector: {matchLabels: {app: guestbook}}
  template:
    metadata: {labels: {app: guestbook}}
    spec: {containers: [{name: guestbook, image: registry.example.org/guestbook}]}
`

// The layout of the guide: a base, an overlay for each stage, an Application that holds the Applications, a project
// that bounds them. A push reaches the cluster, a scale by hand is undone, a file that is removed takes its object
// along.
func TestTheGuestbookFromAnApplicationOfApplications(t *testing.T) {
	m := newMesh(t)
	child := strings.Replace(
		manifest(
			"guestbook-dev",
			m.url(),
			"applications/guestbook/dev",
			automated,
			nil,
		),
		"project: default",
		"project: guestbook",
		1,
	)
	m.commit("first", map[string]string{
		"apps/guestbook-dev.yaml":                        child,
		"applications/guestbook/base/deployment.yaml":    guestbook,
		"applications/guestbook/base/service.yaml":       "apiVersion: v1\nkind: Service\nmetadata: {name: guestbook}\nspec: {selector: {app: guestbook}, ports: [{port: 80}]}\n",
		"applications/guestbook/base/kustomization.yaml": "resources: [deployment.yaml, service.yaml]\n",
		"applications/guestbook/dev/kustomization.yaml": "resources: [../base]\nimages: [{name: registry.example.org/guestbook, newTag: v1}]\n" +
			"configMapGenerator: [{name: settings, literals: [stage=dev], options: {disableNameSuffixHash: true}}]\n",
	})
	m.create(`apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: {name: guestbook, namespace: argocd}
spec:
  sourceRepos: ["` + m.url() + `"]
  destinations: [{name: in-cluster, namespace: demo}]
`)
	m.agent("one")
	m.create(
		strings.Replace(manifest("root", m.url(), "apps", automated, nil), "namespace: demo", "namespace: argocd", 1),
	)
	image := func() string {
		d := m.find(deployments, "guestbook")
		if d == nil {
			return ""
		}
		list, _, _ := unstructured.NestedSlice(d.Object, "spec", "template", "spec", "containers")
		return list[0].(map[string]any)["image"].(string)
	}
	m.await(
		"the child is applied",
		func() bool { return image() == "registry.example.org/guestbook:v1" && m.configMap("settings") != nil },
	)

	second := m.commit("second", map[string]string{
		"applications/guestbook/dev/kustomization.yaml": "resources: [../base]\nimages: [{name: registry.example.org/guestbook, newTag: v2}]\n",
	})
	m.push("p2", second)
	m.await("a push is live, and what left Git is gone", func() bool {
		return image() == "registry.example.org/guestbook:v2" && m.configMap("settings") == nil
	})
	third := m.commit("third", map[string]string{"applications/guestbook/base/service.yaml": strings.Replace(
		"apiVersion: v1\nkind: Service\nmetadata: {name: guestbook}\nspec: {selector: {app: guestbook}, ports: [{port: 80}]}\n",
		"port: 80",
		"port: 81",
		1,
	)})
	m.push("p3", third)
	m.await("a change of the base outside of the folder is live", func() bool {
		return m.app("guestbook-dev").Status.Sync.Revision == third &&
			m.app("guestbook-dev").Status.Sync.Status == "Synced"
	})

	d := m.find(deployments, "guestbook")
	if err := m.client.Patch(
		t.Context(), d, client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"replicas":3}}`)),
	); err != nil {
		t.Fatal(err)
	}
	m.await("a scale by hand is undone", func() bool {
		replicas, _, _ := unstructured.NestedInt64(m.find(deployments, "guestbook").Object, "spec", "replicas")
		return replicas == 0
	})
	m.await("the Application of Applications is Synced", func() bool {
		app := m.app("root")
		return app.Status.Sync.Status == "Synced" && app.Status.OperationState.Phase == v1alpha1.OperationSucceeded
	})
	if got := m.app("root").Status.History; len(got) != 1 {
		t.Errorf("the status of the child counts as a change: %d syncs", len(got))
	}
}
