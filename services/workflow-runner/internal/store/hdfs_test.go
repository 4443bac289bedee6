package store

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/flow/protocol"
	"github.com/argosy-mesh/argosy/libs/hdfs/hdfstest"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// inHDFS is a place in a cluster, with more fields.
func inHDFS(t *testing.T, h *hdfstest.Cluster, name, more string) v1alpha1.ArtifactLocation {
	t.Helper()
	return placed(t, fmt.Sprintf("hdfs: {addresses: ['%s', '%s'], hdfsUser: %s, path: %q, %s}", h.Standby, h.Address,
		hdfstest.User, name, more))
}

func opened(t *testing.T, l v1alpha1.ArtifactLocation) (string, error) {
	t.Helper()
	body, err := (&Stores{}).Open(t.Context(), "ci", l)
	if err != nil {
		return "", err
	}
	defer body.Close()
	text, err := io.ReadAll(body)
	return string(text), err
}

func TestHDFSKeepsArtifacts(t *testing.T) {
	h := hdfstest.Start(t)
	s := &Stores{}
	long := strings.Repeat("content ", 40_000) // several blocks
	for name, text := range map[string]string{"/run/a b+ü.txt": long, "/run/empty": "", "relative/x": "two"} {
		if err := s.Put(t.Context(), "ci", inHDFS(t, h, name, ""), strings.NewReader(text)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got, err := opened(t, inHDFS(t, h, name, "")); got != text || err != nil {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	for _, name := range []string{"/run/dir/sub/x", "/run/dir/y", "/run/dir2", "/run/.argosy-0011-part", "/other"} {
		h.Put(name, "text")
	}
	for prefix, want := range map[string][]string{
		"/run/":     {"/run/a b+ü.txt", "/run/dir/sub/x", "/run/dir/y", "/run/dir2", "/run/empty"},
		"run/dir":   {"/run/dir/sub/x", "/run/dir/y", "/run/dir2"},
		"/run/dir/": {"/run/dir/sub/x", "/run/dir/y"},
		"/none/x":   nil,
		"/other/":   nil,
	} {
		if names, err := s.Names(t.Context(), "ci", inHDFS(t, h, prefix, ""), 5); err != nil ||
			!slices.Equal(names, want) {
			t.Errorf("%s: %q, %v", prefix, names, err)
		}
	}
	if _, err := s.Names(t.Context(), "ci", inHDFS(t, h, "/run/", ""), 4); fault.Of(err) != fault.Poison {
		t.Errorf("more names than the limit: %v", err)
	}
	if _, err := opened(t, inHDFS(t, h, "/none", "")); !errors.Is(err, ErrAbsent) {
		t.Errorf("absent: %v", err)
	}
	for _, name := range []string{"/run/dir", "/run/dir", "/none/deep/x"} { // twice is no error
		if err := s.Remove(t.Context(), "ci", inHDFS(t, h, name, "")); err != nil {
			t.Errorf("remove %s: %v", name, err)
		}
	}
	if left := h.Files(); len(left) != 6 || left["/run/dir2"] == "" {
		t.Errorf("%d are left", len(left))
	}
	for _, all := range []string{"/", "//", "/../"} {
		if err := s.Remove(t.Context(), "ci", inHDFS(t, h, all, "")); fault.Of(err) != fault.Poison ||
			len(h.Files()) != 6 {
			t.Errorf("remove %s: %v", all, err)
		}
	}
	h.Cut("getFileInfo", 1)
	if _, err := opened(t, inHDFS(t, h, "/other", "")); err == nil || fault.Of(err) != fault.Retry {
		t.Errorf("away: %v", err)
	}
}

func TestWhatIsInHDFSIsReplacedWhenForced(t *testing.T) {
	h := hdfstest.Start(t)
	s := &Stores{}
	h.Put("/a", "old")
	h.Put("/folder/x", "text")
	put := func(name, more, text string) error {
		return s.Put(t.Context(), "ci", inHDFS(t, h, name, more), strings.NewReader(text))
	}
	if err := put("/a", "", "new"); fault.Of(err) != fault.Poison || !strings.Contains(err.Error(), "/a") ||
		!strings.Contains(err.Error(), "force") || h.Files()["/a"] != "old" {
		t.Errorf("without force: %v", err)
	}
	if err := put("/a", "", "old"); err != nil { // the pod got no answer, and sends it again
		t.Errorf("the same: %v", err)
	}
	if err := put("/a", "force: true", "new"); err != nil || h.Files()["/a"] != "new" {
		t.Errorf("with force: %v, %q", err, h.Files())
	}
	for _, more := range []string{"", "force: true"} {
		if err := put("/folder", more, "new"); fault.Of(err) != fault.Poison {
			t.Errorf("a folder: %v", err)
		}
	}
	// Another stores the same artifact between the first look and the end: whoever is second finds out by sending it
	// again.
	meanwhile := io.MultiReader(strings.NewReader("mine"), reader(func([]byte) (int, error) {
		h.Put("/b", "theirs")
		return 0, io.EOF
	}))
	if err := s.Put(t.Context(), "ci", inHDFS(t, h, "/b", ""), meanwhile); fault.Of(err) != fault.Retry ||
		h.Files()["/b"] != "theirs" {
		t.Errorf("meanwhile: %v, %q", err, h.Files())
	}
	if paths := h.Paths(); !slices.Equal(paths, []string{"/", "/a", "/b", "/folder", "/folder/x"}) {
		t.Errorf("%q are left", paths)
	}
}

// What is stored in part is never taken for the artifact, and is taken away.
func TestAPartIsNeverAnArtifactInHDFS(t *testing.T) {
	s := &Stores{}
	for name, c := range map[string]struct {
		spoil  func(h *hdfstest.Cluster)
		body   io.Reader
		leaves bool // what is in part, since the runner is gone
	}{
		"the upload breaks off": {func(*hdfstest.Cluster) {},
			io.MultiReader(strings.NewReader("half"), iotest.ErrReader(io.ErrUnexpectedEOF)), false},
		"a data node breaks": {func(h *hdfstest.Cluster) { h.Fail(0, hdfstest.Breaks) },
			strings.NewReader(strings.Repeat("x", 300_000)), false},
		"a data node calls it broken": {func(h *hdfstest.Cluster) { h.Fail(0, hdfstest.Garbles) },
			strings.NewReader("text"), false},
		"it cannot be completed": {func(h *hdfstest.Cluster) { h.Refuse("complete", "java.io.IOException") },
			strings.NewReader("text"), false},
		"it cannot be renamed": {func(h *hdfstest.Cluster) { h.Refuse("rename2", "java.io.IOException") },
			strings.NewReader("text"), false},
		"nor can it be taken away": {func(h *hdfstest.Cluster) {
			h.Refuse("rename2", "java.io.IOException")
			h.Refuse("delete", "java.io.IOException")
		}, strings.NewReader("text"), true},
		"the name node falls silent": {func(h *hdfstest.Cluster) { h.Cut("complete", 1) }, strings.NewReader("text"),
			false},
		"it goes before it is renamed": {func(h *hdfstest.Cluster) {
			h.Refuse("rename2",
				"java.io.FileNotFoundException")
		}, strings.NewReader("text"), false},
	} {
		for _, old := range []bool{false, true} {
			h := hdfstest.Start(t)
			if old {
				h.Put("/run/a", "old")
			}
			c.spoil(h)
			if seeker, ok := c.body.(io.Seeker); ok {
				_, _ = seeker.Seek(0, io.SeekStart)
			}
			l := inHDFS(t, h, "/run/a", "force: true")
			if err := s.Put(t.Context(), "ci", l, c.body); err == nil || fault.Of(err) != fault.Retry ||
				errors.Is(err, ErrAbsent) {
				t.Errorf("%s: %v", name, err)
			}
			text, err := opened(t, l)
			if old && (text != "old" || err != nil) || !old && !errors.Is(err, ErrAbsent) {
				t.Errorf("%s: there is %q, %v", name, text, err)
			}
			part := func(name string) bool { return strings.HasPrefix(name, "/run/"+asidePrefix) }
			if slices.ContainsFunc(h.Paths(), part) != c.leaves {
				t.Errorf("%s: %q are left", name, h.Paths())
			}
			h.Refuse("delete", "")
			if err := s.Remove(t.Context(), "ci", l); err != nil || slices.ContainsFunc(h.Paths(), part) {
				t.Errorf("%s: after it is removed %q are left, %v", name, h.Paths(), err)
			}
		}
	}
}

// reader is a function that reads.
type reader func([]byte) (int, error)

func (r reader) Read(p []byte) (int, error) { return r(p) }

func TestAPartIsTakenAwayWhenThePodIsGone(t *testing.T) {
	h := hdfstest.Start(t)
	ctx, cancel := context.WithCancel(t.Context())
	body := io.MultiReader(strings.NewReader(strings.Repeat("x", 150_000)), reader(func([]byte) (int, error) {
		cancel()
		return 0, io.ErrUnexpectedEOF
	}))
	if err := (&Stores{}).Put(ctx, "ci", inHDFS(t, h, "/run/a", ""), body); err == nil || fault.Of(err) != fault.Retry {
		t.Error(err)
	}
	if paths := h.Paths(); !slices.Equal(paths, []string{"/", "/run"}) {
		t.Errorf("%q are left", paths)
	}
}

func TestAFolderOfHDFSComesAsAnArchive(t *testing.T) {
	h := hdfstest.Start(t)
	h.Put("/run/dir/x y.txt", strings.Repeat("one ", 50_000))
	h.Put("/run/dir/sub/empty", "")
	h.Put("/run/dir/"+asidePrefix+"00-part", "part")
	body, err := (&Stores{}).Open(t.Context(), "ci", inHDFS(t, h, "/run/dir", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	zipped, err := gzip.NewReader(body)
	if err != nil || zipped.Comment != protocol.FolderMark {
		t.Fatalf("%v, mark %q", err, zipped.Comment)
	}
	got := map[string]int{}
	for archive := tar.NewReader(zipped); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		got[header.Name] = len(text)
	}
	if len(got) != 4 || got["dir/x y.txt"] != 200_000 {
		t.Errorf("%v", got)
	}
	for _, name := range []string{"dir/", "dir/sub/", "dir/sub/empty"} {
		if size, there := got[name]; !there || size != 0 {
			t.Errorf("%s: %v", name, got)
		}
	}
	for i := range protocol.FolderLimit {
		h.Put(fmt.Sprintf("/run/dir/sub/%d", i), "")
	}
	if text, err := opened(t, inHDFS(t, h, "/run/dir", "")); fault.Of(err) != fault.Poison {
		t.Errorf("too many files: %d bytes, %v", len(text), err)
	}
}

func TestWhoClosesAnArtifactOfHDFSEndsIt(t *testing.T) {
	h := hdfstest.Start(t)
	h.Put("/a", strings.Repeat("x", 1<<20))
	body, err := (&Stores{}).Open(t.Context(), "ci", inHDFS(t, h, "/a", ""))
	if err != nil {
		t.Fatal(err)
	}
	if err := body.Close(); err != nil {
		t.Error(err)
	}
	if n, err := body.Read(make([]byte, 1)); err == nil {
		t.Errorf("%d bytes after the end", n)
	}
	h.Fail(0, hdfstest.Breaks)
	h.Fail(1, hdfstest.Breaks)
	if text, err := opened(t, inHDFS(t, h, "/a", "")); err == nil || len(text) == 1<<20 {
		t.Errorf("%d bytes of what breaks off, %v", len(text), err)
	}
}

func TestWhatIsWrongWithAPlaceInHDFSIsSaid(t *testing.T) {
	const good = "addresses: ['nn:8020'], path: /a, hdfsUser: u"
	for text, says := range map[string]string{
		"path: /a, hdfsUser: u":                            "addresses is empty",
		"addresses: [nn], path: /a, hdfsUser: u":           `"nn" is not host:port`,
		"addresses: [':8020'], path: /a, hdfsUser: u":      `":8020"`,
		"addresses: ['nn:8020'], path: /a":                 "hdfsUser is missing",
		"addresses: ['nn:8020'], path: '', hdfsUser: u":    `path ""`,
		good + ", krbKeytabSecret: {name: s, key: k}":      "krbKeytabSecret",
		good + ", krbCCacheSecret: {name: s, key: k}":      "krbCCacheSecret",
		good + ", krbConfigConfigMap: {name: s, key: k}":   "krbConfigConfigMap",
		good + ", krbRealm: R":                             "krbRealm",
		good + ", krbServicePrincipalName: nn/_HOST":       "krbServicePrincipalName",
		good + ", krbUsername: u":                          "krbUsername",
		good + ", dataTransferProtection: privacy":         `dataTransferProtection "privacy"`,
		"addresses: ['nn:8020'], path: /a, krbUsername: u": "krbUsername",
	} {
		l := placed(t, "hdfs: {"+text+"}")
		if _, err := (&Stores{}).Open(t.Context(), "ci", l); fault.Of(err) != fault.Poison ||
			!strings.Contains(err.Error(), says) {
			t.Errorf("%s: open: class %s, %v", text, fault.Of(err), err)
		}
		if err := (&Stores{}).Put(t.Context(), "ci", l, strings.NewReader("x")); fault.Of(err) != fault.Poison ||
			!strings.Contains(err.Error(), says) {
			t.Errorf("%s: put: class %s, %v", text, fault.Of(err), err)
		}
	}
	h := hdfstest.Start(t)
	if err := (&Stores{}).Put(t.Context(), "ci", placed(t, "git: {repo: 'https://x/y'}"),
		strings.NewReader("x")); fault.Of(err) != fault.Poison {
		t.Errorf("git: %v", err)
	}
	h.Refuse("create", "org.apache.hadoop.security.AccessControlException")
	if err := (&Stores{}).Put(t.Context(), "ci", inHDFS(t, h, "/a", ""),
		strings.NewReader("x")); fault.Of(err) != fault.Poison || !strings.Contains(err.Error(), "/a") ||
		!strings.Contains(err.Error(), "AccessControlException") {
		t.Errorf("not allowed: %v", err)
	}
}
