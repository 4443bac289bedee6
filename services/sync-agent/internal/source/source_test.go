package source

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/render"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/source/git"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func TestMain(m *testing.M) {
	if render.IsWorker(os.Args) {
		os.Exit(render.Work(os.Args, os.Stdin, os.Stdout))
	}
	os.Exit(m.Run())
}

// declared is what people declared in the namespace of the control plane.
type declared struct {
	secrets []corev1.Secret
	maps    map[string]map[string]string
}

// List returns the Secrets.
func (d *declared) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	list.(*corev1.SecretList).Items = d.secrets
	return nil
}

// Get returns a ConfigMap.
func (d *declared) Get(_ context.Context, key client.ObjectKey, o client.Object, _ ...client.GetOption) error {
	data, ok := d.maps[key.Name]
	if !ok {
		return apierrors.NewNotFound(schema.GroupResource{Resource: "configmaps"}, key.Name)
	}
	o.(*corev1.ConfigMap).Data = data
	return nil
}

func secret(kind string, data ...string) corev1.Secret {
	s := corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{secretLabel: kind}},
		Data:       map[string][]byte{},
	}
	for i := 0; i < len(data); i += 2 {
		s.Data[data[i]] = []byte(data[i+1])
	}
	return s
}

// world is sources over repositories on disk.
type world struct {
	*testing.T
	*Sources

	declared *declared
	renders  int
	base     string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, declared: &declared{maps: map[string]map[string]string{}}, base: t.TempDir()}
	mirrors, err := git.Open(t.TempDir(), true)
	if err != nil {
		t.Fatal(err)
	}
	pool, err := render.NewPool(render.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	w.Sources, err = New(Config{
		Mirrors: mirrors, Renderer: render.New(8<<20, pool, func(string, error) { w.renders++ }), Pool: pool,
		Dir: t.TempDir(), Reader: w.declared, Namespace: "argocd", Insecure: "registry.local:5000",
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) git(dir string, args ...string) string {
	w.Helper()
	cmd := exec.Command("git", append([]string{"-c", "user.name=T", "-c", "user.email=t@example.org"}, args...)...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit writes files into a repository, which it makes, and returns its URL and the commit.
func (w *world) commit(repo string, files map[string]string) (location, sha string) {
	w.Helper()
	dir := filepath.Join(w.base, repo)
	if _, err := os.Stat(dir); err != nil {
		w.git("", "init", "--quiet", "--initial-branch=main", dir)
	}
	for name, text := range files {
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			w.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
			w.Fatal(err)
		}
	}
	w.git(dir, "add", "-A")
	w.git(dir, "commit", "--quiet", "--allow-empty", "-m", "change\n\nArgosy-Correlation-Id: c-"+repo)
	return "file://" + dir, w.git(dir, "rev-parse", "HEAD")
}

func request(sources ...v1alpha1.ApplicationSource) Request {
	return Request{
		App: render.App{Name: "web", Namespace: "prod", Project: "default"}, Sources: sources,
		Want: git.Want{Since: time.Now()}, Destination: render.Destination{Namespace: "prod"},
	}
}

func names(r *Rendered) []string {
	var out []string
	for _, o := range r.Manifests.Objects {
		out = append(out, o.GetKind()+"/"+o.GetName())
	}
	return out
}

func cm(name string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + "}\n"
}

const chartFile = "apiVersion: v2\nname: web\nversion: 1.0.0\n"

// pack is the archive of a chart.
func (w *world) pack(files map[string]string) []byte {
	w.Helper()
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	archive := tar.NewWriter(zipped)
	for name, text := range files {
		if err := archive.WriteHeader(
			&tar.Header{Name: "web/" + name, Mode: 0o644, Size: int64(len(text))},
		); err != nil {
			w.Fatal(err)
		}
		if _, err := archive.Write([]byte(text)); err != nil {
			w.Fatal(err)
		}
	}
	if err := errors.Join(archive.Close(), zipped.Close()); err != nil {
		w.Fatal(err)
	}
	return out.Bytes()
}

// helmRepository serves one chart to those who know the password.
func (w *world) helmRepository(files map[string]string) string {
	w.Helper()
	data := w.pack(files)
	s := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); password != "p" {
			out.WriteHeader(http.StatusUnauthorized)
			return
		}
		switch r.URL.Path {
		case "/index.yaml":
			fmt.Fprint(out, "entries: {web: [{version: 1.0.0, urls: [web.tgz]}]}")
		case "/web.tgz":
			_, _ = out.Write(data)
		case "/values.yaml":
			fmt.Fprint(out, "name: fetched")
		default:
			http.NotFound(out, r)
		}
	}))
	w.Cleanup(s.Close)
	return s.URL
}

