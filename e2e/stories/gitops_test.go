package stories

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/e2e/world"
	"github.com/argosy-mesh/argosy/libs/kube/object"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/argosy-mesh/argosy/tools/demo/demo"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// root is the repository of this project.
const root = "../.."

const guestbookProject = `apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: {name: guestbook, namespace: argocd}
spec:
  sourceRepos: ["%s"]
  destinations: [{server: https://kubernetes.default.svc, namespace: guestbook-dev}]
  clusterResourceWhitelist: [{group: "", kind: Namespace}]
`

// automated is an Application that follows a folder of a repository.
func automated(name, project, repository, path, namespace string) string {
	return fmt.Sprintf(`apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: %s, namespace: argocd}
spec:
  project: %s
  source: {repoURL: "%s", targetRevision: HEAD, path: %s}
  destination: {server: https://kubernetes.default.svc, namespace: %s}
  syncPolicy:
    automated: {prune: true, selfHeal: true}
    syncOptions: [CreateNamespace=true]
`, name, project, repository, path, namespace)
}

// cascading has the objects of an Application go with it.
func cascading(application string) string {
	return strings.Replace(
		application,
		"namespace: argocd}",
		"namespace: argocd, finalizers: [resources-finalizer.argocd.argoproj.io]}",
		1,
	)
}

const guestbookDeployment = `apiVersion: apps/v1
kind: Deployment
metadata: {name: guestbook}
spec:
  replicas: 1
  selector: {matchLabels: {app: guestbook}}
  template:
    metadata: {labels: {app: guestbook}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - {name: guestbook, image: argosy/ci:dev, imagePullPolicy: IfNotPresent, command: [httpd, -f, -p, "8080"]}
`

const guestbookService = `apiVersion: v1
kind: Service
metadata: {name: guestbook}
spec: {selector: {app: guestbook}, ports: [{port: 80, targetPort: 8080}]}
`

