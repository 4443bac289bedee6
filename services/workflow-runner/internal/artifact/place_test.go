package artifact

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/gitrepo/gittest"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/store/storetest"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

func artifactOf(t *testing.T, text string) v1alpha1.Artifact {
	t.Helper()
	var a v1alpha1.Artifact
	if err := yaml.UnmarshalStrict([]byte(text), &a); err != nil {
		t.Fatal(err)
	}
	return a
}

func TestARepositoryComesIntoAPod(t *testing.T) {
	s := gittest.Start(t)
	s.Commit("private/app", map[string]string{"who": "first", "sub/file": "below"})
	s.Git("private/app", "tag", "v1")
	s.Commit("private/app", map[string]string{"who": "last"})
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ci", Name: "git"},
		Data: map[string][]byte{"user": []byte(gittest.User), "password": []byte(gittest.Password)}}
	d := newDepot(t, secret)
	const login = "usernameSecret: {name: git, key: user}, passwordSecret: {name: git, key: password}"
	repo := "repo: '" + s.URL + "/private/app/.git', "
	for name, c := range map[string]struct{ text, file, want string }{
		"at its head": {"git: {" + repo + login + "}", "who", "last"},
		"at a tag":    {"git: {" + repo + "revision: v1, " + login + "}", "who", "first"},
		"with its history": {"git: {" + repo + "revision: main, " + login + "}", ".git/HEAD",
			"ref: refs/heads/main\n"},
		"a part of it":             {"git: {" + repo + login + "}, subPath: sub", "file", "below"},
		"whatever archive it says": {"git: {" + repo + login + "}, archive: {none: {}}, mode: 493", "who", "last"},
	} {
		path, code, said := d.load(artifactOf(t, "{name: a, path: /src, "+c.text+"}"))
		got, err := os.ReadFile(filepath.Join(path, c.file))
		if code != 0 || err != nil || string(got) != c.want {
			t.Errorf("%s: %q, exit code %d, %s, %v", name, got, code, said, err)
		}
	}
	for name, c := range map[string]struct{ text, says string }{
		"an unknown revision": {"git: {" + repo + "revision: gone, " + login + "}", `no revision "gone"`},
		"nobody":              {"git: {" + repo + "}", "authentication required"},
		"no such Secret":      {"git: {" + repo + "usernameSecret: {name: gone, key: user}}", `"gone"`},
		"a folder of ours":    {"git: {repo: '" + s.Path("private/app") + "'}", "http, https and ssh"},
		"a part that is none": {"git: {" + repo + login + "}, subPath: ../..", "subPath"},
	} {
		_, code, said := d.load(artifactOf(t, "{name: a, path: /src, "+c.text+"}"))
		if code == 0 || !strings.Contains(said, c.says) || strings.Contains(said, gittest.Password) {
			t.Errorf("%s: exit code %d, %s", name, code, said)
		}
	}
	in, _ := d.signer.Input("ci", artifactOf(t, "{name: a, path: /src, git: {"+repo+login+"}}"),
		time.Now().Add(time.Hour))
	for method, body := range map[string]string{http.MethodPost: "{}", http.MethodPut: "x"} {
		if code, _ := (asker{t, d.signer}).do(method, in.URL, body); code < 400 {
			t.Errorf("%s: %d", method, code)
		}
	}
}

func TestArtifactsGoIntoACloudAndComeBack(t *testing.T) {
	azure := storetest.StartAzure(t)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ci", Name: "azure"},
		Data: map[string][]byte{"key": []byte(azure.Secret)}}
	d := newDepot(t, secret)
	dir := folder(t)
	for archive, objects := range map[string]int{"{}": 1, "{zip: {}}": 1, "{none: {}}": 2} {
		a := artifactOf(t, "{name: a, path: '"+dir+"', archive: "+archive+", azure: {endpoint: '"+azure.URL+"', container: art, blob: 'run "+archive[1:2]+"/a', accountKeySecret: {name: azure, key: key}}}")
		before := len(azure.Objects())
		azure.Break(1) // what comes back is tried again
		if report := d.save(a); report.Error != "" || len(azure.Objects())-before != objects {
			t.Fatalf("%s: %+v, %d objects", archive, report, len(azure.Objects())-before)
		}
		path, code, said := d.load(a)
		if code != 0 {
			t.Fatalf("load: %s", said)
		}
		same(t, archive, path)
	}
}
