package agent

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/kube/object"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// gitServer serves the repository by HTTP: everyone may read, who knows the password may write.
func (m *mesh) gitServer() (location string) {
	m.Helper()
	path, err := exec.CommandContext(m.Context(), "git", "--exec-path").Output()
	if err != nil {
		m.Fatal(err)
	}
	m.git(m.bare, "config", "http.receivepack", "true")
	backend := &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(path)), "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + filepath.Dir(m.bare), "GIT_HTTP_EXPORT_ALL=1"},
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		writes := strings.Contains(r.URL.RawQuery, "git-receive-pack") || strings.HasSuffix(
			r.URL.Path, "git-receive-pack",
		)
		if user, password, _ := r.BasicAuth(); writes && (user != "writer" || password != "p4ss") {
			w.Header().Set("WWW-Authenticate", "Basic")
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		backend.ServeHTTP(w, r)
	}))
	m.Cleanup(s.Close)
	return s.URL + "/" + filepath.Base(m.bare)
}

// hydrated is an Application with a source hydrator.
func hydrated(name, location, project string, change ...func(spec map[string]any)) string {
	spec := map[string]any{
		"project":     project,
		"destination": map[string]any{"server": "https://kubernetes.default.svc", "namespace": "demo"},
		"syncPolicy": map[string]any{
			"automated": map[string]any{"prune": true}, "syncOptions": []any{"PrunePropagationPolicy=background"},
		},
		"sourceHydrator": map[string]any{
			"drySource":  map[string]any{"repoURL": location, "targetRevision": "main", "path": name},
			"syncSource": map[string]any{"targetBranch": "env/prod", "path": "out/" + name},
		},
	}
	for _, c := range change {
		c(spec)
	}
	text, _ := yaml.Marshal(map[string]any{
		"apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
		"metadata": map[string]any{"name": name, "namespace": "argocd"}, "spec": spec,
	})
	return string(text)
}

const writeSecret = `apiVersion: v1
kind: Secret
metadata: {name: writer, namespace: argocd, labels: {argocd.argoproj.io/secret-type: repository-write}}
stringData: {url: "%", username: writer, password: p4ss}
`

func (m *mesh) tellPush(id, location, ref, commit string) {
	m.Helper()
	m.tell(id, "a forge", map[string]any{}, events.GitPushed{
		Repositories: []string{location}, DefaultBranch: "main",
		Changes: []events.GitChange{{Ref: ref, Commit: commit}},
	}.Attributes())
}

// hydration is how that of an application stands.
func (m *mesh) hydration(name string) v1alpha1.HydrateOperation {
	m.Helper()
	if s := m.app(name).Status.SourceHydrator; s != nil && s.CurrentOperation != nil {
		return *s.CurrentOperation
	}
	return v1alpha1.HydrateOperation{}
}