// The repository is laid out as the guide recommends; one Application brings the project and the Applications.
func TestTheGuestbookIsWhatItsRepositorySays(t *testing.T) {
	w := world.Open(t)
	repository := demo.Address("guestbook")
	commit := func(message string, files map[string]string) string {
		t.Helper()
		c, err := w.Demo.Commit(t.Context(), "guestbook", message, demo.Write(files))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	overlay := "resources: [../base]\n"
	extra := overlay + "configMapGenerator: [{name: words, literals: [hello=there], options: {disableNameSuffixHash: true}}]\n"
	commit("start", map[string]string{
		"README.md": "guestbook",
		"applications/guestbook/base/deployment.yaml":    guestbookDeployment,
		"applications/guestbook/base/service.yaml":       guestbookService,
		"applications/guestbook/base/kustomization.yaml": "resources: [deployment.yaml, service.yaml]\n",
		"applications/guestbook/dev/kustomization.yaml":  extra,
		"argocd/project.yaml":                            fmt.Sprintf(guestbookProject, repository),
		"argocd/applications/guestbook-dev.yaml": cascading(automated(
			"guestbook-dev", "guestbook", repository, "applications/guestbook/dev", "guestbook-dev",
		)),
	})
	parent := automated("guestbook", "default", repository, "argocd", "argocd")
	parent = strings.Replace(parent, "path: argocd", "path: argocd, directory: {recurse: true}", 1)
	apply(t, w, cascading(parent))
	t.Cleanup(func() { remove(t, w, "guestbook") })
	key := client.ObjectKey{Namespace: "guestbook-dev", Name: "guestbook"}
	deployed := func(replicas int32) func() error {
		return func() error {
			var d appsv1.Deployment
			if err := w.Kube.Get(t.Context(), key, &d); err != nil {
				return err
			}
			if *d.Spec.Replicas != replicas || d.Status.AvailableReplicas != replicas {
				return fmt.Errorf("%d replicas wanted, %d available", *d.Spec.Replicas, d.Status.AvailableReplicas)
			}
			return nil
		}
	}
	w.Await("a pod serves the guestbook", time.Minute, deployed(1))
	w.Await(
		"it is said to be so",
		time.Minute,
		func() error { return is(w, "guestbook-dev", "", "Synced", "Healthy") },
	)

	pushed := commit("two of them", map[string]string{
		"applications/guestbook/dev/kustomization.yaml": extra + "replicas: [{name: guestbook, count: 2}]\n",
	})
	w.Await("a push makes it two", time.Minute, deployed(2))
	w.Await("of the commit", time.Minute, func() error { return is(w, "guestbook-dev", pushed, "Synced", "Healthy") })

	scale := []byte(`{"spec":{"replicas":5}}`)
	d := &appsv1.Deployment{}
	d.Namespace, d.Name = key.Namespace, key.Name
	if err := w.Kube.Patch(t.Context(), d, client.RawPatch("application/merge-patch+json", scale)); err != nil {
		t.Fatal(err)
	}
	w.Await("a scale by hand is undone", time.Minute, deployed(2))

	commit("without words and service", map[string]string{
		"applications/guestbook/dev/kustomization.yaml":  overlay,
		"applications/guestbook/base/service.yaml":       "",
		"applications/guestbook/base/kustomization.yaml": "resources: [deployment.yaml]\n",
	})
	w.Await("what left the repository leaves the cluster", time.Minute, func() error {
		for _, o := range []client.Object{&corev1.Service{}, &corev1.ConfigMap{}} {
			name := client.ObjectKey{Namespace: key.Namespace, Name: "guestbook"}
			if _, is := o.(*corev1.ConfigMap); is {
				name.Name = "words"
			}
			if err := w.Kube.Get(t.Context(), name, o); !apierrors.IsNotFound(err) {
				return fmt.Errorf("%T is there (%w)", o, err)
			}
		}
		return nil
	})
	w.Await("the parent is Synced", time.Minute, func() error { return is(w, "guestbook", "", "Synced", "Healthy") })
}

// is says what an Application lacks; a commit of "" is any.
func is(w *world.World, name, commit, sync, health string) error {
	app, err := application(w, name)
	if err != nil {
		return err
	}
	s := app.Status
	if commit != "" && s.Sync.Revision != commit || s.Sync.Status != sync || s.Health.Status != health {
		return fmt.Errorf(
			"application %s is %s, %s at %s: %v", name, s.Sync.Status, s.Health.Status, s.Sync.Revision, s.Conditions,
		)
	}
	if s.OperationState != nil && s.OperationState.Phase != v1alpha1.OperationSucceeded {
		return fmt.Errorf("the operation of application %s: %+v", name, *s.OperationState)
	}
	return nil
}

func application(w *world.World, name string) (*v1alpha1.Application, error) {
	o := object.New("Application")
	if err := w.Kube.Get(w.Context(), client.ObjectKey{Namespace: "argocd", Name: name}, o); err != nil {
		return nil, err
	}
	app, _, err := v1alpha1.DecodeTolerant[v1alpha1.Application](o.Object)
	return app, err
}

// apply applies one manifest.
func apply(t *testing.T, w *world.World, text string) {
	t.Helper()
	o := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &o.Object); err != nil {
		t.Fatal(err)
	}
	err := w.Kube.Apply(
		w.Context(),
		client.ApplyConfigurationFromUnstructured(o),
		client.FieldOwner("stories"),
		client.ForceOwnership,
	)
	if err != nil {
		t.Fatal(err)
	}
}

// remove deletes an Application and waits until it is gone.
func remove(t *testing.T, w *world.World, name string) {
	t.Helper()
	o := object.Named("Application", "argocd", name)
	if err := w.Kube.Delete(w.Context(), o); client.IgnoreNotFound(err) != nil {
		t.Error(err)
		return
	}
	w.Await("application "+name+" is gone", time.Minute, func() error {
		if err := w.Kube.Get(w.Context(), client.ObjectKeyFromObject(o), o); !apierrors.IsNotFound(err) {
			return fmt.Errorf("it has finalizers %v (%w)", o.GetFinalizers(), err)
		}
		return nil
	})
}

// platform puts the chart, as it is in this repository, and the values of this installation into a repository.
func platform(t *testing.T, w *world.World, values map[string]any, more map[string]string) (commit string) {
	t.Helper()
	text, err := yaml.Marshal(values)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{
		"platform/values.yaml": string(text),
		"platform/notes.txt":   t.Name() + time.Now().String(),
	}
	maps.Copy(files, more)
	commit, err = w.Demo.Commit(t.Context(), "platform", "platform of "+t.Name(), func(dir string) error {
		for _, name := range []string{"deploy/chart", "schemas/crds"} {
			if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
				return err
			}
			if err := os.CopyFS(filepath.Join(dir, name), os.DirFS(filepath.Join(root, name))); err != nil {
				return err
			}
		}
		return demo.Write(files)(dir)
	})
	if err != nil {
		t.Fatal(err)
	}
	return commit
}

