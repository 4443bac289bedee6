package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/gitrepo"
	"github.com/argosy-mesh/argosy/libs/gitrepo/gittest"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/kube/secret"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/yaml"
)

const (
	manifest = "kind: ConfigMap\nmetadata: {name: x}\n"
	asJSON   = `{"kind":"ConfigMap","metadata":{"name":"x"}}`
)

func fetcher(t *testing.T, files string) *Fetcher {
	t.Helper()
	repositories, err := gitrepo.New(gitrepo.Config{Dir: t.TempDir(), Limits: GitLimits()})
	if err != nil {
		t.Fatal(err)
	}
	objects := fake.NewClientBuilder().WithObjects(
		&corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "s"},
			Data:       map[string][]byte{"user": []byte("joe"), "password": []byte("s3cret"), "junk": []byte("junk")},
		},
		&corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "c"},
			Data:       map[string]string{"good": manifest, "list": "[1]"},
		},
	).Build()
	return NewFetcher(secret.NewReader(objects, 0), repositories, files)
}

func fetch(t *testing.T, f *Fetcher, source string) (string, error) {
	t.Helper()
	var l v1alpha1.EventArtifactLocation
	if err := yaml.Unmarshal([]byte(source), &l); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := f.Manifest(ctx, "ns", &l)
	return string(out), err
}

func TestConfigMapsAndInline(t *testing.T) {
	f := fetcher(t, "")
	for source, want := range map[string]fault.Class{
		`{configmap: {name: c, key: good}}`: fault.None, `{inline: "kind: ConfigMap\nmetadata: {name: x}"}`: fault.None,
		`{resource: {kind: ConfigMap, metadata: {name: x}}}`: fault.None,
		`{configmap: {name: c, key: list}}`:                  fault.Poison,
		`{configmap: {name: c, key: late}}`:                  fault.Retry,
		`{configmap: {name: late, key: x}}`:                  fault.Retry,
		`{}`:                                                 fault.Poison,
		`{inline: "["}`:                                      fault.Poison,
	} {
		out, err := fetch(t, f, source)
		if fault.Of(err) != want || err == nil && out != asJSON {
			t.Errorf("%s: %s, %v", source, out, err)
		}
	}
}

func TestFilesStayInTheirFolder(t *testing.T) {
	dir, outside := t.TempDir(), filepath.Join(t.TempDir(), "secret.yaml")
	for path, text := range map[string]string{
		filepath.Join(dir, "good.yaml"): manifest, outside: manifest,
		filepath.Join(dir, "big.yaml"): strings.Repeat("#", maxManifest+1),
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(outside, filepath.Join(dir, "link.yaml")); err != nil {
		t.Fatal(err)
	}
	f := fetcher(t, dir)
	for path, good := range map[string]bool{
		"good.yaml": true, filepath.Join(dir, "good.yaml"): true, outside: false, "../secret.yaml": false,
		"link.yaml": false, "none.yaml": false, "big.yaml": false, "/etc/passwd": false,
	} {
		if out, err := fetch(t, f, `{file: {path: "`+path+`"}}`); (err == nil) != good {
			t.Errorf("%s: %s, %v", path, out, err)
		}
	}
	if _, err := fetch(t, fetcher(t, ""), `{file: {path: x}}`); fault.Of(err) != fault.Poison {
		t.Errorf("without a folder: %v", err)
	}
}

func TestURLs(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/good":
			fmt.Fprint(w, manifest)
		case "/big":
			fmt.Fprint(w, strings.Repeat("#", maxManifest+1))
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	})
	s := httptest.NewTLSServer(handler)
	defer s.Close()
	f := fetcher(t, "")
	for source, want := range map[string]fault.Class{
		"/good": fault.None, `/good", verifyCert: true, x: "`: fault.Retry, "/none": fault.Retry, "/big": fault.Poison,
	} {
		if out, err := fetch(t, f, `{url: {path: "`+s.URL+source+`"}}`); fault.Of(err) != want {
			t.Errorf("%s: %s, %v", source, out, err)
		}
	}
	if _, err := fetch(t, f, `{url: {path: "::"}}`); fault.Of(err) != fault.Poison {
		t.Errorf("%v", err)
	}
}

