package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/kube/object"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/refresh"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/bus/bustest"
	"github.com/argosy-mesh/argosy/libs/core/lineage"
	"github.com/argosy-mesh/argosy/libs/kube/kubetest"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/crds"
	"github.com/argosy-mesh/argosy/schemas/events"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

const patience = time.Minute

// mesh is a real API server, a real bus, a repository and one agent or more.
type mesh struct {
	*testing.T
	client     client.Client
	bus        *bus.Bus
	server     *bustest.Server
	kubeconfig string
	natsURL    string
	bare, work string
}

func newMesh(t *testing.T) *mesh {
	t.Helper()
	m := &mesh{
		T: t, kubeconfig: kubetest.StartPath(t), bare: filepath.Join(t.TempDir(), "gitops.git"), work: t.TempDir(),
	}
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	c, err := client.New(kubetest.Load(t, m.kubeconfig), client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	m.client = c
	m.server = bustest.StartConfigured(t, bustest.Leaves)
	m.bus, m.natsURL = m.server.Connect("test"), m.server.URL()
	for _, file := range []string{"applications.yaml", "appprojects.yaml", "applicationsets.yaml"} {
		definition, err := crds.FS.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		m.create(string(definition))
	}
	for _, ns := range []string{"argocd", "demo"} {
		m.create("apiVersion: v1\nkind: Namespace\nmetadata: {name: " + ns + "}")
	}
	m.git("", "init", "--bare", "--quiet", "--initial-branch=main", m.bare)
	m.git(m.work, "init", "--quiet", "--initial-branch=main")
	m.git(m.work, "remote", "add", "origin", m.bare)
	m.await(
		"the kind is served",
		func() bool {
			return m.client.List(t.Context(), object.NewList("Application")) == nil &&
				m.client.List(t.Context(), object.NewList("AppProject")) == nil &&
				m.client.List(t.Context(), object.NewList("ApplicationSet")) == nil
		},
	)
	m.create(openProject)
	return m
}

// openProject permits all, as the one that an installation begins with.
const openProject = `apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: {name: default, namespace: argocd}
spec:
  sourceRepos: ["*"]
  destinations: [{server: "*", namespace: "*"}]
  clusterResourceWhitelist: [{group: "*", kind: "*"}]
`

// agent runs one replica until the test ends.
func (m *mesh) agent(name string, args ...string) {
	m.Helper()
	m.Cleanup(m.start(name, args...))
}

// start runs one replica until it is stopped.
func (m *mesh) start(name string, args ...string) (stop func()) {
	m.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	args = m.arguments(name, args)
	out := io.Discard
	if testing.Verbose() {
		out = os.Stderr
	}
	go func() { done <- Run(ctx, args, func(string) string { return "" }, out) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			m.Errorf("agent %s: %v", name, err)
		}
	}
}

func (m *mesh) arguments(name string, more []string) []string {
	return append([]string{
		"--instance=" + name, "--nats-url=" + m.natsURL, "--kubeconfig=" + m.kubeconfig, "--http-address=127.0.0.1:0",
		"--cache-dir=" + m.TempDir(), "--allow-file-repositories=true", "--refresh=1h", "--sync-wave-delay=0s",
	}, more...)
}

// process runs one replica as a process of its own until it is killed, as by kill -9, or the test ends.
func (m *mesh) process(name string, args ...string) (kill func()) {
	m.Helper()
	text, err := json.Marshal(m.arguments(name, args))
	if err != nil {
		m.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), processArgs+"="+string(text))
	if testing.Verbose() {
		cmd.Stderr = os.Stderr
	}
	if err := cmd.Start(); err != nil {
		m.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	m.Cleanup(kill)
	return kill
}

func (m *mesh) git(dir string, args ...string) string {
	m.Helper()
	cmd := exec.Command("git", append([]string{"-c", "user.name=T", "-c", "user.email=t@example.org"}, args...)...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		m.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit writes files, "" removes one, and pushes.
func (m *mesh) commit(message string, files map[string]string) string {
	m.Helper()
	for name, text := range files {
		full := filepath.Join(m.work, name)
		if text == "" {
			if err := os.Remove(full); err != nil {
				m.Fatal(err)
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			m.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
			m.Fatal(err)
		}
	}
	m.git(m.work, "add", "-A")
	m.git(m.work, "commit", "--quiet", "-m", message)
	m.git(m.work, "push", "--quiet", "origin", "main")
	return m.git(m.work, "rev-parse", "HEAD")
}

func (m *mesh) create(manifest string) {
	m.Helper()
	o := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(manifest), &o.Object); err != nil {
		m.Fatal(err)
	}
	if err := m.client.Create(m.Context(), o); err != nil {
		m.Fatal(err)
	}
}

func (m *mesh) await(what string, done func() bool) {
	m.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			m.Fatalf("%s: not within %s\n%s", what, patience, m.dump())
		}
	}
}