func TestManifestsAreHydrated(t *testing.T) {
	m := newMesh(t)
	location := m.gitServer()
	first := m.commit("first", map[string]string{
		"web/kustomization.yaml": "namePrefix: x-\nresources: [a.yaml]\n", "web/a.yaml": settings("web", "k", "1"),
		"db/a.yaml": settings("db", "k", "1"), "db/b.yaml": settings("db2", "k", "1"),
	})
	m.create(strings.Replace(writeSecret, "%", location, 1))
	stop := m.start("one")
	m.agent("two")
	m.create(hydrated("web", location, "default"))
	m.create(hydrated("db", location, "default"))
	synced := func(name, key, value string) func() bool {
		return func() bool {
			c := m.configMap(name)
			return c != nil && c.Data[key] == value
		}
	}
	m.await("web is applied", synced("x-web", "k", "1"))
	m.await("db is applied", synced("db2", "k", "1"))
	for _, name := range []string{"web", "db"} {
		m.await(name+" is hydrated", func() bool {
			o, app := m.hydration(name), m.app(name) // in this order: the second is not older
			return o.Phase == "Hydrated" && o.DrySHA == first && o.FinishedAt != nil &&
				app.Status.Sync.Status == "Synced" &&
				app.Status.Sync.Revision == o.HydratedSHA &&
				app.Status.SourceHydrator.LastSuccessfulOperation.DrySHA == first &&
				app.Status.Sync.ComparedTo.Source.TargetRevision == "env/prod"
		})
	}
	var metadata struct{ RepoURL, DrySha, Author, Subject string }
	if err := json.Unmarshal([]byte(m.git(m.bare, "show", "env/prod:hydrator.metadata")), &metadata); err != nil {
		t.Fatal(err)
	}
	if metadata.RepoURL != location || metadata.DrySha != first || metadata.Author != "T <t@example.org>" ||
		metadata.Subject != "first" {
		t.Errorf("metadata %+v", metadata)
	}
	note := func() string {
		return m.git(m.bare, "notes", "--ref", "refs/notes/hydrator.metadata", "show", "env/prod")
	}
	if got := note(); got != `{"drySha":"`+first+`"}` {
		t.Errorf("note %s", got)
	}

	// One that changes one application is one commit, which changes that one's folder alone.
	before := m.git(m.bare, "rev-parse", "env/prod")
	second := m.commit(
		"second\n\nArgosy-Correlation-Id: chain\n", map[string]string{"db/b.yaml": settings("db2", "k", "2")},
	)
	m.tellPush("push-2", location, "refs/heads/main", second)
	m.await("the change is applied", synced("db2", "k", "2"))
	m.await("both are of it", func() bool {
		return m.hydration("web").DrySHA == second && m.hydration("db").DrySHA == second
	})
	if got := m.git(m.bare, "diff", "--name-only", before, "env/prod"); got !=
		"hydrator.metadata\nout/db/README.md\nout/db/hydrator.metadata\nout/db/manifest.yaml" {
		t.Errorf("changed:\n%s", got)
	}
	if got := m.git(m.bare, "rev-parse", "env/prod^"); got != before {
		t.Errorf("more than one commit:\n%s", m.git(m.bare, "log", "env/prod"))
	}
	message := m.git(m.bare, "log", "-1", "--format=%B", "env/prod")
	for _, part := range []string{
		second[:7] + ": second\n", "Co-authored-by: T <t@example.org>\n", "Argosy-Correlation-Id: chain\n",
		"Argosy-Causation-Id: ", "Argosy-Key: ",
	} {
		if !strings.Contains(message+"\n", part) {
			t.Errorf("message lacks %q:\n%s", part, message)
		}
	}
	told := m.facts("application.hydrated")
	last := told[len(told)-1]
	if l := bus.LineageOf(last.Event); l.Correlation != "chain" || l.Causation != "push-2" ||
		!strings.Contains(message, "Argosy-Causation-Id: "+last.ID()) {
		t.Errorf("lineage %+v of %s", l, last.ID())
	}
	m.await("the sync goes on from it", func() bool {
		all := m.facts("application.synced")
		return bus.LineageOf(all[len(all)-1].Event).Correlation == "chain"
	})

	// One that changes nothing makes no commit, and is noted.
	before = m.git(m.bare, "rev-parse", "env/prod")
	third := m.commit("third", map[string]string{"README": "x"})
	m.tellPush("push-3", location, "refs/heads/main", third)
	m.await("nothing is committed", func() bool {
		return m.hydration("web").DrySHA == third && m.hydration("db").DrySHA == third
	})
	if got := m.git(m.bare, "rev-parse", "env/prod"); got != before || note() != `{"drySha":"`+third+`"}` {
		t.Errorf("%s, note %s", got, note())
	}

	// Killed after the commit and before the status: it is told, and not committed again.
	stop()
	for _, name := range []string{"web", "db"} {
		o := object.Named("Application", "argocd", name)
		if err := m.client.Patch(t.Context(), o, client.RawPatch(
			types.MergePatchType, []byte(`{"status":{"sourceHydrator":null}}`),
		)); err != nil {
			t.Fatal(err)
		}
		m.mergePatch(name, `{"metadata":{"annotations":{"argocd.argoproj.io/hydrate":"normal"}}}`)
	}
	m.agent("three")
	for _, name := range []string{"web", "db"} {
		m.await(name+" is told", func() bool {
			o := m.hydration(name)
			return o.Phase == "Hydrated" && o.HydratedSHA == before &&
				m.app(name).Annotations["argocd.argoproj.io/hydrate"] == ""
		})
	}
	if got := m.git(m.bare, "rev-parse", "env/prod"); got != before {
		t.Errorf("it is committed again:\n%s", m.git(m.bare, "log", "env/prod"))
	}
}