// A chart from a Helm repository, values from Git, and plain manifests are one application.
func TestSeveralSources(t *testing.T) {
	w := newWorld(t)
	repo := w.helmRepository(
		map[string]string{
			"Chart.yaml":       chartFile,
			"templates/a.yaml": cm("{{ .Values.name }}"),
			"values.yaml":      "name: chart",
		},
	)
	w.declared.secrets = append(w.declared.secrets, secret(kindTemplate, "url", repo, "username", "u", "password", "p"))
	values, valuesSHA := w.commit("values", map[string]string{"envs/prod.yaml": "name: prod"})
	plain, plainSHA := w.commit("plain", map[string]string{"app/a.yaml": cm("plain")})
	q := request(
		v1alpha1.ApplicationSource{
			RepoURL: repo, Chart: "web", TargetRevision: "1.*",
			Helm: &v1alpha1.ApplicationSourceHelm{ValueFiles: []string{"$values/envs/prod.yaml"}},
		},
		v1alpha1.ApplicationSource{RepoURL: values, Ref: "values"},
		v1alpha1.ApplicationSource{RepoURL: plain, Path: "app"},
	)
	known := NewMemory(time.Now())
	got, err := w.Render(t.Context(), q, &known)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"ConfigMap/prod", "ConfigMap/plain"}, names(got)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"1.0.0", valuesSHA, plainSHA}, got.Revisions); diff != "" || got.Revision != "1.0.0" {
		t.Errorf("revision %s, %s", got.Revision, diff)
	}
	if diff := cmp.Diff([]string{"Helm", "Directory"}, got.Types()); diff != "" {
		t.Error(diff)
	}
	// What nobody reads changes nothing, what is read does.
	w.commit("values", map[string]string{"envs/test.yaml": "name: test"})
	before := w.renders
	q.Want.Since = time.Now()
	if _, err = w.Render(t.Context(), q, &known); err != nil || w.renders != before {
		t.Errorf("%d renders, %v", w.renders-before, err)
	}
	w.commit("values", map[string]string{"envs/prod.yaml": "name: newer"})
	q.Want.Since = time.Now()
	got, err = w.Render(t.Context(), q, &known)
	if err != nil || names(got)[0] != "ConfigMap/newer" || w.renders != before+1 {
		t.Errorf("%v after %d renders, %v", names(got), w.renders-before, err)
	}
}

