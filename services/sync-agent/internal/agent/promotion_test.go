package agent

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// What runs well in one stage goes to the next one, once; what is taken back there stays taken back.
func TestAnImageIsPromoted(t *testing.T) {
	m := newMesh(t)
	host, push := store(t)
	image := host + "/team/web"
	push("1.1.0", nil)
	files := map[string]string{}
	for _, stage := range []string{"test", "prod"} {
		files[stage+"/kustomization.yaml"] = "namePrefix: " + stage + "-\nresources: [pod.yaml]\nimages:\n- name: " + image + "\n  newTag: 1.0.0\n"
		files[stage+"/pod.yaml"] = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n" +
			"spec:\n  replicas: 0\n  selector: {matchLabels: {a: b}}\n" +
			"  template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: '" + image + "'}]}}\n"
	}
	files["test/kustomization.yaml"] = strings.Replace(files["test/kustomization.yaml"], "1.0.0", "1.1.0", 1)
	m.commit("first", files)
	for _, replica := range []string{"one", "two"} {
		m.agent(replica, "--insecure-registry="+host)
	}
	const prefix = "argocd-image-updater.argoproj.io/"
	m.create(manifest("prod", m.url(), "prod", "", map[string]string{
		prefix + "image-list": image, prefix + "write-back-method": "git",
		prefix + "write-back-target": "kustomization",
		prefix + "force-update":      "true", "argosy.dev/promote-from": "test",
	}))
	m.create(manifest("test", m.url(), "test", automated, map[string]string{"argosy.dev/promote-to": "prod"}))
	m.await("test is synced", func() bool { return m.app("test").Status.Sync.Status == "Synced" })
	// Nobody runs Deployments here: it is as if its controller had looked.
	m.available("test-web", image+":1.1.0")
	m.await("it is promoted", func() bool { return len(m.facts("image.committed")) == 1 })
	m.await("it is recorded", func() bool { return m.app("test").Annotations["argosy.dev/promoted"] == image+":1.1.0" })
	m.git(m.work, "pull", "--quiet", "origin", "main")
	if got := m.git(m.work, "show", "HEAD:prod/kustomization.yaml"); !strings.Contains(got, "newTag: 1.1.0") {
		t.Errorf("prod:\n%s", got)
	}
	files["test/kustomization.yaml"] = strings.Replace(files["test/kustomization.yaml"], "1.1.0", "1.2.0", 1)
	push("1.2.0", nil)
	m.push("push-2", m.commit("back", files))
	m.available("test-web", image+":1.2.0")
	m.await("the next one is promoted", func() bool { return len(m.facts("image.committed")) == 2 })
	m.git(m.work, "pull", "--quiet", "origin", "main")
	if got := m.git(m.work, "rev-list", "--count", "HEAD"); got != "4" {
		t.Errorf("%s commits, want 4: what was taken back is promoted again\n%s", got, m.git(m.work, "log"))
	}
	if got := m.git(m.work, "show", "HEAD:prod/kustomization.yaml"); !strings.Contains(got, "newTag: 1.2.0") {
		t.Errorf("prod:\n%s", got)
	}
}

// available ends the rollout of a Deployment to an image as its controller would.
func (m *mesh) available(name, image string) {
	m.Helper()
	var d appsv1.Deployment
	m.await(name+" has "+image, func() bool {
		err := m.client.Get(m.Context(), client.ObjectKey{Namespace: "demo", Name: name}, &d)
		return err == nil && d.Spec.Template.Spec.Containers[0].Image == image
	})
	d.Status.ObservedGeneration = d.Generation
	d.Status.Conditions = []appsv1.DeploymentCondition{{Type: appsv1.DeploymentAvailable, Status: corev1.ConditionTrue}}
	if err := m.client.Status().Update(m.Context(), &d); err != nil {
		m.Fatal(err)
	}
}
