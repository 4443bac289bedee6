package agent

import (
	"slices"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/libs/bus/bustest"
	"github.com/argosy-mesh/argosy/libs/kube/kubetest"
	"github.com/argosy-mesh/argosy/libs/kube/object"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/crds"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// outpost is a cluster of its own whose agent knows the mesh by its bus alone.
type outpost struct {
	*mesh
	name string
}

// outpost starts a further control plane, and names its agent in a cluster Secret.
func (m *mesh) outpost(name, natsURL string) *outpost {
	m.Helper()
	o := &outpost{name: name, mesh: &mesh{
		T: m.T, kubeconfig: kubetest.StartPath(m.T), bus: m.bus, natsURL: natsURL, bare: m.bare, work: m.work,
	}}
	c, err := client.New(kubetest.Load(m.T, o.kubeconfig), client.Options{Scheme: m.client.Scheme()})
	if err != nil {
		m.Fatal(err)
	}
	o.client = c
	for _, file := range []string{"applications.yaml", "appprojects.yaml"} {
		definition, err := crds.FS.ReadFile(file)
		if err != nil {
			m.Fatal(err)
		}
		o.create(string(definition))
	}
	for _, ns := range []string{"argocd", "demo"} {
		o.create("apiVersion: v1\nkind: Namespace\nmetadata: {name: " + ns + "}")
	}
	o.await("the kinds are served", func() bool {
		return o.client.List(m.Context(), object.NewList("Application")) == nil &&
			o.client.List(m.Context(), object.NewList("AppProject")) == nil
	})
	m.nameAgent(name)
	return o
}

// nameAgent describes a cluster by its agent.
func (m *mesh) nameAgent(name string) {
	m.Helper()
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Name: "cluster-" + name, Namespace: "argocd",
			Labels: map[string]string{"argocd.argoproj.io/secret-type": "cluster"},
		},
		Data: map[string][]byte{"name": []byte(name), "server": []byte("argosy-agent://" + name)},
	}
	if err := m.client.Create(m.Context(), secret); err != nil {
		m.Fatal(err)
	}
}

// run has the agent of an outpost run.
func (o *outpost) run(args ...string) (stop func()) {
	return o.start(o.name+"-0", append(args, "--agent="+o.name)...)
}

func (o *outpost) has(key, value string) bool {
	c := o.configMap("a")
	return c != nil && c.Data[key] == value
}

// ask patches an application.
func (m *mesh) ask(name, patch string) {
	m.Helper()
	raw := object.Named("Application", "argocd", name)
	if err := m.client.Patch(m.Context(), raw, client.RawPatch("application/merge-patch+json", []byte(patch))); err != nil {
		m.Fatal(err)
	}
}

// told counts the facts of an application.
func (m *mesh) told(name, fact string) int {
	n := 0
	for _, d := range m.facts(fact) {
		if strings.HasSuffix(d.Subject, "."+name) {
			n++
		}
	}
	return n
}

func (m *mesh) gone(name string) bool {
	return apierrors.IsNotFound(m.client.Get(
		m.Context(), client.ObjectKey{Namespace: "argocd", Name: name}, object.New("Application"),
	))
}

// Three agents are connected by the bus alone, one of them through a leaf server of its own. One is cut off: the others
// go on, it heals by itself, and what was asked meanwhile is done once when it is back.
func TestThreeAgentsOverTheBusWithOneCutOffAndBack(t *testing.T) {
	m := newMesh(t)
	m.commit("first", map[string]string{"app/a.yaml": settings("a", "k", "1")})
	wire := bustest.NewWire(t, m.server.LeafAddress())
	leaf := bustest.StartConfigured(t, bustest.LeafOf(wire.Address(), "", ""), bustest.NoStreams)
	east, west := m.outpost("east", m.natsURL), m.outpost("west", m.natsURL)
	north := m.outpost("north", leaf.URL())
	all := []*outpost{east, west, north}
	m.agent("one", "--agent-silence=3s")
	for _, o := range all {
		t.Cleanup(o.run())
		m.create(to(o.name, o.name, m))
	}
	for _, o := range all {
		m.await(o.name+" is synced", func() bool {
			s := m.app(o.name).Status
			return s.Sync.Status == "Synced" && s.Health.Status == "Healthy" && o.has("k", "1") && len(s.History) == 1
		})
		if n := m.told(o.name, "application.synced"); n != 1 {
			t.Errorf("%d facts of %s", n, o.name)
		}
		for _, other := range all {
			if other != o && !other.gone(o.name) {
				t.Errorf("%s has the application of %s", other.name, o.name)
			}
		}
	}
	if m.configMap("a") != nil {
		t.Error("the control cluster applied it itself")
	}
	m.push("p2", m.commit("second", map[string]string{"app/a.yaml": settings("a", "k", "2")}))
	m.await("a push reaches all", func() bool {
		return !slices.ContainsFunc(all, func(o *outpost) bool { return !o.has("k", "2") })
	})

	wire.Cut()
	m.await("the one that is cut off is away", func() bool {
		s := m.app("north").Status
		return s.Sync.Status == "Unknown" && s.Health.Status == "Unknown" &&
			strings.Contains(m.conditionOf("north", "ComparisonError"), "agent north is away: it was last heard of at ")
	})
	drifted := north.configMap("a")
	drifted.Data["k"] = "drift"
	if err := north.client.Update(t.Context(), drifted); err != nil {
		t.Fatal(err)
	}
	north.await("it heals by itself", func() bool { return north.has("k", "2") })
	m.push("p3", m.commit("third", map[string]string{"app/a.yaml": settings("a", "k", "3")}))
	m.await("the others go on", func() bool {
		return east.has("k", "3") && west.has("k", "3") && m.app("east").Status.Sync.Status == "Synced"
	})
	before := len(north.app("north").Status.History)
	m.ask("north", `{"operation":{"initiatedBy":{"username":"me"},"sync":{"prune":true},"info":[{"name":"n","value":"1"}]}}`)
	m.await("what is asked waits", func() bool {
		return m.app("north").Annotations["argosy.dev/agent-operation"] != "" && m.app("north").Operation != nil
	})
	if !north.has("k", "2") {
		t.Error("it is not cut off")
	}

	wire.Mend()
	m.await("it is back and converges", func() bool {
		app := m.app("north")
		s := app.Status.OperationState
		return north.has("k", "3") && app.Operation == nil && app.Status.Sync.Status == "Synced" &&
			app.Status.Health.Status == "Healthy" && s != nil && s.Phase == v1alpha1.OperationSucceeded &&
			len(app.Status.Conditions) == 0
	})
	asked := 0
	for _, h := range north.app("north").Status.History[before:] {
		if h.InitiatedBy != nil && h.InitiatedBy.Username == "me" {
			asked++
		}
	}
	if asked != 1 {
		t.Errorf("the operation was done %d times", asked)
	}

	if err := north.client.Delete(t.Context(), object.Named("Application", "argocd", "north")); err != nil {
		t.Fatal(err)
	}
	m.await("a copy that somebody deletes is made again, with its past", func() bool {
		if north.gone("north") {
			return false
		}
		return len(north.app("north").Status.History) > before
	})
	for _, name := range []string{"east", "north"} {
		if err := m.client.Delete(t.Context(), object.Named("Application", "argocd", name)); err != nil {
			t.Fatal(err)
		}
	}
	m.await("objects go with their application", func() bool {
		return east.configMap("a") == nil && north.configMap("a") == nil && m.gone("east") && m.gone("north") &&
			east.gone("east") && north.gone("north")
	})
	if west.configMap("a") == nil {
		t.Error("an object of another cluster went, too")
	}
}