func (m *mesh) dump() string {
	list := object.NewList("Application")
	_ = m.client.List(context.Background(), list) // best effort, for a message
	text, _ := yaml.Marshal(list.Object)
	for i := range list.Items {
		item, _ := yaml.Marshal(list.Items[i].Object)
		text = append(text, item...)
	}
	return string(text)
}

func (m *mesh) app(name string) *v1alpha1.Application {
	m.Helper()
	raw := object.New("Application")
	if err := m.client.Get(m.Context(), client.ObjectKey{Namespace: "argocd", Name: name}, raw); err != nil {
		m.Fatal(err)
	}
	app, _, _ := v1alpha1.DecodeTolerant[v1alpha1.Application](raw.Object)
	return app
}

func (m *mesh) configMap(name string) *corev1.ConfigMap {
	var c corev1.ConfigMap
	if err := m.client.Get(m.Context(), client.ObjectKey{Namespace: "demo", Name: name}, &c); err != nil {
		if !apierrors.IsNotFound(err) {
			m.Fatal(err)
		}
		return nil
	}
	return &c
}

// push tells of a commit as any forge does: by the attributes of its event.
func (m *mesh) push(id, commit string) {
	m.Helper()
	told := events.GitPushed{
		Repositories:  []string{"file://" + m.bare},
		DefaultBranch: "main",
		Changes:       []events.GitChange{{Ref: "refs/heads/main", Commit: commit}},
	}
	m.tell(id, "a forge", map[string]any{"body": "is not looked at"}, told.Attributes())
}

// pushOlder tells of a commit as a webhook-ingest before this version stored it.
func (m *mesh) pushOlder(id, commit string) {
	m.Helper()
	body := map[string]any{
		"body": map[string]any{
			"ref":        "refs/heads/main",
			"after":      commit,
			"repository": map[string]any{"clone_url": "file://" + m.bare, "default_branch": "main"},
		},
	}
	m.tell(id, refresh.OlderType, body, nil)
}

func (m *mesh) tell(id, kind string, body any, attributes map[string]string) {
	m.Helper()
	e, err := bus.NewEvent(id, "test", kind, body)
	if err != nil {
		m.Fatal(err)
	}
	for name, value := range attributes {
		e.SetExtension(name, value)
	}
	if err := m.bus.Publish(m.Context(), events.EventSubject("argocd", "git", "push"), e); err != nil {
		m.Fatal(err)
	}
}

// facts returns the ids of a fact that were published.
func (m *mesh) facts(fact string) []bus.Delivery {
	m.Helper()
	all, err := m.bus.Read(m.Context(), bus.Facts, "facts.sync-agent."+fact+".>")
	if err != nil {
		m.Fatal(err)
	}
	return all
}

func settings(name, key, value string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\ndata: {%s: %q}\n", name, key, value)
}

func manifest(name, repoURL, path, policy string, annotations map[string]string) string {
	text, _ := yaml.Marshal(map[string]any{
		"apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
		"metadata": map[string]any{"name": name, "namespace": "argocd", "annotations": annotations},
		"spec": map[string]any{
			"project":     "default",
			"destination": map[string]any{"server": "https://kubernetes.default.svc", "namespace": "demo"},
			"source":      map[string]any{"repoURL": repoURL, "path": path, "targetRevision": "main"},
		},
	})
	if policy != "" {
		text = append(text, "  syncPolicy: "+policy+"\n"...)
	}
	return string(text)
}

func (m *mesh) url() string { return "file://" + m.bare }

// The control plane of the tests has no garbage collector, which foreground
// deletion waits for.
const automated = "{automated: {prune: true, selfHeal: true}, syncOptions: [PrunePropagationPolicy=background]}"

func TestFromPushToClusterAndBack(t *testing.T) {
	m := newMesh(t)
	first := m.commit(
		"first", map[string]string{"app/a.yaml": settings("a", "k", "1"), "app/b.yaml": settings("b", "k", "1")},
	)
	m.agent("one")
	m.agent("two")
	m.create(manifest("shop", m.url(), "app", automated, nil))
	m.await("first sync", func() bool {
		app := m.app("shop")
		return app.Status.Sync.Status == "Synced" && app.Status.Sync.Revision == first &&
			app.Status.Health.Status == "Healthy"
	})
	if got := m.configMap("a").Annotations["argocd.argoproj.io/tracking-id"]; got != "shop:/ConfigMap:demo/a" {
		t.Errorf("tracking id %q", got)
	}

	chain := lineage.Lineage{
		Trace:       "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		Correlation: "c1",
		Causation:   "e1",
	}
	second := m.commit(
		"second\n\n"+chain.Trailers(), map[string]string{"app/a.yaml": settings("a", "k", "2"), "app/b.yaml": ""},
	)
	began := time.Now()
	m.push("push-2", second)
	m.await("push is applied", func() bool { return m.configMap("a").Data["k"] == "2" })
	t.Logf("push to applied: %s", time.Since(began))
	m.await("removed manifest is pruned", func() bool { return m.configMap("b") == nil })
	// The chain is the commit's; the cause of the object is the sync itself.
	got := lineage.FromAnnotations(m.configMap("a").Annotations)
	if got.Trace != chain.Trace || got.Correlation != chain.Correlation || got.Causation == "" ||
		got.Causation == chain.Causation {
		t.Errorf("lineage %+v", got)
	}

	drifted := m.configMap("a")
	drifted.Data["k"] = "drift"
	if err := m.client.Update(t.Context(), drifted); err != nil {
		t.Fatal(err)
	}
	m.await("drift is healed", func() bool { return m.configMap("a").Data["k"] == "2" })
	m.await("status is settled", func() bool {
		app := m.app("shop")
		return app.Status.Sync.Status == "Synced" && len(app.Status.Resources) == 1 &&
			app.Status.OperationState.Phase == v1alpha1.OperationSucceeded
	})
	if h := m.app("shop").Status.History; len(h) != 2 || h[1].Revision != second {
		t.Errorf("history %+v", h)
	}
	m.await("facts are told", func() bool {
		return len(m.facts("application.synced")) == 2 && len(m.facts("application.healthy")) == 2
	})
	if got := bus.LineageOf(m.facts("application.synced")[1].Event); got.Correlation != "c1" {
		t.Errorf("lineage of the fact: %+v", got)
	}

	third := m.commit("third", map[string]string{"app/a.yaml": settings("a", "k", "3")})
	m.pushOlder("push-3", third)
	m.await("a push of an older version is applied", func() bool { return m.configMap("a").Data["k"] == "3" })
}

