package agent

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus/bustest"
	"github.com/argosy-mesh/argosy/libs/kube/kubetest"
	"github.com/argosy-mesh/argosy/libs/kube/object"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/crds"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
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
	if err := m.client.Patch(
		m.Context(), raw, client.RawPatch("application/merge-patch+json", []byte(patch)),
	); err != nil {
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
	var stopNorth func()
	for _, o := range all {
		stop := o.run()
		if o == north {
			stopNorth = stop
		} else {
			t.Cleanup(stop)
		}
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
	stopNorth()
	t.Cleanup(north.run()) // it has what its cluster holds
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
	asked := func() (n int) {
		for _, h := range north.app("north").Status.History[before:] {
			if h.InitiatedBy != nil && h.InitiatedBy.Username == "me" {
				n++
			}
		}
		return n
	}
	// What came by itself may have made all of that true before.
	north.await("what was asked is done", func() bool { return asked() > 0 })
	if n := asked(); n != 1 {
		t.Errorf("the operation was done %d times", n)
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

const takenAnnotation = "argosy.dev/agent-operation-taken"

// Either side is killed between its effects, at once after another of the other side: each operation is done once, and
// what is deleted goes.
func TestOperationsOfAgentsAreDoneOnceThroughKills(t *testing.T) {
	m := newMesh(t)
	m.commit("first", map[string]string{
		"app/a.yaml": settings("a", "k", "1"),
		// Each operation leaves one of these behind.
		"app/hook.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: ran-, annotations: {argocd.argoproj.io/hook: PreSync}}\n",
	})
	east := m.outpost("east", m.natsURL)
	control := func() func() { return m.process("one", "--agent-silence=3s") }
	agent := func() func() { return east.process("east-0", "--agent=east") }
	killControl, killAgent := control(), agent()
	m.create(strings.Replace(to("shop", "east", m), automated, "{syncOptions: [PrunePropagationPolicy=background]}", 1))
	m.await("it is seen", func() bool { return m.app("shop").Status.Sync.Status == "OutOfSync" })
	done, taken := 0, ""
	named := func() bool { // the moment is short: where it is missed, the kill comes after the operation
		app := m.app("shop")
		return app.Annotations["argosy.dev/agent-operation"] != "" || len(app.Status.History) > done
	}
	took := func() bool {
		if now := east.app("shop").Annotations[takenAnnotation]; now != taken {
			taken = now
			return true
		}
		return false
	}
	for i, c := range []struct {
		what           string
		when           func() bool
		control, agent bool
	}{
		{"the control cluster, when the operation has its id", named, true, false},
		{"the agent, when the operation has its id", named, false, true},
		{"the agent, when it took the operation", took, false, true},
		{"the control cluster, when the agent took the operation", took, true, false},
		{"both, when the agent took the operation", took, true, true},
	} {
		taken, done = east.app("shop").Annotations[takenAnnotation], i
		m.await("a second of its own", func() bool {
			s := m.app("shop").Status.OperationState // hooks tell operations apart by when they began, in seconds
			return s == nil || time.Now().Unix() > s.StartedAt.Unix()
		})
		value := strconv.Itoa(i)
		m.ask("shop", `{"operation":{"initiatedBy":{"username":"me"},"sync":{},"info":[{"name":"n","value":"`+value+`"}]}}`)
		m.await(c.what, c.when)
		if c.control {
			killControl()
		}
		if c.agent {
			killAgent()
		}
		if c.control {
			killControl = control()
		}
		if c.agent {
			killAgent = agent()
		}
		m.await("the operation is done: "+c.what, func() bool {
			app := m.app("shop")
			s := app.Status.OperationState
			return app.Operation == nil && s != nil && s.Phase == v1alpha1.OperationSucceeded &&
				len(s.Operation.Info) == 1 && s.Operation.Info[0].Value == value && app.Status.Sync.Status == "Synced"
		})
		if n := len(m.app("shop").Status.History); n != i+1 {
			t.Errorf("killed %s: %d operations of %d", c.what, n, i+1)
		}
		var hooks corev1.ConfigMapList
		if err := east.client.List(t.Context(), &hooks, client.InNamespace("demo")); err != nil {
			t.Fatal(err)
		}
		ran := 0
		for _, o := range hooks.Items {
			if strings.HasPrefix(o.Name, "ran-") {
				ran++
			}
		}
		if ran != i+1 {
			t.Errorf("killed %s: hooks ran %d times of %d", c.what, ran, i+1)
		}
	}
	if err := m.client.Delete(t.Context(), object.Named("Application", "argocd", "shop")); err != nil {
		t.Fatal(err)
	}
	m.await("the copy goes", func() bool { return east.gone("shop") })
	killControl()
	killAgent()
	control()
	agent()
	m.await("the application goes, and its objects with it", func() bool {
		return m.gone("shop") && east.gone("shop") && east.configMap("a") == nil
	})
}

// What is said of an Application here holds there: projects, pauses, the end of an operation, another destination.
func TestWhatIsSaidHereHoldsAtTheAgent(t *testing.T) {
	m := newMesh(t)
	m.commit("first", map[string]string{
		"app/a.yaml": settings("a", "k", "1"),
		"job/a.yaml": settings("a", "k", "2"),
		"job/job.yaml": "apiVersion: batch/v1\nkind: Job\nmetadata: {name: j, annotations: {argocd.argoproj.io/hook: PreSync}}\n" +
			"spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}\n",
	})
	m.create(`apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: {name: narrow, namespace: argocd}
spec:
  sourceRepos: ["*"]
  destinations: [{name: elsewhere, namespace: demo}]
  roles: [{name: secret}]
`)
	east := m.outpost("east", m.natsURL)
	m.agent("one", "--agent-silence=3s")
	stop := east.run()
	stopped := false
	t.Cleanup(func() {
		if !stopped {
			stop()
		}
	})
	m.create(strings.Replace(to("shop", "east", m), "project: default", "project: narrow", 1))
	m.await("its project refuses it", func() bool {
		return strings.Contains(m.conditionOf("shop", "InvalidSpecError"), "is not permitted in project narrow")
	})
	if !east.gone("shop") {
		t.Fatal("it was handed over although its project refuses it")
	}
	permit := func(name string) {
		project := object.Named("AppProject", "argocd", "narrow")
		patch := `{"spec":{"destinations":[{"name":"` + name + `","namespace":"demo"}]}}`
		if err := m.client.Patch(
			t.Context(), project, client.RawPatch("application/merge-patch+json", []byte(patch)),
		); err != nil {
			t.Fatal(err)
		}
	}
	synced := func() bool { return m.app("shop").Status.Sync.Status == "Synced" && east.configMap("a") != nil }
	permit("east")
	m.await("now it may", synced)
	project := object.Named("AppProject", "argocd", "narrow")
	if err := east.client.Get(t.Context(), client.ObjectKeyFromObject(project), project); err != nil ||
		project.Object["spec"].(map[string]any)["roles"] != nil {
		t.Errorf("%v %v", err, project.Object["spec"])
	}
	permit("elsewhere")
	m.await("the agent is told of it", func() bool {
		return strings.Contains(east.conditionOf("shop", "InvalidSpecError"), "is not permitted in project narrow")
	})
	permit("east")
	m.await("it may again", func() bool { return synced() && len(m.app("shop").Status.Conditions) == 0 })

	east.ask("shop", `{"spec":{"source":{"path":"elsewhere"}}}`)
	m.await("a copy that somebody edits is put back", func() bool { return east.app("shop").Spec.Source.Path == "app" })
	m.ask("shop", `{"metadata":{"annotations":{"argocd.argoproj.io/skip-reconcile":"true"}}}`)
	m.await("a pause holds there", func() bool {
		return east.app("shop").Annotations["argocd.argoproj.io/skip-reconcile"] == "true"
	})
	m.ask("shop", `{"metadata":{"annotations":{"argocd.argoproj.io/skip-reconcile":null,"argocd.argoproj.io/refresh":"hard"}}}`)
	m.await("so does its end, and a refresh is done", func() bool {
		a, b := east.app("shop").Annotations, m.app("shop").Annotations
		return a["argocd.argoproj.io/skip-reconcile"] == "" && a["argosy.dev/agent-refreshed"] != "" &&
			a["argocd.argoproj.io/refresh"] == "" && b["argocd.argoproj.io/refresh"] == ""
	})

	m.ask("shop", `{"spec":{"source":{"path":"job"}}}`)
	m.await("a hook runs", func() bool {
		s := m.app("shop").Status.OperationState
		return s != nil && s.Phase == v1alpha1.OperationRunning && s.SyncResult != nil &&
			len(s.SyncResult.Resources) > 0
	})
	m.ask("shop", `{"status":{"operationState":{"phase":"Terminating"}}}`)
	m.await("an operation is ended there", func() bool {
		s := east.app("shop").Status.OperationState
		here := m.app("shop").Status.OperationState
		return s.Phase == v1alpha1.OperationFailed && here.Phase == v1alpha1.OperationFailed &&
			strings.Contains(here.Message, "terminated")
	})
	m.ask("shop", `{"spec":{"source":{"path":"app"}}}`)
	m.await("it goes on", synced)

	m.ask("shop", `{"spec":{"project":"default","destination":{"name":"in-cluster"}}}`)
	m.await("it goes to another destination, and its objects stay", func() bool {
		return m.configMap("a") != nil && m.app("shop").Status.Sync.Status == "Synced" && east.gone("shop")
	})
	if east.configMap("a") == nil {
		t.Error("its objects went with it")
	}

	east.create(manifest("own", m.url(), "app", "", nil))
	m.create(to("own", "east", m))
	m.await("an application of the cluster's own is left alone", func() bool {
		return strings.Contains(m.conditionOf("own", "ComparisonError"), "has an application argocd/own of its own")
	})
	east.ask("own", `{"metadata":{"labels":{"argosy.dev/agent":"east"}}}`)
	m.await("until it is given over", func() bool { return m.app("own").Status.Sync.Status == "Synced" })

	stop()
	stopped = true
	if err := m.client.Delete(t.Context(), object.Named("Application", "argocd", "own")); err != nil {
		t.Fatal(err)
	}
	m.await("a deletion waits for its agent", func() bool {
		return strings.Contains(m.conditionOf("own", "DeletionError"), "agent east is away")
	})
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "cluster-east", Namespace: "argocd"}}
	if err := m.client.Delete(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	m.await("without a Secret of its cluster it goes alone", func() bool { return m.gone("own") })
	m.await("an event lists what stays", func() bool {
		var list eventsv1.EventList
		if err := m.client.List(t.Context(), &list, client.InNamespace("argocd")); err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(list.Items, func(e eventsv1.Event) bool {
			return e.Reason == "ObjectsOrphaned" && strings.Contains(e.Note, "demo/a")
		})
	})
}