func TestSourcesAreRefused(t *testing.T) {
	w := newWorld(t)
	repo, _ := w.commit("repo", map[string]string{
		"app/a.yaml": cm("a"), "k/kustomization.yaml": "resources: ['file://" + w.base + "/base//x?ref=main']\n",
	})
	source := v1alpha1.ApplicationSource{RepoURL: repo, Path: "app"}
	values := v1alpha1.ApplicationSource{RepoURL: repo, Ref: "x"}
	only := func(allowed string) func(string) error {
		return func(repository string) error {
			if repository == allowed {
				return nil
			}
			return fmt.Errorf("repository %s is not permitted in project 'default'", repository)
		}
	}
	for name, c := range map[string]struct {
		q    Request
		want string
	}{
		"two of a name": {
			request(values, values), `ref "x"`,
		},
		"repository": {
			Request{Sources: []v1alpha1.ApplicationSource{source}, Permitted: only("none")}, "is not permitted",
		},
		"remote base": {
			Request{Sources: []v1alpha1.ApplicationSource{{RepoURL: repo, Path: "k"}}, Permitted: only(repo)},
			"base is not permitted",
		},
		"path": {request(v1alpha1.ApplicationSource{RepoURL: repo, Path: "none"}), "no such directory"},
		"revision": {
			request(v1alpha1.ApplicationSource{RepoURL: repo, Path: "app", TargetRevision: "none"}), "no such branch",
		},
		"which one": {
			request(source, v1alpha1.ApplicationSource{RepoURL: repo, Path: "none"}), "spec.sources[1]",
		},
	} {
		known := NewMemory(time.Now())
		if _, err := w.Render(t.Context(), c.q, &known); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRemoteBases(t *testing.T) {
	w := newWorld(t)
	base, sha := w.commit("base", map[string]string{
		"x/kustomization.yaml": "resources: [../y, a.yaml]\n", "x/a.yaml": cm("a"),
		"y/kustomization.yaml": "resources: [b.yaml]\n", "y/b.yaml": cm("b"), "y/deep/c.yaml": cm("c"),
	})
	repo, _ := w.commit("repo", map[string]string{
		"app/kustomization.yaml":  "resources: ['" + base + "//x?ref=main', '" + base + "//y/deep?ref=" + sha + "']\n",
		"app2/kustomization.yaml": "namePrefix: q-\nresources: ['" + base + "//x?ref=main']\n",
	})
	known := NewMemory(time.Now())
	_, err := w.Render(t.Context(), request(v1alpha1.ApplicationSource{RepoURL: repo, Path: "app"}), &known)
	if err == nil || !strings.Contains(err.Error(), "kustomization") {
		t.Errorf("a folder without a kustomization: %v", err)
	}
	got, err := w.Render(t.Context(), request(v1alpha1.ApplicationSource{RepoURL: repo, Path: "app2"}), &known)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"ConfigMap/q-a", "ConfigMap/q-b"}, names(got)); diff != "" {
		t.Error(diff)
	}
	if !got.Manifests.Fetched() {
		t.Error("nothing tells that something was fetched")
	}
}

func TestDependenciesAreFetched(t *testing.T) {
	w := newWorld(t)
	charts := w.helmRepository(
		map[string]string{"Chart.yaml": chartFile, "templates/a.yaml": cm("dependency-{{ .Values.name }}")},
	)
	w.declared.secrets = append(
		w.declared.secrets, secret(kindRepository, "url", charts, "type", "helm", "name", "mine"),
		secret(kindTemplate, "url", charts, "username", "u", "password", "p"),
	)
	w.declared.maps[settingsMap] = map[string]string{
		"kustomize.buildOptions": "--enable-helm --load-restrictor LoadRestrictionsNone",
	}
	parent := "apiVersion: v2\nname: parent\nversion: 1.0.0\ndependencies:\n- {name: web, version: 1.x, repository: %q}\n"
	repo, _ := w.commit("repo", map[string]string{
		"url/Chart.yaml": fmt.Sprintf(parent, charts), "url/values.yaml": "web: {name: x}",
		"alias/Chart.yaml": fmt.Sprintf(parent, "@mine"), "alias/values.yaml": "web: {name: z}",
		"none/Chart.yaml":      fmt.Sprintf(parent, "@none"),
		"k/kustomization.yaml": "helmCharts: [{name: web, repo: '" + charts + "', version: 1.0.0, releaseName: r, valuesInline: {name: k}}]\n",
		"values/Chart.yaml":    chartFile, "values/templates/a.yaml": cm("{{ .Values.name }}"),
	})
	remote := &v1alpha1.ApplicationSourceHelm{ValueFiles: []string{charts + "/values.yaml"}}
	for path, c := range map[string]struct {
		helm *v1alpha1.ApplicationSourceHelm
		want string
	}{
		"url":    {nil, "ConfigMap/dependency-x"},
		"alias":  {nil, "ConfigMap/dependency-z"},
		"k":      {nil, "ConfigMap/dependency-k"},
		"values": {remote, "ConfigMap/fetched"},
	} {
		known := NewMemory(time.Now())
		got, err := w.Render(
			t.Context(),
			request(v1alpha1.ApplicationSource{RepoURL: repo, Path: path, Helm: c.helm}),
			&known,
		)
		if err != nil || strings.Join(names(got), " ") != c.want {
			t.Errorf("%s: %v", path, err)
		}
	}
	known := NewMemory(time.Now())
	_, err := w.Render(t.Context(), request(v1alpha1.ApplicationSource{RepoURL: repo, Path: "none"}), &known)
	if !errors.Is(err, render.ErrSource) || !strings.Contains(err.Error(), `named "none"`) {
		t.Errorf("%v", err)
	}
}