// installed are the values that the chart was installed with.
func installed(t *testing.T) map[string]any {
	t.Helper()
	out, err := exec.CommandContext(
		t.Context(), filepath.Join(root, "bin/helm"), "get", "values", "argosy", "--namespace", "argosy", "--output",
		"json", "--kubeconfig", os.Getenv("ARGOSY_E2E_KUBECONFIG"),
	).Output()
	if err != nil {
		t.Fatalf("helm get values: %v", err)
	}
	var values map[string]any
	if err := json.Unmarshal(out, &values); err != nil {
		t.Fatal(err)
	}
	return values
}

// itself is the Application that holds the chart.
func itself() string {
	return strings.Replace(
		automated("argosy", "default", demo.Address("platform"), "deploy/chart", "argosy"),
		"path: deploy/chart", "path: deploy/chart, helm: {valueFiles: [/platform/values.yaml]}", 1,
	)
}

// pods are the uids of the pods of the services that are there to stay.
func pods(t *testing.T, w *world.World) map[string]string {
	t.Helper()
	var list corev1.PodList
	if err := w.Kube.List(w.Context(), &list, client.InNamespace("argosy")); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for i := range list.Items {
		p := &list.Items[i]
		if p.DeletionTimestamp == nil && p.Status.Phase == corev1.PodRunning {
			out[p.Labels["app"]] = string(p.UID)
		}
	}
	return out
}

// The product holds itself: the chart it was installed from is an Application, and a commit upgrades all services, the
// one that carries the upgrade out among them.
func TestArgosyUpgradesItselfByACommit(t *testing.T) {
	w := world.Open(t)
	values := installed(t)
	for _, name := range world.Services {
		var d appsv1.Deployment
		if err := w.Kube.Get(t.Context(), client.ObjectKey{Namespace: "argosy", Name: name}, &d); err != nil {
			t.Fatal(err)
		}
		if former := d.Spec.Template.Annotations["upgrade"]; former != "" {
			set(t, values, former, "services", name, "podAnnotations", "upgrade") // by this story, played before
		}
	}
	before := pods(t, w)
	first := platform(t, w, values, nil)
	apply(t, w, itself())
	t.Cleanup(func() { remove(t, w, "argosy") })
	w.Await("it is what its repository says", 2*time.Minute, func() error {
		return is(w, "argosy", first, "Synced", "Healthy")
	})
	for name, uid := range pods(t, w) {
		if before[name] != uid {
			t.Errorf("%s was restarted although nothing changed", name)
		}
	}
	stamp := fmt.Sprint(time.Now().UnixNano())
	for _, name := range world.Services {
		set(t, values, stamp, "services", name, "podAnnotations", "upgrade")
	}
	second := platform(t, w, values, nil)
	w.Await("all services are of the new version", 2*time.Minute, func() error {
		for _, name := range world.Services {
			var d appsv1.Deployment
			if err := w.Kube.Get(w.Context(), client.ObjectKey{Namespace: "argosy", Name: name}, &d); err != nil {
				return err
			}
			if d.Spec.Template.Annotations["upgrade"] != stamp {
				return fmt.Errorf("%s is of the old version", name)
			}
		}
		return nil
	})
	w.Await("the upgrade is done", 2*time.Minute, func() error {
		return is(w, "argosy", second, "Synced", "Healthy")
	})
	after := pods(t, w)
	for _, name := range world.Services {
		if after[name] == "" || after[name] == before[name] {
			t.Errorf("%s was not restarted", name)
		}
	}
	if after["nats"] != before["nats"] {
		t.Error("the bus was restarted although nothing of it changed")
	}
	app, err := application(w, "argosy")
	if err != nil {
		t.Fatal(err)
	}
	syncs := map[string]int{}
	for _, h := range app.Status.History {
		syncs[h.Revision]++
	}
	if syncs[second] != 1 {
		t.Errorf("the upgrade was synced %d times: %+v", syncs[second], app.Status.History)
	}
	v := version(t)
	change := w.Push(demo.Settings{Version: v})
	change.Await(events.FactRolloutPromoted)
	change.Once(t)
}

func set(t *testing.T, values map[string]any, value string, path ...string) {
	t.Helper()
	if err := unstructured.SetNestedField(values, value, path...); err != nil {
		t.Fatal(err)
	}
}