func TestManualSyncAndConditions(t *testing.T) {
	m := newMesh(t)
	sha := m.commit("first", map[string]string{"app/a.yaml": settings("a", "k", "1")})
	m.agent("one")
	m.create(manifest("manual", m.url(), "app", "", nil))
	m.create(manifest("lost", "file:///nowhere.git", "app", automated, nil))
	m.create(manifest("nopath", m.url(), "elsewhere", automated, nil))
	m.await("out of sync is seen", func() bool { return m.app("manual").Status.Sync.Status == "OutOfSync" })
	for _, name := range []string{"lost", "nopath"} {
		m.await(name+" has a condition", func() bool {
			c := m.app(name).Status.Conditions
			return len(c) == 1 && c[0].Type == "ComparisonError" && c[0].Message != ""
		})
	}
	if m.configMap("a") != nil {
		t.Error("synced without being asked")
	}
	request := client.RawPatch(
		"application/merge-patch+json", []byte(`{"operation":{"initiatedBy":{"username":"me"},"sync":{"prune":true}}}`),
	)
	raw := object.New("Application")
	raw.SetNamespace("argocd")
	raw.SetName("manual")
	if err := m.client.Patch(t.Context(), raw, request); err != nil {
		t.Fatal(err)
	}
	m.await("manual sync", func() bool {
		app := m.app("manual")
		s := app.Status.OperationState
		return app.Operation == nil && s != nil && s.Phase == v1alpha1.OperationSucceeded &&
			s.SyncResult.Revision == sha &&
			m.configMap("a") != nil
	})
	if err := m.client.Patch(
		t.Context(),
		raw,
		client.RawPatch(
			"application/merge-patch+json",
			[]byte(`{"metadata":{"annotations":{"argocd.argoproj.io/refresh":"hard"}}}`),
		),
	); err != nil {
		t.Fatal(err)
	}
	m.await(
		"refresh annotation is taken",
		func() bool { return m.app("manual").Annotations["argocd.argoproj.io/refresh"] == "" },
	)
	finalised := client.RawPatch(
		"application/merge-patch+json",
		[]byte(`{"metadata":{"finalizers":["resources-finalizer.argocd.argoproj.io/background"]}}`),
	)
	if err := m.client.Patch(t.Context(), raw, finalised); err != nil {
		t.Fatal(err)
	}
	if err := m.client.Delete(
		t.Context(), raw, &client.DeleteOptions{Preconditions: &metav1.Preconditions{}},
	); err != nil {
		t.Fatal(err)
	}
	m.await("objects go with their application", func() bool {
		return m.configMap("a") == nil &&
			apierrors.IsNotFound(m.client.Get(t.Context(), client.ObjectKeyFromObject(raw), object.New("Application")))
	})
}

func TestANewApplicationSeesWhatWasPushedBeforeIt(t *testing.T) {
	m := newMesh(t)
	m.commit("first", map[string]string{"app/a.yaml": settings("a", "k", "1"), "other/b.yaml": settings("b", "k", "1")})
	m.agent("one")
	m.create(manifest("older", m.url(), "app", automated, nil))
	m.await("first sync", func() bool { return m.configMap("a") != nil })
	// Nobody follows this folder yet, and no event tells of the push.
	second := m.commit("second", map[string]string{"other/b.yaml": settings("b", "k", "2")})
	m.create(manifest("newer", m.url(), "other", automated, nil))
	m.await("first sync of the newer", func() bool { return m.configMap("b") != nil })
	if got := m.configMap("b").Data["k"]; got != "2" {
		t.Errorf("synced k=%s of the commit before %s", got, second)
	}
}
