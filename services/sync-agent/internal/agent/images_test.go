package agent

import (
	"fmt"
	"net/http/httptest"
	"path/filepath"
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
		"app/kustomization.yaml": "# keep me\nresources: [pod.yaml]\nimages:\n  - name: web\n    newName: " + host +
			"/team/web # and me\n    newTag: v1\n",
		"app/pod.yaml": "apiVersion: v1\nkind: PodTemplate\nmetadata: {name: web}\ntemplate: {spec: {containers: [{name: c, image: web}]}}\n",
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
	want := "# keep me\nresources: [pod.yaml]\nimages:\n  - name: web\n    newName: " + host +
		"/team/web # and me\n    newTag: v2"
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

// announce publishes that an image was pushed.
func (m *mesh) announce(id string, p events.ImagePushed) {
	m.Helper()
	e, err := bus.NewEvent(id, "registry", events.TypeImagePushed, p)
	if err != nil {
		m.Fatal(err)
	}
	if err := m.bus.Publish(m.Context(), events.EventSubject("argocd", "registry", "push"), e); err != nil {
		m.Fatal(err)
	}
}

// The registry has the last word: what it does not have is not written, whoever vouches for it, and the digest is its.
func TestAForgedPushIsNotBelieved(t *testing.T) {
	m := newMesh(t)
	host, push := store(t)
	digest := push("real", nil)
	m.commit("first", map[string]string{"app/kustomization.yaml": "images: []\n"})
	m.agent("one", "--insecure-registry="+host)
	m.create(manifest("web", m.url(), "app", "", map[string]string{
		"argocd-image-updater.argoproj.io/image-list":        host + "/team/web",
		"argocd-image-updater.argoproj.io/update-strategy":   "digest",
		"argocd-image-updater.argoproj.io/write-back-method": "git",
		"argocd-image-updater.argoproj.io/write-back-target": "kustomization",
	}))
	m.await("application is known", func() bool { return m.app("web").Status.Sync.Status != "" })
	for i, p := range []events.ImagePushed{
		{Tag: "forged", Digest: "sha256:" + strings.Repeat("0", 64), Verified: events.VerifiedByNone},
		{Tag: "signed", Digest: "sha256:" + strings.Repeat("0", 64), Verified: events.VerifiedBySender},
		{Tag: "real", Digest: "sha256:" + strings.Repeat("0", 64), Verified: events.VerifiedBySender},
	} {
		p.Registry, p.Repository = host, "team/web"
		m.announce(fmt.Sprint("image-", i), p)
	}
	m.await("the real one is committed", func() bool { return len(m.facts("image.committed")) > 0 })
	m.git(m.work, "pull", "--quiet", "origin", "main")
	if got := m.git(m.work, "show", "HEAD:app/kustomization.yaml"); !strings.Contains(got, digest) ||
		m.git(m.work, "rev-list", "--count", "HEAD") != "2" {
		t.Errorf("kustomization:\n%s", got)
	}
}

// Applications that are written in one branch get one commit, each in its own form, and each its fact.
func TestOneCommitForAllFormsOfFiles(t *testing.T) {
	m := newMesh(t)
	host, push := store(t)
	image := host + "/team/web"
	pod := "apiVersion: v1\nkind: PodTemplate\nmetadata: {name: %s}\ntemplate: {spec: {containers: [{name: c, image: %s}]}}\n"
	m.commit("first", map[string]string{
		"list/kustomization.yaml": "resources: [pod.yaml]\nimages:\n- name: web\n  newTag: v1\n",
		"list/pod.yaml":           fmt.Sprintf(pod, "a", "web"),
		"values/values.yaml":      "# kept\nweb:\n- image: " + image + ":v1 # too\n",
		"values/x.yaml":           fmt.Sprintf(pod, "b", "web"),
		"marked/deep/pod.yaml": "apiVersion: v1\nkind: PodTemplate\nmetadata: {name: c}\ntemplate:\n  spec:\n    containers:\n    - name: c\n      image: " +
			image + ":v1 # {\"$imagepolicy\": \"flux:web\"}\n",
		"source/kustomization.yaml": "resources: [pod.yaml]\n",
		"source/pod.yaml":           fmt.Sprintf(pod, "d", "web"),
	})
	push("v2", nil)
	m.agent("one", "--insecure-registry="+host)
	const prefix = "argocd-image-updater.argoproj.io/"
	for dir, more := range map[string]map[string]string{
		"list":   {"write-back-target": "kustomization", "app.kustomize.image-name": "web"},
		"values": {"write-back-target": "helmvalues", "app.helm.image-spec": "web[0].image"},
		"marked": {"write-back-target": "setters", "app.imagepolicy": "flux:web"},
		"source": {"app.kustomize.image-name": "web"},
	} {
		annotations := map[string]string{
			prefix + "image-list": "app=" + image, prefix + "app.update-strategy": "newest-build",
			prefix + "write-back-method":      "git",
			"argosy.dev/image-commit-message": "bump {{range .AppChanges}}{{.NewTag}}{{end}}",
			prefix + "app.force-update":       "true",
		}
		for key, value := range more {
			annotations[prefix+key] = value
		}
		m.create(manifest(dir, m.url(), dir, "", annotations))
		m.await(dir+" is known", func() bool { return m.app(dir).Status.Sync.Status != "" })
	}
	m.announce("image-1", events.ImagePushed{Registry: host, Repository: "team/web", Tag: "v2"})
	m.await("all are told", func() bool { return len(m.facts("image.committed")) == 4 })
	m.git(m.work, "pull", "--quiet", "origin", "main")
	if got := m.git(m.work, "rev-list", "--count", "HEAD"); got != "2" {
		t.Errorf("%s commits, want 2", got)
	}
	for file, want := range map[string]string{
		"list/kustomization.yaml":           "newTag: v2",
		"values/values.yaml":                "# kept\nweb:\n- image: " + image + ":v2 # too",
		"marked/deep/pod.yaml":              image + ":v2 # {",
		"source/.argocd-source-source.yaml": "web=" + image + ":v2",
	} {
		if got := m.git(m.work, "show", "HEAD:"+file); !strings.Contains(got, want) {
			t.Errorf("%s:\n%s", file, got)
		}
	}
	message := m.git(m.work, "log", "-1", "--format=%B")
	if !strings.HasPrefix(message, "bump v2\n\n") || strings.Count(message, "Argosy-Key: ") != 4 ||
		strings.Count(message, "Argosy-Correlation-Id: ") != 1 {
		t.Errorf("message:\n%s", message)
	}
}

// Of several sources the one is written to that the images are in, in whichever repository.
func TestAnImageOfOneOfSeveralSources(t *testing.T) {
	m := newMesh(t)
	host, push := store(t)
	values := filepath.Join(t.TempDir(), "values.git")
	m.git("", "clone", "--quiet", "--bare", m.bare, values)
	chart := m.commit("first", map[string]string{
		"chart/Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\n",
		"chart/templates/a.yaml": "apiVersion: v1\nkind: PodTemplate\nmetadata: {name: web}\n" +
			"template: {spec: {containers: [{name: c, image: '{{ .Values.image.name }}:{{ .Values.image.tag }}'}]}}\n",
	})
	m.git(m.work, "checkout", "--quiet", "--orphan", "other")
	m.git(m.work, "rm", "-r", "--quiet", "-f", ".")
	m.git(m.work, "remote", "set-url", "origin", values)
	m.git(m.work, "checkout", "--quiet", "-b", "main-values")
	m.git(m.work, "branch", "-D", "main")
	m.git(m.work, "branch", "-m", "main")
	m.commit("values", map[string]string{
		"web.yaml": "# kept\nimage:\n  name: " + host + "/team/web\n  tag: 1.0.0\n",
	})
	digest := push("1.1.0", nil)
	m.agent("one", "--insecure-registry="+host)
	m.create(strings.Replace(manifest("web", m.url(), "chart", automated, map[string]string{
		"argocd-image-updater.argoproj.io/image-list":        "app=" + host + "/team/web",
		"argocd-image-updater.argoproj.io/write-back-method": "git",
		"argocd-image-updater.argoproj.io/write-back-target": "helmvalues:$values/web.yaml",
		"argocd-image-updater.argoproj.io/force-update":      "true",
	}), "  source:\n    path: chart\n    repoURL: "+m.url()+"\n    targetRevision: main\n", `  sources:
  - {repoURL: "`+m.url()+`", targetRevision: main, path: chart, helm: {valueFiles: [$values/web.yaml]}}
  - {repoURL: "file://`+values+`", targetRevision: main, ref: values}
`, 1))
	m.await("first sync", func() bool { return m.app("web").Status.Sync.Status == "Synced" })
	m.announce("image-1", events.ImagePushed{
		Registry: host, Repository: "team/web", Tag: "1.1.0", Digest: digest, Verified: events.VerifiedByNone,
	})
	m.await("image is committed", func() bool { return len(m.facts("image.committed")) > 0 })
	if got := m.git(values, "show", "main:web.yaml"); !strings.Contains(got, "# kept") ||
		!strings.Contains(got, "tag: 1.1.0") {
		t.Errorf("values:\n%s", got)
	}
	if got := m.git(m.bare, "rev-parse", "main"); got != chart {
		t.Errorf("the repository of the chart was written to: %s", got)
	}
}
