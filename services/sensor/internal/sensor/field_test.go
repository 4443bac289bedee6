package sensor

import (
	"context"
	"errors"
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
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// within is how long the world may take to become as wanted.
const within = time.Minute

// field is a real API server and a real bus.
type field struct {
	t          *testing.T
	kubeconfig string // with the rights that the manifests of the service grant
	client     client.Client
	bus        *bus.Bus
	url        string
}

func newField(t *testing.T) *field {
	t.Helper()
	path := kubetest.StartPath(t)
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), apiextensionsv1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	c, err := client.New(kubetest.Load(t, path), client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	server := bustest.Start(t)
	f := &field{t: t, client: c, bus: server.Connect("test"), url: server.URL()}
	f.define("sensors.yaml")
	f.kubeconfig = kubetest.Restrict(t, path, "sensor", "../../../../deploy/chart/rbac/sensor.yaml")
	return f
}

func (f *field) define(name string) {
	f.t.Helper()
	text, err := fs.ReadFile(crds.FS, name)
	if err != nil {
		f.t.Fatal(err)
	}
	f.create("", string(text))
	f.eventually("the definition in "+name, func(ctx context.Context) error {
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := f.client.Get(
			ctx, client.ObjectKey{Name: strings.TrimSuffix(name, ".yaml") + ".argoproj.io"}, crd,
		); err != nil {
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

// create makes an object of a manifest.
func (f *field) create(namespace, manifest string) *unstructured.Unstructured {
	f.t.Helper()
	u := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(manifest), &u.Object); err != nil {
		f.t.Fatal(err)
	}
	if namespace != "" {
		u.SetNamespace(namespace)
	}
	if err := f.client.Create(f.t.Context(), u); err != nil {
		f.t.Fatal(err)
	}
	return u
}

// sensor runs one replica of the service until the test ends or stop is called.
func (f *field) sensor(instance string) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	log := f.log()
	go func() {
		ended <- Run(ctx, []string{
			"--kubeconfig", f.kubeconfig, "--nats-url", f.url, "--http-address", "127.0.0.1:0", "--instance", instance,
			"--drain", "5s", "--log-level", "debug"}, func(string) string { return "" }, log)
	}()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			f.t.Errorf("%s: %v", instance, err)
		}
	}
	f.t.Cleanup(stop)
	return stop
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

// namespace makes a namespace whose account "builder" may create ConfigMaps.
func (f *field) namespace(name string) {
	f.t.Helper()
	meta := metav1.ObjectMeta{Namespace: name, Name: "builder"}
	objects := []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}},
		&rbacv1.Role{
			ObjectMeta: meta,
			Rules: []rbacv1.PolicyRule{
				{
					APIGroups: []string{""},
					Resources: []string{"configmaps", "services"},
					Verbs:     []string{"create", "get", "update", "patch", "delete"},
				},
			},
		},
		&rbacv1.RoleBinding{
			ObjectMeta: meta,
			RoleRef:    rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "Role", Name: "builder"},
			Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: name, Name: "builder"}},
		},
	}
	for _, o := range objects {
		if err := f.client.Create(f.t.Context(), o); err != nil {
			f.t.Fatal(err)
		}
	}
}

// await waits for a Sensor's Ready condition.
func (f *field) await(namespace, name, status, reason string) v1alpha1.EventCondition {
	f.t.Helper()
	return f.awaitCondition(namespace, name, "Ready", status, reason)
}

// awaitCondition waits for any condition of a Sensor.
func (f *field) awaitCondition(namespace, name, kind, status, reason string) v1alpha1.EventCondition {
	f.t.Helper()
	var last v1alpha1.EventCondition
	f.eventually("sensor "+namespace+"/"+name+" to be "+reason, func(ctx context.Context) error {
		u := object.New("Sensor")
		if err := f.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, u); err != nil {
			return err
		}
		s, _, _ := v1alpha1.DecodeTolerant[v1alpha1.Sensor](map[string]any{"status": u.Object["status"]})
		for _, c := range s.Status.Conditions {
			if c.Type == kind {
				last = c
			}
		}
		if last.Status != status || last.Reason != reason {
			return errors.New(last.Status + " " + last.Reason + " " + last.Message)
		}
		return nil
	})
	return last
}

// publish stores an event as webhook-ingest does.
func (f *field) publish(namespace, name, id, body string) {
	f.t.Helper()
	e, err := bus.NewEvent(id, "hooks", "webhook", map[string]any{"body": body})
	if err != nil {
		f.t.Fatal(err)
	}
	if err := f.bus.Publish(f.t.Context(), "events."+bus.Token(namespace)+".hooks."+bus.Token(name), e); err != nil {
		f.t.Fatal(err)
	}
}

// read is what a stream holds for a subject.
func (f *field) read(ctx context.Context, stream, subject string) []bus.Delivery {
	got, err := f.bus.Read(ctx, stream, subject)
	if err != nil {
		return nil
	}
	return got
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
