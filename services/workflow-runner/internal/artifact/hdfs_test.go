package artifact

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/argosy-mesh/argosy/libs/hdfs/hdfstest"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/store"
	"sigs.k8s.io/yaml"
)

// inHDFS is an artifact in a cluster, with more fields of it and of its place.
func inHDFS(t *testing.T, h *hdfstest.Cluster, name, more, place string) v1alpha1.Artifact {
	t.Helper()
	var a v1alpha1.Artifact
	text := "{name: a, hdfs: {addresses: ['" + h.Address + "'], hdfsUser: " + hdfstest.User +
		", path: '" + name + "', " + place + "}, " + more + "}"
	if err := yaml.UnmarshalStrict([]byte(text), &a); err != nil {
		t.Fatal(err)
	}
	return a
}

func TestArtifactsGoIntoHDFSAndComeBack(t *testing.T) {
	d := newDepot(t)
	dir := folder(t)
	for name, archive := range map[string]string{"packed": "{}", "a zip": "{zip: {}}", "as it is": "{none: {}}"} {
		h := hdfstest.Start(t)
		a := inHDFS(t, h, "/run/a", "path: '"+dir+"', archive: "+archive, "")
		h.Cut("rename2", 1) // the pod gets no answer to what was done, and sends it again
		if report := d.save(a); report.Error != "" || len(report.Artifacts) != 1 || len(h.Files()) != 1 {
			t.Fatalf("%s: %+v, %d files", name, report, len(h.Files()))
		}
		path, code, said := d.load(a)
		if code != 0 {
			t.Fatalf("%s: load: %s", name, said)
		}
		same(t, name, path)
		a.SubPath = "sub"
		if path, code, said = d.load(a); code != 0 {
			t.Fatalf("%s: load a part: %s", name, said)
		}
		if _, err := os.Stat(filepath.Join(path, "empty")); err != nil {
			t.Errorf("%s: a part: %v", name, err)
		}
	}
}

func TestAFileOfHDFSIsWhatOthersSee(t *testing.T) {
	d, h := newDepot(t), hdfstest.Start(t)
	file := filepath.Join(t.TempDir(), "f")
	for _, text := range []string{"", strings.Repeat("content ", 40_000)} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		a := inHDFS(t, h, "/f.txt", "path: '"+file+"', archive: {none: {}}", "force: true")
		if report := d.save(a); report.Error != "" {
			t.Fatal(report.Error)
		}
		if got := h.Files(); len(got) != 1 || got["/f.txt"] != text {
			t.Errorf("the cluster has %d files, %d bytes", len(got), len(got["/f.txt"]))
		}
		path, code, said := d.load(a)
		if got, err := os.ReadFile(path); code != 0 || string(got) != text || err != nil {
			t.Errorf("loaded %d bytes: %s %v", len(got), said, err)
		}
	}
	h.Put("/theirs/dir/x y.txt", "one")
	h.Put("/theirs/dir/sub/empty", "")
	for _, archive := range []string{"{}", "{none: {}}"} {
		path, code, said := d.load(inHDFS(t, h, "/theirs/dir", "path: /x, archive: "+archive, ""))
		if code != 0 {
			t.Fatalf("a folder: %s", said)
		}
		same(t, "a folder, "+archive, path)
	}
}

func TestWhatHDFSRefusesEndsTheTransfer(t *testing.T) {
	d, h := newDepot(t), hdfstest.Start(t)
	absent := inHDFS(t, h, "/none", "path: /x", "")
	if _, code, said := d.load(absent); code == 0 || !strings.Contains(said, "no such artifact") {
		t.Errorf("absent: %d %s", code, said)
	}
	absent.Optional = true
	if _, code, said := d.load(absent); code != 0 {
		t.Errorf("optional: %d %s", code, said)
	}
	h.Put("/old", "old")
	// more than fits on the way: who still sends must hear it too, and not try again
	large := filepath.Join(t.TempDir(), "large")
	if err := os.WriteFile(large, make([]byte, 20<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if report := d.save(inHDFS(t, h, "/old", "path: '"+large+"', archive: {none: {}}",
		"")); !strings.Contains(report.Error, "force") {
		t.Errorf("there already: %q", report.Error)
	}
	if report := d.save(inHDFS(t, h, "/new", "path: '"+large+"', archive: {none: {}}",
		"krbUsername: u")); !strings.Contains(report.Error, "krbUsername") {
		t.Errorf("Kerberos: %q", report.Error)
	}
	if took := time.Since(began); took > time.Minute {
		t.Errorf("it was tried again for %s", took)
	}
	if files := h.Files(); len(files) != 1 || files["/old"] != "old" {
		t.Errorf("%d files", len(files))
	}
}

func TestAnUploadToHDFSThatBreaksOffLeavesNothing(t *testing.T) {
	h := hdfstest.Start(t)
	r := &Signer{Key: []byte("k")}
	web := httptest.NewServer(&Server{Stores: &store.Stores{}, Signer: r, Log: slog.New(slog.DiscardHandler),
		most: 400_000})
	defer web.Close()
	r.Base = web.URL
	a := inHDFS(t, h, "/run/a", "path: /x, archive: {none: {}}", "")
	out := r.Transfer(http.MethodPut, "ci", a, time.Now().Add(time.Hour))
	if out.Direct || !out.Plain {
		t.Errorf("%+v", out)
	}
	send := func(method, url string, size int64, body io.Reader) (int, error) {
		req, err := http.NewRequestWithContext(t.Context(), method, url, body)
		if err != nil {
			t.Fatal(err)
		}
		req.ContentLength = size
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0, err
		}
		return res.StatusCode, res.Body.Close()
	}
	half := func() io.Reader {
		return io.MultiReader(strings.NewReader(strings.Repeat("x", 250_000)), iotest.ErrReader(io.ErrClosedPipe))
	}
	for _, size := range []int64{-1, 300_000} { // in chunks, and by its length
		if code, err := send(http.MethodPut, out.URL, size, half()); err == nil {
			t.Errorf("half of it: %d", code)
		}
	}
	if code, err := send(http.MethodPut, out.URL, -1,
		strings.NewReader(strings.Repeat("x", 400_001))); code != http.StatusRequestEntityTooLarge {
		t.Errorf("more than may be: %d, %v", code, err)
	}
	in := r.Transfer(http.MethodGet, "ci", a, time.Now().Add(time.Hour))
	if code, err := send(http.MethodPut, in.URL, 4, strings.NewReader("text")); code != http.StatusForbidden {
		t.Errorf("with a URL to get: %d, %v", code, err)
	}
	web.Close() // waits for what is being answered
	for _, name := range h.Paths() {
		if name != "/" && name != "/run" {
			t.Errorf("%s is left", name)
		}
	}
}
