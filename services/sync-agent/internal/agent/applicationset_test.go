package agent

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/libs/kube/object"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// apps are the names of the Applications that there are.
func (m *mesh) apps() string {
	m.Helper()
	list := object.NewList("Application")
	if err := m.client.List(m.Context(), list, client.InNamespace("argocd")); err != nil {
		m.Fatal(err)
	}
	var out []string
	for _, o := range list.Items {
		out = append(out, o.GetName())
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func (m *mesh) set(name string) *v1alpha1.ApplicationSet {
	m.Helper()
	raw := object.New("ApplicationSet")
	if err := m.client.Get(m.Context(), client.ObjectKey{Namespace: "argocd", Name: name}, raw); err != nil {
		m.Fatal(err)
	}
	set, _, err := v1alpha1.DecodeTolerant[v1alpha1.ApplicationSet](raw.Object)
	if err != nil {
		m.Fatal(err)
	}
	return set
}

// condition is the status and message of a condition of a set.
func (m *mesh) condition(set, kind string) string {
	m.Helper()
	for _, c := range m.set(set).Status.Conditions {
		if c.Type == kind {
			return c.Status + ": " + c.Message
		}
	}
	return ""
}

func (m *mesh) patch(kind, name, body string) {
	m.Helper()
	o := object.Named(kind, "argocd", name)
	if err := m.client.Patch(m.Context(), o, client.RawPatch(types.MergePatchType, []byte(body))); err != nil {
		m.Fatal(err)
	}
}

func (m *mesh) remove(kind, name string) {
	m.Helper()
	if err := m.client.Delete(m.Context(), object.Named(kind, "argocd", name)); err != nil {
		m.Fatal(err)
	}
}

func clusterSecret(name, server string, labels string) string {
	return fmt.Sprintf(`apiVersion: v1
kind: Secret
metadata: {name: cluster-%[1]s, namespace: argocd, labels: {argocd.argoproj.io/secret-type: cluster, %[3]s}}
stringData: {name: %[1]q, server: %[2]q, config: "{}"}
`, name, server, labels)
}

// foldersBy makes an Application of each folder below apps, and of each cluster that its selector matches.
const foldersBy = `apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata: {name: folders, namespace: argocd}
spec:
  goTemplate: true
  goTemplateOptions: ["missingkey=error"]
  generators:
  - matrix:
      generators:
      - git:
          repoURL: %[1]s
          revision: main
          directories: [{path: apps/*}, {path: apps/off*, exclude: true}]
      - clusters:
          selector: {matchLabels: {stage: dev}}
          values: {where: '{{.path.basename}}-at-{{.name}}'}
  template:
    metadata:
      name: '{{.values.where}}'
      annotations: {from: template}
      finalizers: [resources-finalizer.argocd.argoproj.io/background]
    spec:
      project: default
      source: {repoURL: %[1]s, path: '{{.path.path}}', targetRevision: main}
      destination: {server: '{{.server}}', namespace: demo}
      syncPolicy:
        automated: {prune: true, selfHeal: true}
        syncOptions: [PrunePropagationPolicy=background]
`

func TestApplicationsFollowFoldersAndClusters(t *testing.T) {
	m := newMesh(t)
	m.commit("first", map[string]string{
		"apps/a/a.yaml": settings("a", "k", "1"), "apps/.hidden/x.yaml": settings("x", "k", "1"),
		"apps/off-b/b.yaml": settings("b", "k", "1"), "apps/a/deep/c.txt": "not a folder of apps",
	})
	m.agent("one")
	m.agent("two")
	m.create(clusterSecret("home", "https://kubernetes.default.svc", "stage: dev"))
	m.create(fmt.Sprintf(foldersBy, m.url()))
	m.await("an application of the folder is synchronised", func() bool {
		return m.apps() == "a-at-home" && m.configMap("a") != nil
	})
	if a := m.app("a-at-home"); a.Annotations["from"] != "template" || len(a.OwnerReferences) != 1 ||
		a.Finalizers[0] != "resources-finalizer.argocd.argoproj.io/background" {
		t.Errorf("metadata %+v", a.ObjectMeta)
	}

	sha := m.commit("second", map[string]string{"apps/d/d.yaml": settings("d", "k", "1")})
	m.push("push-2", sha)
	m.await("a push brings the application of a new folder", func() bool {
		return m.apps() == "a-at-home d-at-home" && m.configMap("d") != nil
	})
	if got := m.app("d-at-home").Annotations["argosy.dev/causationid"]; got != "push-2" {
		t.Errorf("the application says it is caused by %q", got)
	}
	m.create(clusterSecret("away", "https://away.example", "stage: dev"))
	m.create(clusterSecret("other", "https://other.example", "stage: prod"))
	m.await("a cluster brings applications", func() bool {
		return m.apps() == "a-at-away a-at-home d-at-away d-at-home"
	})
	m.await("the status lists them", func() bool {
		s := m.set("folders").Status
		return s.ResourcesCount == 4 && len(s.Resources) == 4 && s.Resources[0].Name == "a-at-away" &&
			s.Health.Status == "Healthy" && m.condition("folders", "ParametersGenerated") != ""
	})

	// What others change is put right, and what they leave for themselves stays.
	m.patch("Application", "a-at-home", `{"metadata":{"annotations":{"from":"drift","mine":"gone",
		"argocd.argoproj.io/refresh":"hard","notified.notifications.argoproj.io":"x"}},"spec":{"project":"drift"}}`)
	m.await("a changed application is put right", func() bool {
		a := m.app("a-at-home")
		return a.Spec.Project == "default" && a.Annotations["from"] == "template" && a.Annotations["mine"] == "" &&
			a.Annotations["notified.notifications.argoproj.io"] == "x"
	})

	sha = m.commit("third", map[string]string{"apps/d/d.yaml": ""})
	m.push("push-3", sha)
	m.await("the objects of a folder that is gone go with its application", func() bool {
		return !strings.Contains(m.apps(), "d-at-home") && m.configMap("d") == nil && m.configMap("a") != nil
	})
}

func TestASetThatCannotBeGeneratedChangesNothing(t *testing.T) {
	m := newMesh(t)
	m.commit("first", map[string]string{"apps/a/a.yaml": settings("a", "k", "1")})
	m.agent("one")
	m.create(clusterSecret("home", "https://kubernetes.default.svc", "stage: dev"))
	m.create(fmt.Sprintf(foldersBy, m.url()))
	m.await("the application is there", func() bool { return m.apps() == "a-at-home" })
	m.patch("ApplicationSet", "folders", `{"spec":{"template":{"metadata":{"name":"{{.values.absent}}"}}}}`)
	m.await("what is wrong is said", func() bool {
		return strings.Contains(m.condition("folders", "ErrorOccurred"), "absent") &&
			strings.HasPrefix(m.condition("folders", "ResourcesUpToDate"), "False") &&
			m.set("folders").Status.Health.Status == "Degraded"
	})
	if got := m.apps(); got != "a-at-home" {
		t.Errorf("applications %s", got)
	}
	m.patch("ApplicationSet", "folders", `{"spec":{"template":{"metadata":{"name":"b-{{.name}}"}}}}`)
	m.await("it goes on", func() bool {
		return m.apps() == "b-home" && strings.HasPrefix(m.condition("folders", "ErrorOccurred"), "False")
	})
}

// stages makes two applications that are synchronised one after the other.
const stages = `apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata: {name: stages, namespace: argocd}
spec:
  generators:
  - list:
      elements: [{stage: dev}, {stage: prod}, {stage: lab}]
  strategy:
    type: RollingSync
    deletionOrder: Reverse
    rollingSync:
      steps:
      - matchExpressions: [{key: stage, operator: In, values: [dev]}]
      - matchExpressions: [{key: stage, operator: In, values: [prod]}]
  template:
    metadata:
      name: 'app-{{stage}}'
      labels: {stage: '{{stage}}'}
      finalizers: [resources-finalizer.argocd.argoproj.io/background]
    spec:
      project: default
      source: {repoURL: %[1]s, path: 'env/{{stage}}', targetRevision: main}
      destination: {server: https://kubernetes.default.svc, namespace: demo}
      syncPolicy:
        automated: {prune: true}
        syncOptions: [PrunePropagationPolicy=background]
`

func TestStepsAreSynchronisedInOrder(t *testing.T) {
	m := newMesh(t)
	deployment := func(stage, image string) string {
		return fmt.Sprintf(`apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s}
spec:
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s}}
    spec: {containers: [{name: main, image: %[2]q}]}
`, stage, image)
	}
	m.commit("first", map[string]string{
		"env/dev/d.yaml": deployment("dev", "a:1"), "env/prod/d.yaml": settings("prod", "k", "1"),
		"env/lab/d.yaml": settings("lab", "k", "1"),
	})
	m.agent("one")
	m.create(fmt.Sprintf(stages, m.url()))
	state := func(app string) string {
		for _, s := range m.set("stages").Status.ApplicationStatus {
			if s.Application == app {
				return s.Step + " " + s.Status
			}
		}
		return ""
	}
	m.await("the first step is synchronised", func() bool { return state("app-dev") == "1 Progressing" })
	got := state("app-prod") + ", " + state("app-lab")
	if got != "2 Waiting, -1 Waiting" || m.configMap("prod") != nil {
		t.Errorf("%s, and prod is %v", got, m.configMap("prod"))
	}
	if enabled := m.app("app-dev").Spec.SyncPolicy.Automated.Enabled; enabled == nil || *enabled {
		t.Errorf("it synchronises itself")
	}
	if !strings.HasPrefix(m.condition("stages", "RolloutProgressing"), "True") {
		t.Errorf("condition %q", m.condition("stages", "RolloutProgressing"))
	}
	// There is no kubelet here: the test says that the pods run.
	raw := object.New("Deployment")
	raw.SetAPIVersion("apps/v1")
	raw.SetNamespace("demo")
	raw.SetName("dev")
	if err := m.client.Status().Patch(t.Context(), raw, client.RawPatch(types.MergePatchType, []byte(
		`{"status":{"observedGeneration":1,"replicas":1,"updatedReplicas":1,"availableReplicas":1,"readyReplicas":1}}`,
	))); err != nil {
		t.Fatal(err)
	}
	m.await("the second step follows", func() bool {
		return state("app-dev") == "1 Healthy" && state("app-prod") == "2 Healthy" && m.configMap("prod") != nil
	})
	m.await("the rollout is complete", func() bool {
		return strings.HasPrefix(m.condition("stages", "RolloutProgressing"), "False")
	})
	if m.configMap("lab") != nil {
		t.Error("an application of no step is synchronised")
	}

	// Deletion goes backwards: prod is held by a finalizer that stays, and dev waits for it.
	m.patch("Application", "app-prod", `{"metadata":{"finalizers":["post-delete-finalizer.argocd.argoproj.io/hold"]}}`)
	m.remove("ApplicationSet", "stages")
	m.await("the last step is deleted first", func() bool { return m.app("app-prod").DeletionTimestamp != nil })
	if m.app("app-dev").DeletionTimestamp != nil || m.app("app-lab").DeletionTimestamp != nil {
		t.Error("an earlier step goes before the last one is gone")
	}
	m.patch("Application", "app-prod", `{"metadata":{"finalizers":null}}`)
	m.await("the rest follows, and the set", func() bool {
		err := m.client.Get(
			t.Context(), client.ObjectKey{Namespace: "argocd", Name: "stages"}, object.New("ApplicationSet"),
		)
		return m.apps() == "" && apierrors.IsNotFound(err)
	})
}

func TestPoliciesAndIgnoredFields(t *testing.T) {
	m := newMesh(t)
	m.commit("first", map[string]string{"a/a.yaml": settings("a", "k", "1")})
	m.agent("one")
	m.create(fmt.Sprintf(`apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata: {name: kept, namespace: argocd, finalizers: [resources-finalizer.argocd.argoproj.io]}
spec:
  generators: [{list: {elements: [{id: one}, {id: two}]}}]
  syncPolicy: {applicationsSync: create-update, preserveResourcesOnDeletion: true}
  preservedFields: {labels: [team]}
  ignoreApplicationDifferences:
  - jsonPointers: [/spec/sources/0/targetRevision]
  template:
    metadata: {name: '{{id}}', labels: {id: '{{id}}'}}
    spec:
      project: default
      sources: [{repoURL: %[1]s, path: a, targetRevision: main}, {repoURL: %[1]s, path: b, targetRevision: main}]
      destination: {server: https://kubernetes.default.svc, namespace: demo}
`, m.url()))
	m.await("both are there", func() bool { return m.apps() == "one two" })
	if f := m.app("one").Finalizers; len(f) != 0 {
		t.Errorf("finalizers %v", f)
	}
	m.patch("Application", "one", fmt.Sprintf(`{"metadata":{"labels":{"team":"a","id":"x"}},"spec":{"sources":[
		{"repoURL":%[1]q,"path":"a","targetRevision":"v1"},{"repoURL":%[1]q,"path":"b","targetRevision":"v1"}]}}`, m.url()))
	m.await("all but the ignored field is put right", func() bool {
		a := m.app("one")
		return a.Spec.Sources[1].TargetRevision == "main" && a.Spec.Sources[0].TargetRevision == "v1" &&
			a.Labels["team"] == "a" && a.Labels["id"] == "one"
	})
	m.patch("ApplicationSet", "kept", `{"spec":{"generators":[{"list":{"elements":[{"id":"one"},{"id":"three"}]}}]}}`)
	m.await("a third is made", func() bool { return m.apps() == "one three two" })
	m.remove("ApplicationSet", "kept")
	m.await("the set goes, and its applications stay without it", func() bool {
		key := client.ObjectKey{Namespace: "argocd", Name: "kept"}
		err := m.client.Get(t.Context(), key, object.New("ApplicationSet"))
		return apierrors.IsNotFound(err) && m.apps() == "one three two" && len(m.app("two").OwnerReferences) == 0
	})
}

func TestPluginsAndDecisionsAreAsked(t *testing.T) {
	m := newMesh(t)
	m.agent("one")
	asked := make(chan string, 100)
	plugin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Header.Get("Authorization") != "Bearer open" || r.URL.Path != "/api/v1/getparams.execute" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		asked <- string(body)
		_, _ = io.WriteString(w, `{"output":{"parameters":[{"tag":"v1","n":12345678}]}}`)
	}))
	t.Cleanup(plugin.Close)
	m.create(clusterSecret("east", "https://east.example", "stage: dev"))
	m.create(clusterSecret("west", "https://west.example", "stage: dev"))
	for _, manifest := range []string{
		"apiVersion: v1\nkind: Secret\nmetadata: {name: plugins, namespace: argocd, labels: " +
			"{app.kubernetes.io/part-of: argocd}}\nstringData: {token: open}",
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: plugin, namespace: argocd}\n" +
			"data: {token: \"$plugins:token\", baseUrl: \"" + plugin.URL + "\"}",
		// Any kind with a list in its status decides; here one that every cluster has.
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: duck, namespace: argocd}\n" +
			"data: {apiVersion: argoproj.io/v1alpha1, kind: appprojects, statusListKey: decisions, matchKey: clusterName}",
		"apiVersion: argoproj.io/v1alpha1\nkind: AppProject\nmetadata: {name: placement, namespace: argocd}\n" +
			"spec: {}\nstatus: {decisions: [{clusterName: west, reason: near}, {clusterName: unknown, reason: far}]}",
		`apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata: {name: asked, namespace: argocd}
spec:
  goTemplate: true
  generators:
  - matrix:
      generators:
      - clusterDecisionResource: {configMapRef: duck, name: placement}
      - plugin:
          configMapRef: {name: plugin}
          input: {parameters: {cluster: '{{.name}}'}}
  template:
    metadata:
      name: '{{.name}}-{{.tag}}'
      annotations: {say: '{{.reason}} {{.n}} {{.generator.input.parameters.cluster}}'}
    spec:
      project: default
      source: {repoURL: https://example.org/x.git, path: a}
      destination: {server: '{{.server}}', namespace: demo}
`,
	} {
		m.create(manifest)
	}
	m.await("there is one for the cluster that was decided for", func() bool { return m.apps() == "west-v1" })
	if got := m.app("west-v1").Annotations["say"]; got != "near 12345678 west" {
		t.Errorf("annotation %q", got)
	}
	if got := <-asked; got != `{"applicationSetName":"asked","input":{"parameters":{"cluster":"west"}}}` {
		t.Errorf("asked with %s", got)
	}
	m.patch("ApplicationSet", "asked", `{"metadata":{"annotations":{"argocd.argoproj.io/application-set-refresh":"true"}}}`)
	m.await("a refresh asks again and is taken", func() bool {
		return len(asked) > 0 && m.set("asked").Annotations["argocd.argoproj.io/application-set-refresh"] == ""
	})
}

