package agent

import (
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/libs/kube/object"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// conditionOf returns the message of a condition, "" when there is none.
func (m *mesh) conditionOf(name, kind string) string {
	for _, c := range m.app(name).Status.Conditions {
		if c.Type == kind {
			return c.Message
		}
	}
	return ""
}

func inProject(name, project string, m *mesh, path string) string {
	return strings.Replace(manifest(name, m.url(), path, automated, nil), "project: default", "project: "+project, 1)
}

func TestNoApplicationDoesWhatItsProjectDoesNotAllow(t *testing.T) {
	m := newMesh(t)
	m.commit("first", map[string]string{
		"app/a.yaml":    settings("a", "k", "1"),
		"kinds/a.yaml":  settings("b", "k", "1"),
		"kinds/ns.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: stolen}\n",
		"away/c.yaml":   "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: argocd}\n",
	})
	m.create(`apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: {name: narrow, namespace: argocd}
spec:
  sourceRepos: ["` + m.url() + `"]
  destinations: [{server: https://kubernetes.default.svc, namespace: demo}]
`)
	m.create(`apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: {name: elsewhere, namespace: argocd}
spec:
  sourceRepos: ["https://git.example.org/**"]
  destinations: [{name: in-cluster, namespace: "team-*"}]
`)
	m.agent("one")
	m.create(inProject("fine", "narrow", m, "app"))
	m.create(inProject("kinds", "narrow", m, "kinds"))
	m.create(inProject("away", "narrow", m, "away"))
	m.create(inProject("lost", "nowhere", m, "app"))
	m.create(inProject("refused", "elsewhere", m, "app"))
	other := strings.Replace(inProject("foreign", "narrow", m, "app"), "namespace: argocd", "namespace: demo", 1)
	m.create(other)

	m.await("what is allowed is done", func() bool { return m.app("fine").Status.Sync.Status == "Synced" })
	for name, says := range map[string]string{
		"lost": "the project does not exist", "refused": "is not permitted in project elsewhere",
	} {
		m.await(
			name+" says why not",
			func() bool { return strings.Contains(m.conditionOf(name, "InvalidSpecError"), says) },
		)
	}
	for name, says := range map[string]string{
		"kinds": "kind Namespace of the cluster is not permitted", "away": `namespace "argocd" is not permitted`,
	} {
		m.await(name+" fails before anything is written", func() bool {
			s := m.app(name).Status.OperationState
			return s != nil && s.FinishedAt != nil && strings.Contains(s.Message, says)
		})
	}
	foreign := object.Named("Application", "demo", "foreign")
	if err := m.client.Get(
		t.Context(),
		client.ObjectKeyFromObject(foreign),
		foreign,
	); err != nil ||
		foreign.Object["status"] != nil {
		t.Errorf("an application of another namespace was taken: %v %v", err, foreign.Object["status"])
	}
	if m.configMap("b") != nil {
		t.Error("half applied")
	}
	if got := m.app("refused").Status.OperationState; got != nil {
		t.Errorf("an operation began: %+v", got)
	}
}

// Objects are written with the rights of the account that the project names.
func TestAnAccountOfTheProjectWrites(t *testing.T) {
	m := newMesh(t)
	m.commit("first", map[string]string{"app/a.yaml": settings("a", "k", "1")})
	m.create(`apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: {name: owned, namespace: argocd}
spec:
  sourceRepos: ["*"]
  destinations: [{server: "*", namespace: "*"}]
  destinationServiceAccounts: [{server: "*", namespace: demo, defaultServiceAccount: writer}]
`)
	m.create("apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: writer, namespace: demo}\n")
	m.agent("one")
	m.create(inProject("shop", "owned", m, "app"))
	m.await("the account may not", func() bool {
		s := m.app("shop").Status.OperationState
		return s != nil && s.FinishedAt != nil &&
			strings.Contains(s.Message, `User "system:serviceaccount:demo:writer" cannot`)
	})
	role := rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Name: "writer", Namespace: "demo"},
		Rules: []rbacv1.PolicyRule{
			{
				APIGroups: []string{
					"",
				},
				Resources: []string{"configmaps"},
				Verbs:     []string{"get", "create", "patch", "delete"},
			},
		},
	}
	binding := rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "writer", Namespace: "demo"},
		RoleRef:    rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "Role", Name: "writer"},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Name: "writer", Namespace: "demo"}},
	}
	if err := m.client.Create(t.Context(), &role); err != nil {
		t.Fatal(err)
	}
	if err := m.client.Create(t.Context(), &binding); err != nil {
		t.Fatal(err)
	}
	m.await("the account may", func() bool {
		m.mergePatch("shop", `{"operation":{"initiatedBy":{"username":"me"},"sync":{}}}`)
		s := m.app("shop").Status.OperationState
		return s != nil && s.Phase == v1alpha1.OperationSucceeded && m.configMap("a") != nil
	})
}
