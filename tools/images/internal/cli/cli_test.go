package cli

import (
	"bytes"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// bench is a registry in this process and a checkout.
type bench struct {
	host, dir string
	env       map[string]string
}

func newBench(t *testing.T, files map[string]string) *bench {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	b := &bench{host: strings.TrimPrefix(server.URL, "http://"), dir: t.TempDir(), env: map[string]string{}}
	for name, content := range files {
		path := filepath.Join(b.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

func (b *bench) run(t *testing.T, args ...string) (out, errs string, code int) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = Run(t.Context(), args, func(name string) string { return b.env[name] }, &stdout, &stderr)
	return strings.TrimSpace(stdout.String()), stderr.String(), code
}

func (b *bench) manifest(t *testing.T, repository, reference string) v1.Manifest {
	t.Helper()
	response, err := http.Get("http://" + b.host + "/v2/" + repository + "/manifests/" + reference)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var manifest v1.Manifest
	if err := json.NewDecoder(response.Body).Decode(&manifest); err != nil {
		t.Fatal(err)
	}
	return manifest
}

const dockerfile = "FROM scratch\nWORKDIR /app\nCOPY site \\\n  ./site/\nENV A=\"b c\" D=e\nEXPOSE 80\nENTRYPOINT [\"/app/run\"]\n"

func TestContextPushesDeterministically(t *testing.T) {
	b := newBench(
		t,
		map[string]string{"Dockerfile": dockerfile, "site/index.html": "hello", "site/deep/x": "y", ".git/config": "z"},
	)
	b.env["ARGOSY_TRACEPARENT"] = "00-trace"
	push := func() string {
		out, errs, code := b.run(
			t, "context", "--context", b.dir, "--tag", b.host+"/app:1", "--push", "--annotation", "k=v", "--label",
			"l=w",
		)
		if code != 0 {
			t.Fatal(errs)
		}
		return out
	}
	first := push()
	if again := push(); again != first || !strings.Contains(first, b.host+"/app@sha256:") {
		t.Errorf("pushed %s, then %s", first, again)
	}
	manifest := b.manifest(t, "app", "1")
	if manifest.Annotations["dev.argosy.traceparent"] != "00-trace" || manifest.Annotations["k"] != "v" {
		t.Errorf("annotations %v", manifest.Annotations)
	}
	if len(manifest.Layers) != 1 {
		t.Errorf("%d layers, want 1", len(manifest.Layers))
	}
	// An image just pushed can be built on.
	_, errs, code := b.run(
		t, "context", "--context", b.dir, "--base", b.host+"/app:1", "--tag", b.host+"/app:2", "--push", "--insecure",
	)
	if code != 0 {
		t.Fatal(errs)
	}
	if layers := b.manifest(t, "app", "2").Layers; len(layers) != 2 || layers[0].Digest != manifest.Layers[0].Digest {
		t.Errorf("layers on top of a base: %v", layers)
	}
}

func TestContextRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		dockerfile, want string
		args             []string
	}{
		"running":       {"FROM scratch\n\nRUN make\n", "line 3: RUN is not supported", nil},
		"stages":        {"FROM a AS b\n", "line 1: FROM takes one image", nil},
		"no FROM":       {"COPY a b\n", "first instruction must be FROM", nil},
		"missing":       {"FROM scratch\nCOPY none /\n", "line 2: COPY none: no such file", nil},
		"escaping":      {"FROM scratch\nCOPY ../x /\n", "COPY ../x", nil},
		"escaping link": {"FROM scratch\nCOPY links /links\n", "leaves the context", nil},
		"too large": {
			"FROM scratch\nCOPY big /big\n", "--max-context-bytes", []string{"--max-context-bytes", "10"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(
				t, map[string]string{"Dockerfile": c.dockerfile, "big": strings.Repeat("x", 11), "links/file": ""},
			)
			if err := os.Symlink("/etc/passwd", filepath.Join(b.dir, "links/evil")); err != nil {
				t.Fatal(err)
			}
			args := append([]string{"context", "--context", b.dir, "--tag", b.host + "/x", "--push"}, c.args...)
			if _, errs, code := b.run(t, args...); code != 1 || !strings.Contains(errs, c.want) {
				t.Errorf("code %d, %q; want %q", code, errs, c.want)
			}
		})
	}
}

func TestBuildThenPush(t *testing.T) {
	b := newBench(t, map[string]string{"tool": "binary"})
	out := t.TempDir()
	build := func() (archive string, progress string) {
		archive, errs, code := b.run(t, "build", "--out", out, "--binary", "tool="+filepath.Join(b.dir, "tool"))
		if code != 0 {
			t.Fatal(errs)
		}
		return archive, errs
	}
	archive, progress := build()
	if !strings.Contains(progress, "built [argosy/tool:dev]") {
		t.Errorf("progress %q", progress)
	}
	if _, progress := build(); progress != "" {
		t.Errorf("built again without a change: %q", progress)
	}
	pushed, errs, code := b.run(t, "push", archive, b.host+"/tool:1", "--insecure")
	if code != 0 || !strings.HasPrefix(pushed, b.host+"/tool@sha256:") {
		t.Fatalf("push: %q, %q", pushed, errs)
	}
	if err := os.WriteFile(filepath.Join(b.dir, "tool"), []byte("changed"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, progress := build(); progress == "" {
		t.Error("a changed binary does not change the image")
	}
	if _, errs, code := b.run(t, "build", "--out", out, "nobody"); code != 1 || !strings.Contains(errs, "busybox") {
		t.Errorf("unknown name: %q does not list what there is", errs)
	}
}
