package artifact

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/flow/protocol"
	"github.com/argosy-mesh/argosy/libs/gitrepo"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/executor"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/store"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/store/storetest"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/yaml"
)

// depot is a bucket, a gate that hands out its URLs, and pods whose executor is the real one.
type depot struct {
	t      *testing.T
	server *storetest.Server
	signer *Signer
}

func newDepot(t *testing.T, more ...client.Object) *depot {
	t.Helper()
	d := &depot{t: t, server: storetest.Start(t, "art"), signer: &Signer{Key: []byte("k")}}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ci", Name: "keys"},
		Data: map[string][]byte{"id": []byte(storetest.ID), "secret": []byte(storetest.Secret)}}
	git, err := gitrepo.New(gitrepo.Config{Dir: t.TempDir(), Limits: gitrepo.DefaultLimits()})
	if err != nil {
		t.Fatal(err)
	}
	stores := &store.Stores{Secrets: fake.NewClientBuilder().WithObjects(append(more, secret)...).Build(), Git: git}
	web := httptest.NewServer(&Server{Stores: stores, Signer: d.signer, Log: slog.New(slog.DiscardHandler)})
	t.Cleanup(web.Close)
	d.signer.Base = web.URL
	return d
}

// artifact is one of the bucket, with more fields.
func (d *depot) artifact(key, more string) v1alpha1.Artifact {
	d.t.Helper()
	var a v1alpha1.Artifact
	text := "{name: a, s3: {endpoint: '" + d.server.Endpoint + "', insecure: true, bucket: art, key: '" + key + "', " + storetest.KeyFields + "}, " + more + "}"
	if err := yaml.UnmarshalStrict([]byte(text), &a); err != nil {
		d.t.Fatal(err)
	}
	return a
}

// execute runs the executor as a pod does, and returns its exit code, what it said, and its report.
func (d *depot) execute(task protocol.Task, staging string, args ...string) (code int, said string,
	report protocol.Termination) {
	d.t.Helper()
	raw, err := json.Marshal(task)
	if err != nil {
		d.t.Fatal(err)
	}
	var errs strings.Builder
	last := filepath.Join(d.t.TempDir(), "termination-log")
	code = executor.Main(d.t.Context(), args, func(string) string { return string(raw) },
		executor.Streams{Out: io.Discard, Err: &errs}, executor.Places{Termination: last, Staging: staging})
	if text, err := os.ReadFile(last); err == nil {
		if err := json.Unmarshal(text, &report); err != nil {
			d.t.Fatal(err)
		}
	}
	return code, errs.String(), report
}

func (d *depot) save(a v1alpha1.Artifact) protocol.Termination {
	d.t.Helper()
	out := d.signer.Transfer(http.MethodPut, "ci", a, time.Now().Add(time.Hour))
	code, said, report := d.execute(protocol.Task{Artifacts: []protocol.Transfer{out}}, d.t.TempDir(), "run", "--",
		"true")
	if code != 0 {
		d.t.Fatalf("%d %s", code, said)
	}
	return report
}

func (d *depot) load(a v1alpha1.Artifact) (path string, code int, said string) {
	d.t.Helper()
	in, _ := d.signer.Input("ci", a, time.Now().Add(time.Hour))
	staging := d.t.TempDir()
	code, said, _ = d.execute(protocol.Task{Inputs: []protocol.Transfer{in}}, staging, "load")
	return filepath.Join(staging, "inputs", "a"), code, said
}

// folder makes a folder with two files, one of them empty.
func folder(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "dir")
	for name, text := range map[string]string{"x y.txt": "one", "sub/empty": ""} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func same(t *testing.T, what, got string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(got, "x y.txt"))
	empty, emptyErr := os.ReadFile(filepath.Join(got, "sub", "empty"))
	if err != nil || emptyErr != nil || string(text) != "one" || len(empty) != 0 {
		t.Errorf("%s: %q %q, %v %v", what, text, empty, err, emptyErr)
	}
}

func TestArtifactsGoIntoABucketAndComeBack(t *testing.T) {
	d := newDepot(t)
	dir := folder(t)
	for name, c := range map[string]struct {
		archive string
		objects []string
	}{
		"packed":         {"{}", []string{"run/a"}},
		"packed lightly": {"{tar: {compressionLevel: 0}}", []string{"run/a"}},
		"a zip":          {"{zip: {}}", []string{"run/a"}},
		"file by file":   {"{none: {}}", []string{"run/a/x y.txt", "run/a/sub/empty"}},
	} {
		t.Run(name, func(t *testing.T) {
			d := &depot{t: t, server: storetest.Start(t, "art"), signer: d.signer}
			d.server.Break(1) // what comes back is tried again
			a := d.artifact("run/a", "path: '"+dir+"', archive: "+c.archive)
			if report := d.save(a); report.Error != "" || len(report.Artifacts) != 1 {
				t.Fatalf("%+v", report)
			}
			objects := d.server.Objects("art")
			for _, key := range c.objects {
				if _, there := objects[key]; !there || len(objects) != len(c.objects) {
					t.Errorf("%s is not there, or others are: %d", key, len(objects))
				}
			}
			path, code, said := d.load(a)
			if code != 0 {
				t.Fatalf("load: %s", said)
			}
			same(t, name, path)
			a.SubPath = "sub"
			if path, code, said = d.load(a); code != 0 {
				t.Fatalf("load a part: %s", said)
			}
			if info, err := os.Stat(filepath.Join(path, "empty")); err != nil || info.Size() != 0 {
				t.Errorf("a part: %v", err)
			}
		})
	}
}

