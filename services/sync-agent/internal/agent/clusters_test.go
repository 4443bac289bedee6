package agent

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/libs/kube/kubetest"
	"github.com/argosy-mesh/argosy/libs/kube/object"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// another starts a further control plane and describes it by a Secret.
func (m *mesh) another(name string) client.Client {
	m.Helper()
	config := kubetest.Load(m.T, kubetest.StartPath(m.T))
	c, err := client.New(config, client.Options{Scheme: m.client.Scheme()})
	if err != nil {
		m.Fatal(err)
	}
	if err := c.Create(m.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "demo"}}); err != nil {
		m.Fatal(err)
	}
	m.describe(name, config)
	return c
}

func (m *mesh) describe(name string, config *rest.Config) {
	m.Helper()
	text, err := json.Marshal(map[string]any{
		"bearerToken": config.BearerToken,
		"tlsClientConfig": map[string]any{
			"caData":   config.CAData,
			"certData": config.CertData,
			"keyData":  config.KeyData,
			"insecure": config.Insecure,
		},
	})
	if err != nil {
		m.Fatal(err)
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Name: "cluster-" + name, Namespace: "argocd",
			Labels: map[string]string{"argocd.argoproj.io/secret-type": "cluster"},
		},
		Data: map[string][]byte{"name": []byte(name), "server": []byte(config.Host), "config": text},
	}
	if err := m.client.Create(m.Context(), secret); err != nil {
		m.Fatal(err)
	}
}

func to(name, cluster string, m *mesh) string {
	text := strings.Replace(
		manifest(name, m.url(), "app", automated, nil), "server: https://kubernetes.default.svc", "name: "+cluster, 1,
	)
	return strings.Replace(
		text,
		"  name: "+name+"\n",
		"  name: "+name+"\n  finalizers: [resources-finalizer.argocd.argoproj.io/background]\n",
		1,
	)
}

func there(t testing.TB, c client.Client) *corev1.ConfigMap {
	t.Helper()
	var found corev1.ConfigMap
	err := c.Get(t.Context(), client.ObjectKey{Namespace: "demo", Name: "a"}, &found)
	if client.IgnoreNotFound(err) != nil {
		t.Fatal(err)
	}
	if err != nil {
		return nil
	}
	return &found
}

// One agent brings applications to three clusters, heals each, and goes on where one is not there.
func TestThreeClustersBySecret(t *testing.T) {
	m := newMesh(t)
	m.commit("first", map[string]string{"app/a.yaml": settings("a", "k", "1")})
	second, third := m.another("second"), m.another("third")
	m.describe("away", &rest.Config{Host: "https://127.0.0.1:1"})
	m.agent("one")
	for name, cluster := range map[string]string{
		"here": "in-cluster", "second": "second", "third": "third", "away": "away", "nowhere": "nowhere",
	} {
		m.create(to(name, cluster, m))
	}
	for _, name := range []string{"here", "second", "third"} {
		m.await(name+" is synced", func() bool { return m.app(name).Status.Sync.Status == "Synced" })
	}
	if m.configMap("a") == nil || there(t, second) == nil || there(t, third) == nil {
		t.Fatal("an object is missing")
	}
	m.await("a cluster that is away is a condition", func() bool {
		return strings.Contains(m.conditionOf("away", "ComparisonError"), "cluster away (https://127.0.0.1:1)")
	})
	m.await("a cluster that nobody describes is one, too", func() bool {
		return strings.Contains(m.conditionOf("nowhere", "InvalidSpecError"), "there is no such cluster: nowhere")
	})

	drifted := there(t, third)
	drifted.Data["k"] = "drift"
	if err := third.Update(t.Context(), drifted); err != nil {
		t.Fatal(err)
	}
	m.await("drift in another cluster is healed", func() bool { return there(t, third).Data["k"] == "1" })
	next := m.commit("second", map[string]string{"app/a.yaml": settings("a", "k", "2")})
	m.push("p2", next)
	m.await("a push reaches all", func() bool {
		return m.configMap("a").Data["k"] == "2" && there(t, second).Data["k"] == "2" &&
			there(t, third).Data["k"] == "2"
	})

	for _, name := range []string{"third", "nowhere"} {
		if err := m.client.Delete(t.Context(), object.Named("Application", "argocd", name)); err != nil {
			t.Fatal(err)
		}
	}
	m.await("objects go with their application", func() bool { return there(t, third) == nil })
	m.await("an application of no cluster can go", func() bool {
		return apierrors.IsNotFound(m.client.Get(
			t.Context(), client.ObjectKey{Namespace: "argocd", Name: "nowhere"}, object.New("Application"),
		))
	})
	if there(t, second) == nil {
		t.Error("an object of another cluster went, too")
	}
	if s := m.app("second").Status.OperationState; s == nil || s.Phase != v1alpha1.OperationSucceeded {
		t.Errorf("%+v", s)
	}
}
