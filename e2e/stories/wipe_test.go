package stories

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/e2e/world"
	"github.com/argosy-mesh/argosy/libs/kube/object"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/argosy-mesh/argosy/tools/demo/demo"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Everything of the product and of what it deployed is taken off the cluster: definitions, objects, roles, the bus with
// all it held. The Git server and the registry stay, as do the Secrets of hooks, which no repository holds. The chart
// of the repository is installed, one Application applied, and all is back.
func TestAnEmptyClusterComesBackFromGitAlone(t *testing.T) {
	w := world.Open(t)
	more := map[string]string{
		"platform/root.yaml": automated(
			"root",
			"default",
			demo.Address("platform"),
			"platform/apps",
			"argocd",
		),
		"platform/apps/argosy.yaml": itself(),
		"platform/apps/chain.yaml":  automated("chain", "default", demo.Address("platform"), "platform/chain", "ci"),
		"platform/chain/README.md":  "what the demo applies once it is up",
	}
	chain, err := filepath.Glob(filepath.Join(root, "deploy/demo/chain/*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range chain {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		more["platform/chain/"+filepath.Base(path)] = string(text)
	}
	commit := platform(t, w, installed(t), more)

	wipe(t, w)

	dir := t.TempDir()
	began := time.Now()
	execute(t, "git", "clone", "--quiet", "http://127.0.0.1:30080/demo/platform.git", dir)
	execute(
		t, filepath.Join(root, "bin/helm"), "install", "argosy", filepath.Join(dir, "deploy/chart"), "--namespace",
		"argosy", "--create-namespace", "--values", filepath.Join(dir, "platform/values.yaml"), "--kubeconfig",
		os.Getenv("ARGOSY_E2E_KUBECONFIG"),
	)
	text, err := os.ReadFile(filepath.Join(dir, "platform/root.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	apply(t, w, string(text))
	t.Cleanup(func() {
		for _, name := range []string{"root", "chain", "argosy"} {
			remove(t, w, name)
		}
	})
	for _, name := range []string{"root", "argosy", "chain"} {
		w.Await(
			name+" is what Git says",
			3*time.Minute,
			func() error { return is(w, name, commit, "Synced", "Healthy") },
		)
	}
	w.Await("so is the app", 3*time.Minute, func() error { return is(w, "web", "", "Synced", "Healthy") })
	t.Logf("back after %s", time.Since(began).Round(100*time.Millisecond))

	w = world.Open(t) // the bus is another one
	v := version(t)
	change := w.Push(demo.Settings{Version: v})
	change.Await(events.FactRolloutPromoted)
	usersSee(t, w, v)
	change.Once(t)
}

func execute(t *testing.T, name string, args ...string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

// wipe takes off the cluster whatever is the product's or was made by it.
func wipe(t *testing.T, w *world.World) {
	t.Helper()
	// A Sensor is let go by its service, which forgets what it kept for it.
	sensors := object.NewList("Sensor")
	if err := w.Kube.List(t.Context(), sensors); err != nil {
		t.Fatal(err)
	}
	for i := range sensors.Items {
		gone(t, w, &sensors.Items[i])
	}
	for _, name := range []string{"argosy", "argocd", "demo-app"} {
		gone(t, w, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	definitions := &unstructured.UnstructuredList{}
	definitions.SetAPIVersion("apiextensions.k8s.io/v1")
	definitions.SetKind("CustomResourceDefinitionList")
	if err := w.Kube.List(t.Context(), definitions); err != nil {
		t.Fatal(err)
	}
	for i := range definitions.Items {
		if d := &definitions.Items[i]; strings.HasSuffix(d.GetName(), ".argoproj.io") {
			gone(t, w, d)
		}
	}
	for _, name := range append([]string{"deploy"}, world.Services...) {
		of := metav1.ObjectMeta{Name: "argosy-" + name}
		gone(t, w, &rbacv1.ClusterRole{ObjectMeta: of})
		gone(t, w, &rbacv1.ClusterRoleBinding{ObjectMeta: of})
	}
}

// gone deletes an object and waits for its end.
func gone(t *testing.T, w *world.World, o client.Object) {
	t.Helper()
	if err := w.Kube.Delete(t.Context(), o); client.IgnoreNotFound(err) != nil {
		t.Fatal(err)
	}
	w.Await(fmt.Sprintf("%T %s is gone", o, o.GetName()), 2*time.Minute, func() error {
		err := w.Kube.Get(t.Context(), client.ObjectKeyFromObject(o), o)
		if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
			return nil
		}
		if err != nil {
			return err
		}
		return fmt.Errorf("it is there, with finalizers %v", o.GetFinalizers())
	})
}