func TestOneFileIsOneObject(t *testing.T) {
	d := newDepot(t)
	file := filepath.Join(t.TempDir(), "f")
	for _, text := range []string{"content", ""} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		a := d.artifact("one/f.txt", "path: '"+file+"', archive: {none: {}}, mode: 384")
		if report := d.save(a); report.Error != "" {
			t.Fatal(report.Error)
		}
		if got, there := d.server.Objects("art")["one/f.txt"]; !there || got != text {
			t.Errorf("stored %q of %q", got, text)
		}
		path, code, said := d.load(a)
		if got, err := os.ReadFile(path); code != 0 || string(got) != text || err != nil {
			t.Errorf("loaded %q of %q: %s %v", got, text, said, err)
		}
	}
}

func TestArtifactsOfTheWeb(t *testing.T) {
	d := newDepot(t)
	var kept []byte
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		switch {
		case user != storetest.ID || password != storetest.Secret || r.Header.Get("X-More") != "yes":
			w.WriteHeader(http.StatusUnauthorized)
		case r.Method == http.MethodPut:
			kept, _ = io.ReadAll(r.Body)
		default:
			_, _ = w.Write(kept)
		}
	}))
	t.Cleanup(web.Close)
	artifact := func(auth string) v1alpha1.Artifact {
		var a v1alpha1.Artifact
		text := "{name: a, path: '" + folder(t) + "', http: {url: '" + web.URL + "/f', headers: [{name: X-More, value: 'yes'}]" + auth + "}}"
		if err := yaml.UnmarshalStrict([]byte(text), &a); err != nil {
			t.Fatal(err)
		}
		return a
	}
	good := artifact(", auth: {basicAuth: {usernameSecret: {name: keys, key: id}, passwordSecret: {name: keys, key: secret}}}")
	if report := d.save(good); report.Error != "" {
		t.Fatal(report.Error)
	}
	path, code, said := d.load(good)
	if code != 0 {
		t.Fatal(said)
	}
	same(t, "packed", path)
	if _, code, said = d.load(artifact("")); code == 0 || !strings.Contains(said, "401") {
		t.Errorf("without credentials: %d %s", code, said)
	}
	if _, code, said = d.load(artifact(", auth: {oauth2: {}}")); code == 0 || !strings.Contains(said, "basicAuth") {
		t.Errorf("with others: %d %s", code, said)
	}
	good.Archive = &v1alpha1.ArchiveStrategy{None: &v1alpha1.NoneStrategy{}}
	if report := d.save(good); !strings.Contains(report.Error, "archived") {
		t.Errorf("a folder: %q", report.Error)
	}
}

func TestWhatABucketRefusesEndsTheTransfer(t *testing.T) {
	d := newDepot(t)
	dir := folder(t)
	absent := d.artifact("none", "path: /x")
	if _, code, said := d.load(absent); code == 0 || !strings.Contains(said, "no such artifact") {
		t.Errorf("absent: %d %s", code, said)
	}
	absent.Optional = true
	if _, code, said := d.load(absent); code != 0 {
		t.Errorf("optional: %d %s", code, said)
	}
	elsewhere := d.artifact("run/a", "path: '"+dir+"'")
	elsewhere.S3.Bucket = "elsewhere"
	if report := d.save(elsewhere); !strings.Contains(report.Error, "NoSuchBucket") ||
		strings.Contains(report.Error, storetest.ID) || strings.Contains(report.Error, "Signature=") {
		t.Errorf("no bucket: %q", report.Error)
	}
	noKeys := d.artifact("run/a", "path: '"+dir+"'")
	noKeys.S3.AccessKeySecret.Name = "gone"
	if report := d.save(noKeys); !strings.Contains(report.Error, `"gone"`) {
		t.Errorf("no Secret: %q", report.Error)
	}
}

func TestOnlyWhatWasGrantedIsSigned(t *testing.T) {
	d := newDepot(t)
	later := time.Now().Add(time.Hour)
	put := d.signer.Transfer(http.MethodPut, "ci", d.artifact("run/a", "path: /x"), later).URL
	builtIn := d.signer.URL(http.MethodPut, "artifact/ci/x", later)
	post := func(url, body string) (int, string) {
		t.Helper()
		return asker{t, d.signer}.do(http.MethodPost, url, body)
	}
	if code, text := post(put, `{"names":["a/b.txt",""]}`); code != http.StatusOK ||
		strings.Contains(text, storetest.Secret) {
		t.Errorf("%d %s", code, text)
	}
	for name, c := range map[string]struct{ url, body string }{
		"names that lead out": {put, `{"names":["../b"]}`},
		"absolute names":      {put, `{"names":["/b"]}`},
		"hidden ones":         {put, `{"names":["a/../../b"]}`},
		"no JSON":             {put, `{`},
		"too much":            {put, `{"names":["` + strings.Repeat("x", askBytes) + `"]}`},
		"too many":            {put, `{"names":[` + strings.Repeat(`"a",`, protocol.AskLimit) + `"a"]}`},
		"the built-in store":  {builtIn, `{"names":[""]}`},
		"nothing granted":     {d.signer.Base + Path + "x.y", `{}`},
		"an old grant": {d.signer.Transfer(http.MethodPut, "ci", d.artifact("k", "path: /x"),
			time.Now().Add(-time.Hour)).URL, `{"names":[""]}`},
	} {
		if code, text := post(c.url, c.body); code < 400 || code >= 500 {
			t.Errorf("%s: %d %s", name, code, text)
		}
	}
	if code, _ := (asker{t, d.signer}).do(http.MethodPut, put, "x"); code != http.StatusForbidden {
		t.Errorf("a body for another store: %d", code)
	}
}
