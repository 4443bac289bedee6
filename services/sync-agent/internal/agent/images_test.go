package agent

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// store is a registry in memory.
func store(t *testing.T) (host string, push func(tag string, annotations map[string]string) string) {
	t.Helper()
	server := httptest.NewServer(registry.New())
	t.Cleanup(server.Close)
	host = strings.TrimPrefix(server.URL, "http://")
	return host, func(tag string, annotations map[string]string) string {
		t.Helper()
		image, err := random.Image(64, 1)
		if err != nil {
			t.Fatal(err)
		}
		image = mutate.Annotations(image, annotations).(v1.Image)
		ref, err := name.NewTag(host+"/team/web:"+tag, name.Insecure)
		if err != nil {
			t.Fatal(err)
		}
		if err := remote.Write(ref, image); err != nil {
			t.Fatal(err)
		}
		digest, err := image.Digest()
		if err != nil {
			t.Fatal(err)
		}
		return digest.String()
	}
}

func TestAnImageIsCommittedOnce(t *testing.T) {
	m := newMesh(t)
	host, push := store(t)
	m.commit("first", map[string]string{
		"app/kustomization.yaml": "# keep me\nresources: [pod.yaml]\nimages:\n  - name: web\n    newName: " + host + "/team/web # and me\n    newTag: v1\n",
		"app/pod.yaml":           "apiVersion: v1\nkind: PodTemplate\nmetadata: {name: web}\ntemplate: {spec: {containers: [{name: c, image: web}]}}\n",
	})
	digest := push("v2", map[string]string{"dev.argosy.correlationid": "chain", "dev.argosy.causationid": "build"})
	for _, replica := range []string{"one", "two"} {
		m.agent(replica, "--insecure-registry="+host)
	}
	m.create(manifest("web", m.url(), "app", automated, map[string]string{
		"argocd-image-updater.argoproj.io/image-list":               "app=" + host + "/team/web",
		"argocd-image-updater.argoproj.io/app.update-strategy":      "newest-build",
		"argocd-image-updater.argoproj.io/app.kustomize.image-name": "web",
		"argocd-image-updater.argoproj.io/write-back-method":        "git",
		"argocd-image-updater.argoproj.io/write-back-target":        "kustomization",
		"argocd-image-updater.argoproj.io/git-branch":               "main",
	}))
	m.await("first sync", func() bool { return m.app("web").Status.Sync.Status == "Synced" })

	pushed := events.ImagePushed{
		Registry: host, Repository: "team/web", Tag: "v2", Digest: digest[:60] + "0000" + digest[64:],
		Verified: events.VerifiedByNone,
	}
	for delivery := range 3 {
		e, err := bus.NewEvent("image-1", "registry", events.TypeImagePushed, pushed)
		if err != nil {
			t.Fatal(err)
		}
		// Other subjects get past the bus's own deduplication.
		if err := m.bus.Publish(
			t.Context(), events.EventSubject("argocd", "registry", fmt.Sprint(delivery)), e,
		); err != nil {
			t.Fatal(err)
		}
	}
	m.await("image is committed", func() bool { return len(m.facts("image.committed")) > 0 })
	m.git(m.work, "pull", "--quiet", "origin", "main")
	commit := m.git(m.work, "rev-parse", "HEAD")
	m.push("push-2", commit)
	m.await("commit is applied", func() bool {
		var p corev1.PodTemplate
		err := m.client.Get(t.Context(), client.ObjectKey{Namespace: "demo", Name: "web"}, &p)
		return err == nil && p.Template.Spec.Containers[0].Image == host+"/team/web:v2" &&
			p.Annotations["argosy.dev/correlationid"] == "chain"
	})
	m.git(m.work, "pull", "--quiet", "origin", "main")
	if got := m.git(m.work, "rev-list", "--count", "HEAD"); got != "2" {
		t.Errorf("%s commits, want 2:\n%s", got, m.git(m.work, "log"))
	}
	want := "# keep me\nresources: [pod.yaml]\nimages:\n  - name: web\n    newName: " + host + "/team/web # and me\n    newTag: v2"
	if got := m.git(m.work, "show", "HEAD:app/kustomization.yaml"); got != want {
		t.Errorf("kustomization:\n%s", got)
	}
	message := m.git(m.work, "log", "-1", "--format=%B")
	for _, part := range []string{
		"build: automatic update of web\n", "Argosy-Correlation-Id: chain", "Argosy-Causation-Id: ", "Argosy-Key: ",
	} {
		if !strings.Contains(message, part) {
			t.Errorf("message lacks %q:\n%s", part, message)
		}
	}
	fact := m.facts("image.committed")[0]
	if got := bus.LineageOf(fact.Event); got.Correlation != "chain" || got.Causation != "image-1" {
		t.Errorf("lineage %+v", got)
	}
}

func TestAForgedPushIsNotBelieved(t *testing.T) {
	m := newMesh(t)
	host, _ := store(t)
	m.commit("first", map[string]string{"app/kustomization.yaml": "images: []\n"})
	m.agent("one", "--insecure-registry="+host)
	m.create(manifest("web", m.url(), "app", "", map[string]string{
		"argocd-image-updater.argoproj.io/image-list":        host + "/team/web",
		"argocd-image-updater.argoproj.io/update-strategy":   "newest-build",
		"argocd-image-updater.argoproj.io/write-back-method": "git",
	}))
	m.await("application is known", func() bool { return m.app("web").Status.Sync.Status != "" })
	pushes := []events.ImagePushed{
		{Registry: host, Repository: "team/web", Tag: "forged", Verified: events.VerifiedByNone},
		{
			Registry: host, Repository: "team/web", Tag: "signed", Digest: "sha256:" + strings.Repeat("0", 64),
			Verified: events.VerifiedBySender,
		},
	}
	for i, p := range pushes {
		e, err := bus.NewEvent(fmt.Sprint("image-", i), "registry", events.TypeImagePushed, p)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.bus.Publish(t.Context(), events.EventSubject("argocd", "registry", "push"), e); err != nil {
			t.Fatal(err)
		}
	}
	m.await("the signed one is committed", func() bool { return len(m.facts("image.committed")) > 0 })
	m.git(m.work, "pull", "--quiet", "origin", "main")
	if got := m.git(m.work, "show", "HEAD:app/kustomization.yaml"); !strings.Contains(got, "newTag: signed") ||
		m.git(m.work, "rev-list", "--count", "HEAD") != "2" {
		t.Errorf("kustomization:\n%s", got)
	}
}