// One commit in a repository of many applications renders the one that it changes.
func TestOneOfManyIsRendered(t *testing.T) {
	w := newWorld(t)
	const many = 60
	files := map[string]string{"base/kustomization.yaml": "resources: [a.yaml]\n", "base/a.yaml": cm("a")}
	for i := range many {
		files[fmt.Sprintf("apps/%d/kustomization.yaml", i)] = fmt.Sprintf(
			"resources: [../../base]\nnamePrefix: p%d-\n",
			i,
		)
	}
	repo, _ := w.commit("repo", files)
	memories := make([]Memory, many)
	for i := range memories {
		memories[i] = NewMemory(time.Now())
	}
	all := func() int {
		before := w.renders
		since := time.Now()
		for i := range many {
			q := request(v1alpha1.ApplicationSource{RepoURL: repo, Path: fmt.Sprintf("apps/%d", i)})
			q.Want.Since = since
			if _, err := w.Render(t.Context(), q, &memories[i]); err != nil {
				t.Fatal(err)
			}
		}
		return w.renders - before
	}
	if got := all(); got != many {
		t.Fatalf("%d renders", got)
	}
	w.commit("repo", map[string]string{"apps/7/kustomization.yaml": "resources: [../../base]\nnamePrefix: changed-\n"})
	if got := all(); got != 1 {
		t.Errorf("%d of %d were rendered", got, many)
	}
	w.commit("repo", map[string]string{"readme.md": "x"})
	if got := all(); got != 0 {
		t.Errorf("%d of %d were rendered", got, many)
	}
}

func TestFindRepository(t *testing.T) {
	d := &declared{
		secrets: []corev1.Secret{
			secret(kindTemplate, "url", "https://git.example.org", "username", "short", "password", "1"),
			secret(kindTemplate, "url", "https://git.example.org/team", "username", "long", "password", "2"),
			secret(
				kindRepository,
				"url",
				"https://git.example.org/team/a.git",
				"proxy",
				"http://proxy:1",
				"insecure",
				"true",
			),
			secret(kindRepository, "url", "https://git.example.org/team/b", "username", "own", "password", "3"),
			secret(
				kindRepository,
				"url",
				"https://git.example.org/team/b",
				"username",
				"scoped",
				"password",
				"4",
				"project",
				"p",
			),
			secret(kindRepository, "url", "git@git.example.org:team/c.git", "sshPrivateKey", "key"),
			secret(
				kindRepository,
				"url",
				"registry.example.org/charts",
				"type",
				"helm",
				"enableOCI",
				"true",
				"username",
				"oci",
				"password",
				"5",
			),
			secret("other", "url", "https://git.example.org/team/d", "username", "no", "password", "no"),
		},
		maps: map[string]map[string]string{
			knownHostsMap: {"ssh_known_hosts": "known"}, tlsCertsMap: {"git.example.org": "ca"},
		},
	}
	v := &repositories{reader: d, namespace: "argocd"}
	for location, want := range map[string]string{
		"https://git.example.org/x":          "short 1   false",
		"https://git.example.org/team/z":     "long 2   false",
		"https://git.example.org/team/a":     "long 2  http://proxy:1 true",
		"https://GIT.example.org/team/b.git": "own 3   false",
		"ssh://git@git.example.org/team/c":   "  key  false",
		"oci://registry.example.org/charts":  "oci 5   false",
		"https://elsewhere.example.org/x":    "    false",
	} {
		r, err := v.find(t.Context(), location, "")
		got := strings.Join([]string{r.Username, r.Password, r.SSHKey, r.Proxy, fmt.Sprint(r.Insecure)}, " ")
		if err != nil || got != want || r.KnownHosts != "known" ||
			(strings.Contains(location, "elsewhere") == (r.CA != "")) &&
				!strings.HasPrefix(location, "oci://") {
			t.Errorf("%s: %q, CA %q, %v; want %q", location, got, r.CA, err, want)
		}
	}
	if r, err := v.find(t.Context(), "https://git.example.org/team/b", "p"); err != nil || r.Username != "scoped" {
		t.Errorf("of the project: %s, %v", r.Username, err)
	}
}

