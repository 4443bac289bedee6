package helmrepo

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/services/sync-agent/internal/render"
)

func TestMain(m *testing.M) {
	if render.IsWorker(os.Args) {
		os.Exit(render.Work(os.Args, os.Stdin, os.Stdout))
	}
	os.Exit(m.Run())
}

// packed is the archive of a chart.
func packed(t *testing.T, name, version string) []byte {
	t.Helper()
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	w := tar.NewWriter(zipped)
	text := "apiVersion: v2\nname: " + name + "\nversion: " + version + "\n"
	err := errors.Join(
		w.WriteHeader(
			&tar.Header{Name: name + "/Chart.yaml", Mode: 0o644, Size: int64(len(text))},
		),
		second(w.Write([]byte(text))),
		w.Close(),
		zipped.Close(),
	)
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func second(_ int, err error) error { return err }

// charts is a Helm repository that asks for a password.
type charts struct {
	*httptest.Server

	archives map[string][]byte // by path
	index    string
	asked    []string // method-less paths, with ! for those without password
}

func newCharts(t *testing.T) *charts {
	t.Helper()
	c := &charts{archives: map[string][]byte{}}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, password, _ := r.BasicAuth()
		mark := ""
		if name != "u" || password != "p" {
			mark = "!"
		}
		c.asked = append(c.asked, mark+r.URL.Path)
		if r.URL.Path == "/repo/index.yaml" {
			if mark != "" {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			sum := sha256.Sum256([]byte(c.index))
			etag := `"` + hex.EncodeToString(sum[:]) + `"`
			w.Header().Set("ETag", etag)
			if r.Header.Get("If-None-Match") == etag {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			_, _ = w.Write([]byte(c.index))
			return
		}
		data, ok := c.archives[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(data)
	}))
	t.Cleanup(c.Close)
	return c
}

// add puts a version into the repository, at a URL.
func (c *charts) add(t *testing.T, version, at, digest string) {
	t.Helper()
	data := packed(t, "web", version)
	path := at
	if !strings.HasPrefix(path, "/") {
		path = "/repo/" + at
	}
	c.archives[path] = data
	if digest == "" {
		sum := sha256.Sum256(data)
		digest = hex.EncodeToString(sum[:])
	}
	if c.index == "" {
		c.index = "apiVersion: v1\nentries:\n  other: []\n  web:\n"
	}
	c.index += fmt.Sprintf("  - {name: web, version: %q, urls: [%q], digest: %s}\n", version, at, digest)
}

func newClient(t *testing.T) *Client {
	t.Helper()
	pool, err := render.NewPool(
		render.Limits{Workers: 1, Time: time.Minute, Memory: 1 << 30, Renders: 100, Idle: time.Minute},
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	c, err := New(t.TempDir(), 1<<20, pool)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestVersions(t *testing.T) {
	repo := newCharts(t)
	for _, v := range []string{"1.0.0", "1.2.0", "v1.3.0", "2.0.0-rc.1", "1.10.0+build", "no version"} {
		repo.add(t, v, "web-"+strings.ReplaceAll(v, " ", "-")+".tgz", "")
	}
	c := newClient(t)
	access := Access{Username: "u", Password: "p"}
	for constraint, want := range map[string]string{
		"": "1.10.0+build", "1.2.0": "1.2.0", "~1.2": "1.2.0", "1.3.*": "v1.3.0", ">=1.0 <1.3": "1.2.0",
		">=2.0.0-0": "2.0.0-rc.1", "1.10.0+build": "1.10.0+build", "v1.0.0": "1.0.0",
	} {
		data, version, err := c.Fetch(t.Context(), repo.URL+"/repo", "web", constraint, time.Time{}, access)
		if err != nil || version != want || !bytes.Equal(data, packed(t, "web", want)) {
			t.Errorf("%q: %s, %d bytes, %v; want %s", constraint, version, len(data), err, want)
		}
	}
	for _, constraint := range []string{"9.*", "x y z", "3.0.0"} {
		if _, _, err := c.Fetch(t.Context(), repo.URL+"/repo", "web", constraint, time.Time{}, access); err == nil ||
			!strings.Contains(err.Error(), constraint) {
			t.Errorf("%q: %v", constraint, err)
		}
	}
	if _, _, err := c.Fetch(t.Context(), repo.URL+"/repo", "none", "", time.Time{}, access); !errors.Is(
		err,
		ErrNoVersion,
	) {
		t.Errorf("a chart that there is not: %v", err)
	}
	if _, _, err := c.Fetch(t.Context(), repo.URL+"/repo", "web", "", time.Time{}, Access{}); err == nil ||
		!strings.Contains(err.Error(), "401") {
		t.Errorf("without a password: %v", err)
	}
}

func TestWhatIsKnownIsNotFetchedAgain(t *testing.T) {
	repo := newCharts(t)
	repo.add(t, "1.0.0", "web-1.0.0.tgz", "")
	c := newClient(t)
	access := Access{Username: "u", Password: "p"}
	fetch := func(since time.Time, want string, requests ...string) {
		t.Helper()
		repo.asked = nil
		_, version, err := c.Fetch(t.Context(), repo.URL+"/repo", "web", "*", since, access)
		if err != nil || version != want || strings.Join(repo.asked, " ") != strings.Join(requests, " ") {
			t.Errorf("%s, %v after %v", version, err, repo.asked)
		}
	}
	fetch(time.Time{}, "1.0.0", "/repo/index.yaml", "/repo/web-1.0.0.tgz")
	fetch(time.Time{}, "1.0.0")
	fetch(time.Now(), "1.0.0", "/repo/index.yaml")
	repo.add(t, "1.1.0", "web-1.1.0.tgz", "")
	fetch(time.Time{}, "1.0.0")
	fetch(time.Now(), "1.1.0", "/repo/index.yaml", "/repo/web-1.1.0.tgz")
}

// Passwords go to the repository alone, unless they are to be passed on.
func TestPasswordsStayWithTheirHost(t *testing.T) {
	repo, other := newCharts(t), newCharts(t)
	other.archives["/web.tgz"] = packed(t, "web", "1.0.0")
	repo.index = "entries: {web: [{version: 1.0.0, urls: ['" + other.URL + "/web.tgz']}]}"
	for _, pass := range []bool{false, true} {
		other.asked = nil
		_, _, err := newClient(t).Fetch(
			t.Context(),
			repo.URL+"/repo", "web", "", time.Time{}, Access{Username: "u", Password: "p", PassCredentials: pass},
		)
		want := "!/web.tgz"
		if pass {
			want = "/web.tgz"
		}
		if err != nil || len(other.asked) != 1 || other.asked[0] != want {
			t.Errorf("passCredentials %v: %v, %v", pass, other.asked, err)
		}
	}
}

func TestRefused(t *testing.T) {
	repo := newCharts(t)
	repo.add(t, "1.0.0", "web-1.0.0.tgz", strings.Repeat("0", 64))
	repo.add(t, "2.0.0", "file:///etc/passwd", "")
	repo.index += "  - {version: 3.0.0}\n"
	access := Access{Username: "u", Password: "p"}
	for version, want := range map[string]string{
		"1.0.0": "digest", "2.0.0": "only http and https", "3.0.0": "names no URL",
	} {
		_, _, err := newClient(t).Fetch(t.Context(), repo.URL+"/repo", "web", version, time.Time{}, access)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", version, err)
		}
	}
	for index, want := range map[string]string{"": "no entries", "a: [": "index.yaml", "- a": "index.yaml"} {
		repo.index = index
		_, _, err := newClient(t).Fetch(t.Context(), repo.URL+"/repo", "web", "", time.Time{}, access)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("index %q: %v", index, err)
		}
	}
	if _, _, err := newClient(t).Fetch(t.Context(), "ftp://x/y", "web", "", time.Time{}, access); err == nil {
		t.Error("ftp was taken")
	}
}

func TestADocumentIsBounded(t *testing.T) {
	repo := newCharts(t)
	repo.archives["/large"] = make([]byte, maxDocument+1)
	repo.archives["/small"] = []byte("a: 1")
	c := newClient(t)
	if got, err := c.Document(t.Context(), repo.URL+"/small", Access{}); err != nil || string(got) != "a: 1" {
		t.Errorf("%s, %v", got, err)
	}
	if _, err := c.Document(t.Context(), repo.URL+"/large", Access{}); !errors.Is(err, render.ErrLimit) {
		t.Errorf("%v", err)
	}
}

func TestTheStoreIsBounded(t *testing.T) {
	s, err := newStore(t.TempDir(), 1000)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		s.put(fmt.Sprint(i), make([]byte, 400))
	}
	kept := 0
	for i := range 10 {
		if data, ok := s.get(fmt.Sprint(i)); ok && len(data) == 400 {
			kept++
		}
	}
	if kept != 2 {
		t.Errorf("%d are kept", kept)
	}
	s.put("cut", []byte("whole"))
	if err := os.Truncate(s.path("cut"), 34); err != nil {
		t.Fatal(err)
	}
	if _, ok := s.get("cut"); ok {
		t.Error("a file that was cut is believed")
	}
}

func FuzzIndex(f *testing.F) {
	for _, seed := range []string{
		"entries: {a: [{version: 1.0.0, urls: [x]}]}", `{"entries":{"a":[]}}`, "entries: 1", "a: &a [*a]", "entries: {a: [null]}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		versions, err := render.VersionsOf(text, "a")
		if err != nil {
			return
		}
		if v, err := choose(versions, ""); err == nil && v.Version == "" {
			t.Errorf("%q: no version was chosen", text)
		}
	})
}
