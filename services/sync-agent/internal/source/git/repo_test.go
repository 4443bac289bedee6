package git

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/services/sync-agent/internal/render"
	"github.com/google/go-cmp/cmp"
)

// origin is a bare repository with a work tree beside it.
type origin struct {
	t          *testing.T
	bare, work string
}

func newOrigin(t *testing.T) *origin {
	t.Helper()
	o := &origin{t: t, bare: filepath.Join(t.TempDir(), "o.git"), work: t.TempDir()}
	o.git("", "init", "--bare", "--quiet", "--initial-branch=main", o.bare)
	o.git(o.work, "init", "--quiet", "--initial-branch=main")
	o.git(o.work, "remote", "add", "origin", o.bare)
	return o
}

func (o *origin) url() string { return "file://" + o.bare }

func (o *origin) git(dir string, args ...string) string {
	o.t.Helper()
	cmd := exec.Command("git", append([]string{"-c", "user.name=T", "-c", "user.email=t@example.org"}, args...)...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		o.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit writes files and pushes; it returns the commit.
func (o *origin) commit(message string, files map[string]string) string {
	o.t.Helper()
	for name, text := range files {
		full := filepath.Join(o.work, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			o.t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
			o.t.Fatal(err)
		}
	}
	o.git(o.work, "add", "-A")
	o.git(o.work, "commit", "--quiet", "--allow-empty", "-m", message)
	o.git(o.work, "push", "--quiet", "origin", "HEAD")
	return o.git(o.work, "rev-parse", "HEAD")
}

func mirror(t *testing.T, o *origin) *Mirror {
	t.Helper()
	s, err := Open(t.TempDir(), true)
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.Mirror(t.Context(), o.url(), Credentials{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestResolve(t *testing.T) {
	o := newOrigin(t)
	first := o.commit("first", map[string]string{"a": "1"})
	o.git(o.work, "tag", "-a", "v1", "-m", "v1")
	o.git(o.work, "push", "--quiet", "origin", "v1")
	second := o.commit("second", map[string]string{"a": "2"})
	m := mirror(t, o)
	for revision, want := range map[string]string{
		"": second, "HEAD": second, "main": second, "refs/heads/main": second, "v1": first, first: first,
	} {
		got, err := m.Resolve(t.Context(), revision, Want{Since: time.Now()})
		if err != nil || got != want {
			t.Errorf("%q: %s, %v; want %s", revision, got, err, want)
		}
	}
	third := o.commit("third", nil)
	if got, err := m.Resolve(t.Context(), "main", Want{}); err != nil || got != second {
		t.Errorf("an old answer was good enough, got %s, %v", got, err)
	}
	if got, err := m.Resolve(t.Context(), "main", Want{SHA: third, Since: time.Now().Add(time.Hour)}); err != nil ||
		got != third {
		t.Errorf("after a push: %s, %v", got, err)
	}
	if _, err := m.Resolve(t.Context(), "nowhere", Want{}); !errors.Is(err, ErrNoRevision) {
		t.Errorf("unknown revision: %v", err)
	}
	for _, bad := range []string{"--upload-pack=x", "a..b", "a:b", "HEAD~1"} {
		if _, err := m.Resolve(t.Context(), bad, Want{}); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestTransports(t *testing.T) {
	s, err := Open(t.TempDir(), false)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{
		"file:///etc", "ext::sh -c id", "ssh:///x", "ssh://-oProxyCommand=id/x", "a@-b:c", "-x@h:p", "a@h:-p", "/etc",
		"--x", "http:///x",
	} {
		if _, err := s.Mirror(t.Context(), bad, Credentials{}); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestFiles(t *testing.T) {
	o := newOrigin(t)
	if err := os.Symlink("real.yaml", filepath.Join(o.work, "link.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("dir", filepath.Join(o.work, "alias")); err != nil {
		t.Fatal(err)
	}
	sha := o.commit(
		"message\n\nArgosy-Correlation-Id: c1", map[string]string{"real.yaml": "a: 1", "dir/x": "x", "skip": "s"},
	)
	m := mirror(t, o)
	if _, err := m.Resolve(t.Context(), "main", Want{}); err != nil {
		t.Fatal(err)
	}
	c, err := m.Describe(t.Context(), sha, "")
	if err != nil || !strings.Contains(c.Message, "Argosy-Correlation-Id: c1") || c.Root != c.Tree {
		t.Fatalf("%+v, %v", c, err)
	}
	list, err := m.List(t.Context(), c.Tree)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for name, e := range list {
		if e.Kind == render.Folder {
			got[name] = "folder"
			continue
		}
		contents, err := m.Blobs(t.Context(), []render.Entry{e})
		if err != nil {
			t.Fatal(err)
		}
		got[name] = fmt.Sprint(e.Kind == render.Link) + " " + string(contents[e.ID])
	}
	want := map[string]string{
		"real.yaml": "false a: 1", "link.yaml": "true real.yaml", "dir": "folder", "dir/x": "false x",
		"alias": "true dir",
		"skip":  "false s",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := m.Describe(t.Context(), sha, "missing"); !errors.Is(err, ErrNoPath) {
		t.Errorf("missing path: %v", err)
	}
	if c, err := m.Describe(t.Context(), sha, "../../dir"); err != nil || c.Tree == c.Root {
		t.Errorf("a path cannot leave the tree: %+v, %v", c, err)
	}
}

func TestApplyComparesAndSwaps(t *testing.T) {
	o := newOrigin(t)
	o.commit("first", map[string]string{"f": "0"})
	var group sync.WaitGroup
	for i := range 4 {
		m := mirror(t, o)
		group.Go(func() {
			_, _, err := m.Apply(
				context.Background(),
				Change{
					Branch: "refs/heads/main",
					Author: "A <a@example.org>",
					Edit: func(head Head) (Edit, error) {
						old, err := head.Read("f")
						return Edit{
							Files:   map[string][]byte{"f": append(old, '+'), fmt.Sprint("new/", i): []byte("x")},
							Message: fmt.Sprintf("more %d\n", i),
						}, err
					},
				},
			)
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	o.git(o.work, "pull", "--quiet", "origin", "main")
	if got := o.git(o.work, "show", "HEAD:f"); got != "0++++" {
		t.Errorf("content %q", got)
	}
	if got := o.git(o.work, "log", "-1", "--format=%an <%ae> %s"); !strings.HasPrefix(got, "A <a@example.org> more") {
		t.Error(got)
	}
}

// A branch that is not there begins with its base; where it is there, the change goes on from it.
func TestApplyMakesItsBranch(t *testing.T) {
	o := newOrigin(t)
	o.commit("first", map[string]string{"f": "0"})
	m := mirror(t, o)
	change := Change{
		Branch: "refs/heads/update", Base: "refs/heads/main", Author: "A <a@example.org>",
		Edit: func(head Head) (Edit, error) {
			old, err := head.Read("f")
			if _, absent := head.Read("none"); !errors.Is(absent, ErrNoFile) {
				t.Errorf("a file that there is not: %v", absent)
			}
			return Edit{Files: map[string][]byte{"f": append(old, '+')}, Message: "more"}, err
		},
	}
	for _, want := range []string{"0+", "0++"} {
		if _, made, err := m.Apply(t.Context(), change); !made || err != nil {
			t.Fatalf("%v, %v", made, err)
		}
		o.git(o.work, "fetch", "--quiet", "origin")
		if got := o.git(o.work, "show", "origin/update:f"); got != want {
			t.Errorf("content %q, want %q", got, want)
		}
	}
	if got := o.git(o.work, "show", "origin/main:f"); got != "0" {
		t.Errorf("the base is %q", got)
	}
	same := change
	same.Edit = func(head Head) (Edit, error) {
		old, err := head.Read("f")
		return Edit{Files: map[string][]byte{"f": old}, Message: "nothing"}, err
	}
	if _, made, err := m.Apply(t.Context(), same); made || err != nil {
		t.Errorf("nothing changed: %v, %v", made, err)
	}
}