// Whenever a process is killed, each dry commit is one commit, and its status is told.
func TestHydratingThroughKills(t *testing.T) {
	m := newMesh(t)
	location := m.gitServer()
	first := m.commit("first", map[string]string{"web/a.yaml": settings("web", "k", "0")})
	m.create(strings.Replace(writeSecret, "%", location, 1))
	kill := m.process("one")
	m.create(hydrated("web", location, "default"))
	m.await("it is hydrated", func() bool {
		o := m.hydration("web")
		return o.DrySHA == first && o.Phase == "Hydrated"
	})
	for i := range 3 {
		dry := m.commit("next", map[string]string{"web/a.yaml": settings("web", "k", fmt.Sprint(i+1))})
		m.tellPush(fmt.Sprint("push-", i), location, "refs/heads/main", dry)
		before := m.git(m.bare, "rev-parse", "env/prod")
		switch i {
		case 0: // right after the push
			m.await("it is committed", func() bool { return m.git(m.bare, "rev-parse", "env/prod") != before })
		case 1: // when it begins
			m.await("it begins", func() bool { return m.hydration("web").DrySHA == dry })
		case 2: // when the commit may be told or not
			m.await("it is noted", func() bool {
				head := m.git(m.bare, "rev-parse", "env/prod")
				return strings.Contains(m.git(m.bare, "ls-tree", "-r", "refs/notes/hydrator.metadata"), head)
			})
		}
		kill()
		kill = m.process(fmt.Sprint("again-", i))
		m.await("it is told", func() bool {
			o := m.hydration("web")
			return o.Phase == "Hydrated" && o.DrySHA == dry && o.HydratedSHA == m.git(m.bare, "rev-parse", "env/prod")
		})
		m.await("it is applied", func() bool {
			c := m.configMap("web")
			return c != nil && c.Data["k"] == fmt.Sprint(i+1)
		})
	}
	if got := m.git(m.bare, "rev-list", "--count", "env/prod"); got != "4" {
		t.Errorf("%s commits, want 4:\n%s", got, m.git(m.bare, "log", "env/prod"))
	}
	if got := len(m.facts("application.hydrated")); got != 4 {
		t.Errorf("%d facts, want 4", got)
	}
}

// A branch beside the one that is applied is written from it; what may not or cannot be rendered is said and written
// nowhere.
func TestHydratingElsewhereAndNot(t *testing.T) {
	m := newMesh(t)
	location := m.gitServer()
	m.commit("first", map[string]string{
		"good/a.yaml": settings("good", "k", "1"),
		"bad/a.yaml":  "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: [\n",
		"with/a.yaml": settings("with", "k", "1"), "kept/a.yaml": settings("kept", "k", "1"),
	})
	m.git(m.work, "push", "--quiet", "origin", "main:env/prod")
	m.create(strings.Replace(writeSecret, "%", location, 1))
	m.create("apiVersion: argoproj.io/v1alpha1\nkind: AppProject\nmetadata: {name: shut, namespace: argocd}\n" +
		"spec: {sourceRepos: ['https://elsewhere.example.org/*'], destinations: [{server: '*', namespace: '*'}]}\n")
	m.agent("one")
	to := func(branch string) func(map[string]any) {
		return func(spec map[string]any) {
			spec["sourceHydrator"].(map[string]any)["hydrateTo"] = map[string]any{"targetBranch": branch}
		}
	}
	m.create(hydrated("good", location, "default", to("env/prod-next")))
	m.create(hydrated("kept", location, "shut", to("env/shut")))
	m.create(hydrated("bad", location, "default", to("env/bad")))
	m.create(hydrated("with", location, "default", to("env/bad")))
	m.await("it is hydrated", func() bool { return m.hydration("good").Phase == "Hydrated" })
	if got := m.git(m.bare, "rev-parse", "env/prod-next^"); got != m.git(m.bare, "rev-parse", "env/prod") {
		t.Errorf("it begins with %s", got)
	}
	for name, want := range map[string]string{
		"kept": "shut", "bad": "a.yaml", "with": "application argocd/bad",
	} {
		m.await(name+" is refused", func() bool {
			o := m.hydration(name)
			return o.Phase == "Failed" && strings.Contains(o.Message, want)
		})
	}
	if got := m.git(m.bare, "branch", "--list", "env/shut", "env/bad"); got != "" {
		t.Errorf("written: %s", got)
	}
}