// TestS3 asks a stand-in for an object as a bucket serves it; signatures are made by
// the client of MinIO.
func TestS3(t *testing.T) {
	sum := sha256.Sum256([]byte(manifest))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.Header.Get("Authorization"), "Credential=joe/") {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		if _, location := r.URL.Query()["location"]; location {
			fmt.Fprint(w, `<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/"></LocationConstraint>`)
			return
		}
		if r.URL.Path != "/bucket/dir/w.yaml" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set("ETag", `"`+hex.EncodeToString(sum[:16])+`"`)
		w.Header().Set("Last-Modified", time.Unix(0, 0).UTC().Format(http.TimeFormat))
		fmt.Fprint(w, manifest)
	}))
	defer s.Close()
	const keys = `accessKey: {name: s, key: user}, secretKey: {name: s, key: password}`
	host := strings.TrimPrefix(s.URL, "http://")
	if out, err := fetch(
		t, fetcher(t, ""),
		`{s3: {endpoint: "`+host+`", insecure: true, bucket: {name: bucket, key: dir/w.yaml}, `+keys+`}}`,
	); err != nil ||
		out != asJSON {
		t.Errorf("%s, %v", out, err)
	}
	if _, err := fetch(
		t, fetcher(t, ""), `{s3: {endpoint: "`+host+`", insecure: true, bucket: {name: bucket, key: none}, `+keys+`}}`,
	); err == nil {
		t.Error("an object that is not there was found")
	}
	if _, err := fetch(
		t, fetcher(t, ""), `{s3: {endpoint: "x y", bucket: {name: bucket, key: none}, `+keys+`}}`,
	); fault.Of(err) != fault.Poison {
		t.Errorf("%v", err)
	}
	if _, err := fetch(
		t, fetcher(t, ""),
		`{s3: {endpoint: x, caCertificate: {name: s, key: junk}, bucket: {name: bucket, key: none}, `+keys+`}}`,
	); fault.Of(err) != fault.Poison {
		t.Errorf("%v", err)
	}
}

func TestGit(t *testing.T) {
	s := gittest.Start(t)
	s.Commit("app", map[string]string{"w.yaml": "kind: Old"})
	s.Git("app", "tag", "v1")
	s.Git("app", "branch", "other")
	s.Commit("app", map[string]string{"w.yaml": manifest})
	at := s.URL + "/app/.git"
	for rest, want := range map[string]string{
		"": asJSON, ", branch: main": asJSON, ", tag: v1": `{"kind":"Old"}`, ", branch: other": `{"kind":"Old"}`,
		", ref: refs/heads/other": `{"kind":"Old"}`,
	} {
		out, err := fetch(t, fetcher(t, ""), `{git: {url: "`+at+`", cloneDirectory: /x, filePath: w.yaml`+rest+`}}`)
		if err != nil || out != want {
			t.Errorf("%s: %s, %v", rest, out, err)
		}
	}
	out, err := fetch(
		t, fetcher(t, ""),
		`{git: {url: "https://nowhere", remote: {urls: ["`+at+`"]}, cloneDirectory: /x, filePath: w.yaml}}`,
	)
	if err != nil || out != asJSON {
		t.Errorf("a remote of its own: %s, %v", out, err)
	}
	for _, bad := range []string{
		`filePath: none.yaml`, `filePath: w.yaml, branch: none`,
		`filePath: w.yaml, creds: {username: {name: late, key: x}}`,
		`filePath: w.yaml, sshKeySecret: {name: s, key: junk}`, `filePath: ../w.yaml`,
	} {
		if out, err := fetch(t, fetcher(t, ""), `{git: {url: "`+at+`", cloneDirectory: /x, `+bad+`}}`); err == nil {
			t.Errorf("%s: %s", bad, out)
		}
	}
}

// The sensor's own folders are no repositories.
func TestGitReadsNoFolderOfTheSensor(t *testing.T) {
	s := gittest.Start(t)
	s.Commit("app", map[string]string{"w.yaml": manifest})
	for _, url := range []string{s.Path("app"), "file://" + s.Path("app")} {
		if out, err := fetch(
			t, fetcher(t, ""), `{git: {url: "`+url+`", cloneDirectory: /x, filePath: w.yaml}}`,
		); fault.Of(err) != fault.Poison {
			t.Errorf("%s: %s, %v", url, out, err)
		}
	}
}