// What SOPS encrypted is opened by the keys of the project.
func TestEncryptedFiles(t *testing.T) {
	w := newWorld(t)
	text, err := os.ReadFile("../render/testdata/sops/secret.yaml")
	if err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile("../render/testdata/sops/key.txt")
	if err != nil {
		t.Fatal(err)
	}
	keys := secret("", "project", "team", "age.txt", string(key))
	keys.Labels = map[string]string{keyLabel: kindKeys}
	w.declared.secrets = append(w.declared.secrets, keys)
	repo, _ := w.commit("repo", map[string]string{"app/secret.yaml": string(text)})
	for project, opened := range map[string]bool{"team": true, "default": false} {
		q := request(v1alpha1.ApplicationSource{RepoURL: repo, Path: "app"})
		q.App.Project = project
		known := NewMemory(time.Now())
		got, err := w.Render(t.Context(), q, &known)
		if err != nil {
			t.Fatal(err)
		}
		data, _ := got.Manifests.Objects[0].Object["stringData"].(map[string]any)
		if opened != (data["password"] == "s3cret") {
			t.Errorf("%s: %v", project, data)
		}
	}
}

func TestSettings(t *testing.T) {
	got := settingsOf(map[string]string{
		"kustomize.buildOptions": " --enable-helm ", "helm.valuesFileSchemes": "https, S3", "kustomize.enable": "false",
		"helm.enable": "true",
	})
	want := settingsValues{
		Options: render.Options{
			KustomizeBuild:   "--enable-helm",
			ValueFileSchemes: []string{"https", "s3"},
		}, Disabled: []string{"kustomize"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
}

func TestAll(t *testing.T) {
	one := v1alpha1.ApplicationSource{RepoURL: "r"}
	for name, c := range map[string]struct {
		spec v1alpha1.ApplicationSpec
		n    int
		want string
	}{
		"none":        {v1alpha1.ApplicationSpec{}, 0, "spec.source.repoURL"},
		"one":         {v1alpha1.ApplicationSpec{Source: &one}, 1, ""},
		"sources win": {v1alpha1.ApplicationSpec{Source: &one, Sources: []v1alpha1.ApplicationSource{one, one}}, 2, ""},
		"without URL": {
			v1alpha1.ApplicationSpec{Sources: []v1alpha1.ApplicationSource{one, {}}}, 0, "spec.sources[1].repoURL",
		},
		"ref of a chart": {
			v1alpha1.ApplicationSpec{Source: &v1alpha1.ApplicationSource{RepoURL: "r", Ref: "x", Chart: "c"}}, 0,
			"ref and chart",
		},
	} {
		got, err := All(c.spec)
		if len(got) != c.n || (c.want == "") != (err == nil) || (err != nil && !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %d, %v", name, len(got), err)
		}
	}
}
