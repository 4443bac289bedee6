package analyzer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/kube/object"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/bus/bustest"
	"github.com/argosy-mesh/argosy/libs/kube/kubetest"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/crds"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// field is a real API server, a real bus, and somebody who plays the nodes.
type field struct {
	t          *testing.T
	kubeconfig string
	client     client.WithWatch
	bus        *bus.Bus
	busURL     string
}

// within is how long the world may take to become as wanted.
const within = time.Minute

func newField(t *testing.T) *field {
	t.Helper()
	path := kubetest.StartPath(t)
	cfg := kubetest.Load(t, path)
	scheme := runtime.NewScheme()
	if err := errors.Join(
		clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme), apiextensionsv1.AddToScheme(scheme),
	); err != nil {
		t.Fatal(err)
	}
	c, err := client.NewWithWatch(cfg, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	server := bustest.Start(t)
	f := &field{t: t, kubeconfig: path, client: c, bus: server.Connect("test"), busURL: server.URL()}
	files, err := fs.Glob(crds.FS, "*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := crds.FS.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		f.define(string(text))
	}
	f.define(read(t, "httproute-crd.yaml"))
	f.kubeconfig = kubetest.Restrict(t, path, "rollout-analyzer", "../../../../deploy/chart/rbac/rollout-analyzer.yaml")
	f.nodes()
	return f
}

// define applies a definition and waits until it is served.
func (f *field) define(text string) {
	f.t.Helper()
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.UnmarshalStrict([]byte(text), crd); err != nil {
		f.t.Fatal(err)
	}
	if err := f.client.Create(f.t.Context(), crd); err != nil {
		f.t.Fatal(err)
	}
	f.eventually("the definition of "+crd.Name, func(ctx context.Context) error {
		if err := f.client.Get(ctx, client.ObjectKeyFromObject(crd), crd); err != nil {
			return err
		}
		for _, c := range crd.Status.Conditions {
			if c.Type == apiextensionsv1.Established && c.Status == apiextensionsv1.ConditionTrue {
				return nil
			}
		}
		return errors.New("not established")
	})
}

// nodes makes the pods of every ReplicaSet available at once, except for images that end in -bad.
func (f *field) nodes() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	f.t.Cleanup(func() { cancel(); <-ended })
	w, err := f.client.Watch(ctx, &appsv1.ReplicaSetList{})
	if err != nil {
		f.t.Fatal(err)
	}
	go func() {
		defer close(ended)
		defer w.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case e, open := <-w.ResultChan():
				if rs, ok := e.Object.(*appsv1.ReplicaSet); ok {
					f.follow(ctx, rs)
				}
				if !open {
					return
				}
			}
		}
	}()
}

func (f *field) follow(ctx context.Context, rs *appsv1.ReplicaSet) {
	next := rs.DeepCopy()
	n := *rs.Spec.Replicas
	next.Status = appsv1.ReplicaSetStatus{
		Replicas: n, ReadyReplicas: n, AvailableReplicas: n, FullyLabeledReplicas: n, ObservedGeneration: rs.Generation,
	}
	if strings.HasSuffix(rs.Spec.Template.Spec.Containers[0].Image, "-bad") {
		next.Status.ReadyReplicas, next.Status.AvailableReplicas = 0, 0
	}
	if next.Status.Replicas == rs.Status.Replicas && next.Status.AvailableReplicas == rs.Status.AvailableReplicas &&
		next.Status.ObservedGeneration == rs.Status.ObservedGeneration {
		return
	}
	// A conflict comes with a newer version, which the watch brings.
	_ = f.client.Status().Update(ctx, next)
}

// analyzer runs one replica of the service until the test ends.
func (f *field) analyzer(instance, prometheus string) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- Run(ctx, []string{
			"--kubeconfig", f.kubeconfig, "--nats-url", f.busURL, "--http-address", "127.0.0.1:0",
			"--instance", instance, "--prometheus-address", prometheus, "--drain", "5s"},
			func(string) string { return "" }, f.log())
	}()
	f.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			f.t.Errorf("%s: %v", instance, err)
		}
	})
}

// log keeps the service's own words, for a test that failed.
func (f *field) log() *os.File {
	file, err := os.Create(filepath.Join(f.t.TempDir(), "log"))
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() {
		if text, err := os.ReadFile(file.Name()); err == nil && f.t.Failed() {
			f.t.Logf("%s", text)
		}
	})
	return file
}

// apply creates the objects of a manifest of testdata in a namespace, which is made.
func (f *field) apply(namespace, name string) {
	f.t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	if err := f.client.Create(f.t.Context(), ns); err != nil && !apierrors.IsAlreadyExists(err) {
		f.t.Fatal(err)
	}
	for doc := range strings.SplitSeq(read(f.t, name), "\n---\n") {
		u := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(doc), &u.Object); err != nil {
			f.t.Fatal(err)
		}
		u.SetNamespace(namespace)
		if err := f.client.Create(f.t.Context(), u); err != nil {
			f.t.Fatalf("%s: %v", name, err)
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// rollout reads a Rollout.
func (f *field) rollout(ctx context.Context, namespace, name string) (*v1alpha1.Rollout, error) {
	u := object.New("Rollout")
	if err := f.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, u); err != nil {
		return nil, err
	}
	ro, _, _ := v1alpha1.DecodeTolerant[v1alpha1.Rollout](u.Object)
	return ro, nil
}

// await waits until a Rollout is in a phase and as ok wants it.
func (f *field) await(
	namespace, name string, phase v1alpha1.RolloutPhase, ok func(*v1alpha1.Rollout) bool,
) *v1alpha1.Rollout {
	f.t.Helper()
	var last *v1alpha1.Rollout
	f.eventually(fmt.Sprintf("rollout %s/%s to be %s", namespace, name, phase), func(ctx context.Context) error {
		ro, err := f.rollout(ctx, namespace, name)
		if err != nil {
			return err
		}
		last = ro
		if ro.Status.Phase != phase || ok != nil && !ok(ro) {
			return fmt.Errorf(
				"%s %q step %v weights %+v", ro.Status.Phase, ro.Status.Message, ro.Status.CurrentStepIndex,
				ro.Status.Canary.Weights,
			)
		}
		return nil
	})
	return last
}

// patch changes a Rollout, or its status, as a person would.
func (f *field) patch(namespace, name, body string, status bool) {
	f.t.Helper()
	u := object.Named("Rollout", namespace, name)
	patch := client.RawPatch("application/merge-patch+json", []byte(body))
	var err error
	if status {
		err = f.client.Status().Patch(f.t.Context(), u, patch)
	} else {
		err = f.client.Patch(f.t.Context(), u, patch)
	}
	if err != nil {
		f.t.Fatal(err)
	}
}

// eventually asks again and again until there is no error.
func (f *field) eventually(what string, check func(ctx context.Context) error) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			f.t.Fatalf("waited %s for %s: %v", within, what, err)
		case <-tick.C:
		}
	}
}
