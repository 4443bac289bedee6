package agent

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Two replicas and a third that comes later tell each fact once, and say nothing about other Applications.
func TestASyncIsToldOnce(t *testing.T) {
	m := newMesh(t)
	var mu sync.Mutex
	var got []string
	target := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		got = append(got, r.Header.Get("Authorization")+" "+string(body))
	}))
	t.Cleanup(target.Close)
	heard := func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string{}, got...)
	}
	config := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "argocd",
		Name: "argocd-notifications-cm"}, Data: map[string]string{
		"service.webhook.deploys": "url: " + target.URL + "\nheaders: [{name: Authorization, value: $token}]\n",
		"template.synced":         "webhook: {deploys: {method: POST, body: '{{.app.metadata.name}} {{.recipient}} {{(call .repo.GetCommitMetadata .app.status.operationState.syncResult.revision).Message}}'}}",
		"trigger.on-synced":       "- when: app.status.operationState.phase in ['Succeeded']\n  oncePer: app.status.operationState.syncResult.revision\n  send: [synced]\n",
	}}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "argocd",
		Name: "argocd-notifications-secret"}, Data: map[string][]byte{"token": []byte("t0ken")}}
	if err := m.client.Create(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	if err := m.client.Create(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	m.commit("first message", map[string]string{"app/pod.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\n"})
	m.agent("one")
	m.agent("two")
	const subscribe = "notifications.argoproj.io/subscribe.on-synced.deploys"
	m.create(manifest("web", m.url(), "app", automated, map[string]string{subscribe: "a;b"}))
	m.await("both are told", func() bool { return len(heard()) == 2 })
	m.await("it is recorded", func() bool {
		return strings.Count(m.app("web").Annotations["notified.notifications.argoproj.io"], "on-synced") == 2
	})
	m.agent("three")
	m.commit("second message", map[string]string{"app/pod.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\ndata: {a: b}\n"})
	m.git(m.work, "pull", "--quiet", "origin", "main")
	m.push("push-2", m.git(m.work, "rev-parse", "HEAD"))
	m.await("the next sync is told", func() bool { return len(heard()) >= 4 })
	all := strings.Join(heard(), "\n")
	for _, want := range []string{"t0ken web a first message", "t0ken web b first message",
		"t0ken web a second message", "t0ken web b second message"} {
		if strings.Count(all, want) != 1 {
			t.Errorf("%q is not told once:\n%s", want, all)
		}
	}
}