// repositoriesBy makes an Application of each repository of a forge.
const repositoriesBy = `apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata: {name: repositories, namespace: team}
spec:
  generators:
  - scmProvider:
      gitea: {owner: acme, api: %q, tokenRef: {secretName: forge, key: token}}
  - git: {repoURL: %q, revision: main, directories: [{path: '*'}], values: {repository: '{{path}}'}}
    selector: {matchLabels: {path: nothing}}
  template:
    metadata: {name: '{{repository}}'}
    spec:
      project: %s
      source: {repoURL: '{{url}}', path: deploy, targetRevision: '{{branch}}'}
      destination: {server: https://kubernetes.default.svc, namespace: demo}
`

func TestOtherNamespacesGetNoSecretsAndRepositoriesOfOthers(t *testing.T) {
	m := newMesh(t)
	m.commit("first", map[string]string{"app/a.yaml": settings("a", "k", "1")})
	forge := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch answer := map[string]string{
			"/api/v1/orgs/acme": "{}",
			"/api/v1/orgs/acme/repos": `[{"id":1,"name":"shop","owner":{"login":"acme"},"ssh_url":"ssh://git@x/acme/shop",` +
				`"clone_url":"https://x/acme/shop","default_branch":"main"}]`,
			"/api/v1/repos/acme/shop/branches/main": `{"name":"main","commit":{"id":"a1"}}`,
		}[r.URL.Path]; {
		case r.Header.Get("Authorization") != "token open":
			w.WriteHeader(http.StatusUnauthorized)
		case answer == "":
			w.WriteHeader(http.StatusNotFound)
		default:
			_, _ = io.WriteString(w, answer)
		}
	}))
	t.Cleanup(forge.Close)
	m.create("apiVersion: v1\nkind: Namespace\nmetadata: {name: team}")
	m.create("apiVersion: v1\nkind: Secret\nmetadata: {name: forge, namespace: team}\nstringData: {token: open}")
	m.create(`apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: {name: team, namespace: argocd}
spec:
  sourceNamespaces: [team]
  sourceRepos: ["https://x/*"]
  destinations: [{server: "*", namespace: "*"}]
`)
	m.agent("one", "--application-namespaces=team", "--allowed-scm-providers=http://127.0.0.1:*")
	m.agent("two", "--application-namespaces=team", "--allowed-scm-providers=http://127.0.0.1:*")
	m.create(fmt.Sprintf(repositoriesBy, "http://localhost:1", m.url(), "'{{organization}}'"))
	problem := func() string {
		raw := object.New("ApplicationSet")
		key := client.ObjectKey{Namespace: "team", Name: "repositories"}
		if err := m.client.Get(t.Context(), key, raw); err != nil {
			t.Fatal(err)
		}
		set, _, err := v1alpha1.DecodeTolerant[v1alpha1.ApplicationSet](raw.Object)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range set.Status.Conditions {
			if c.Type == "ErrorOccurred" {
				return c.Status + ": " + c.Message
			}
		}
		return ""
	}
	says := func(what string) {
		t.Helper()
		m.await(what, func() bool { return strings.Contains(problem(), what) })
	}
	set := func(path, value string) {
		t.Helper()
		patch := fmt.Sprintf(`[{"op":"replace","path":%q,"value":%q}]`, path, value)
		o := object.Named("ApplicationSet", "team", "repositories")
		if err := m.client.Patch(t.Context(), o, client.RawPatch(types.JSONPatchType, []byte(patch))); err != nil {
			t.Fatal(err)
		}
	}
	says("tokenRef: secret team/forge lacks the label argocd.argoproj.io/secret-type: scm-creds")
	secret := object.New("Secret")
	secret.SetAPIVersion("v1")
	secret.SetNamespace("team")
	secret.SetName("forge")
	label := `{"metadata":{"labels":{"argocd.argoproj.io/secret-type":"scm-creds"}}}`
	if err := m.client.Patch(t.Context(), secret, client.RawPatch(types.MergePatchType, []byte(label))); err != nil {
		t.Fatal(err)
	}
	says("http://localhost:1 is not among those of --allowed-scm-providers")
	set("/spec/generators/0/scmProvider/gitea/api", forge.URL)
	says("spec.template.spec.project is a template")
	set("/spec/template/spec/project", "team")
	says("is not permitted in project team")
	set("/spec/generators/1/git/repoURL", "https://127.0.0.1:1/nothing")
	says("is not permitted in project team")
	if err := m.client.Patch(t.Context(), object.Named("ApplicationSet", "team", "repositories"), client.RawPatch(
		types.JSONPatchType, []byte(`[{"op":"remove","path":"/spec/generators/1"}]`))); err != nil {
		t.Fatal(err)
	}
	m.await("the application is there", func() bool {
		o := object.New("Application")
		return m.client.Get(t.Context(), client.ObjectKey{Namespace: "team", Name: "shop"}, o) == nil &&
			strings.HasPrefix(problem(), "False")
	})
}
