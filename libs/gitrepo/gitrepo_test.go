package gitrepo

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/gitrepo/gittest"
)

func fetcher(t *testing.T, change func(*Config)) *Fetcher {
	t.Helper()
	c := Config{Dir: filepath.Join(t.TempDir(), "scratch"), Limits: DefaultLimits()}
	if change != nil {
		change(&c)
	}
	f, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// files are the regular files of an archive by their name below its root, and links with -> before their target.
func files(t *testing.T, f *Fetcher, s Source) (map[string]string, error) {
	t.Helper()
	body, err := f.Open(t.Context(), s)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	zipped, err := gzip.NewReader(body)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for archive := tar.NewReader(zipped); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			t.Fatal(err)
		}
		root, name, _ := strings.Cut(h.Name, "/")
		if root != "repository" {
			t.Errorf("%s is beside the root", h.Name)
		}
		text, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		switch h.Typeflag {
		case tar.TypeReg:
			out[name] = string(text)
		case tar.TypeSymlink:
			out[name] = "->" + h.Linkname
		}
	}
}

// example is a repository with a branch, a tag, a hidden commit and a submodule.
func example(t *testing.T) (s *gittest.Server, first, hidden string) {
	t.Helper()
	s = gittest.Start(t)
	s.Commit("lib", map[string]string{"lib.txt": "of the library"})
	first = s.Commit("app", map[string]string{"who": "first", "bin/run": "x"})
	s.Git("app", "tag", "v1")
	s.Git("app", "checkout", "-q", "-b", "dev")
	s.Commit("app", map[string]string{"who": "dev"})
	s.Git("app", "checkout", "-q", "--detach", "main")
	hidden = s.Commit("app", map[string]string{"who": "hidden"})
	s.Git("app", "update-ref", "refs/pull/1/head", hidden)
	s.Git("app", "checkout", "-q", "main")
	s.Git("app", "submodule", "add", "-q", s.Path("lib"), "deps/lib")
	s.Git("app", "config", "-f", ".gitmodules", "submodule.deps/lib.url", "../../lib/.git")
	for name, target := range map[string]string{"stays": "bin/run", "leaves": "../../x", "absolute": "/etc/passwd"} {
		if err := os.Symlink(target, filepath.Join(s.Path("app"), name)); err != nil {
			t.Fatal(err)
		}
	}
	s.Commit("app", map[string]string{"who": "main"})
	return s, first, hidden
}

func TestACheckoutIsWhatTheManifestAsksFor(t *testing.T) {
	s, first, hidden := example(t)
	f := fetcher(t, nil)
	for name, c := range map[string]struct {
		source Source
		who    string
		head   string // how .git/HEAD begins
	}{
		"nothing more":          {Source{}, "main", "ref: refs/heads/main"},
		"a branch":              {Source{Revision: "dev"}, "dev", "ref: refs/heads/dev"},
		"a tag":                 {Source{Revision: "v1"}, "first", first},
		"a commit":              {Source{Revision: first}, "first", first},
		"the start of a commit": {Source{Revision: first[:10]}, "first", first},
		"one before":            {Source{Revision: "dev~1"}, "first", first},
		"one branch alone":      {Source{Branch: "dev", Single: true}, "dev", "ref: refs/heads/dev"},
		"of a branch":           {Source{Branch: "dev"}, "dev", "ref: refs/heads/dev"},
		"a shallow one":         {Source{Depth: 1, Revision: "dev"}, "dev", "ref: refs/heads/dev"},
		"a ref of its own": {
			Source{Fetch: []string{"refs/pull/*:refs/remotes/origin/pull/*"}, Revision: hidden}, "hidden", hidden,
		},
		"without submodules": {Source{NoSubmodules: true}, "main", "ref: refs/heads/main"},
	} {
		c.source.Repo = s.URL + "/app/.git"
		got, err := files(t, f, c.source)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got["who"] != c.who || !strings.HasPrefix(got[".git/HEAD"], c.head) {
			t.Errorf("%s: it holds %q at %q", name, got["who"], got[".git/HEAD"])
		}
		if _, shallow := got[".git/shallow"]; shallow != (c.source.Depth > 0) {
			t.Errorf("%s: shallow is %v", name, shallow)
		}
		if c.who == "main" && (got["deps/lib/lib.txt"] != "") == c.source.NoSubmodules {
			t.Errorf("%s: submodule %q", name, got["deps/lib/lib.txt"])
		}
		if _, out := got["leaves"]; out || c.who == "main" && got["stays"] != "->bin/run" || got["absolute"] != "" {
			t.Errorf("%s: links %q %q %q", name, got["stays"], got["leaves"], got["absolute"])
		}
	}
}

func TestRepositoriesLetInWhoTheyKnow(t *testing.T) {
	s := gittest.Start(t)
	s.Commit("private/app", map[string]string{"who": "me"})
	shell := s.Shell()
	web, secure := s.URL+"/private/app/.git", "ssh://git@"+shell.Address+"/private/app/.git"
	userinfo := strings.Replace(web, "http://", "http://"+gittest.User+":nope@", 1)
	known := fetcher(t, func(c *Config) { c.KnownHosts = shell.KnownHosts })
	unknown := fetcher(t, nil)
	other := fetcher(t, func(c *Config) { c.KnownHosts = gittest.Start(t).Shell().KnownHosts })
	for name, c := range map[string]struct {
		f      *Fetcher
		source Source
		says   string // "" is let in
	}{
		"user and password":          {known, Source{Repo: web, User: gittest.User, Password: gittest.Password}, ""},
		"a key":                      {known, Source{Repo: secure, Key: shell.Key}, ""},
		"a key at a host unknown":    {unknown, Source{Repo: secure, Key: shell.Key, SkipHostKey: true}, ""},
		"nobody":                     {known, Source{Repo: web}, "authentication required"},
		"a wrong password":           {known, Source{Repo: web, User: gittest.User, Password: "no"}, "auth"},
		"a wrong one in the address": {known, Source{Repo: userinfo}, "auth"},
		"a wrong key":                {known, Source{Repo: secure, Key: s.AnotherKey()}, "unable to authenticate"},
		"no key":                     {known, Source{Repo: secure}, "sshPrivateKeySecret"},
		"a key that is none":         {known, Source{Repo: secure, Key: "junk-key"}, "no private key"},
		"a key over HTTP":            {known, Source{Repo: web, Key: shell.Key}, "sshPrivateKeySecret"},
		"hosts that nobody names":    {unknown, Source{Repo: secure, Key: shell.Key}, "--git-known-hosts"},
		"a host with another key":    {other, Source{Repo: secure, Key: shell.Key}, "knownhosts"},
	} {
		got, err := files(t, c.f, c.source)
		if c.says == "" {
			if err != nil || got["who"] != "me" {
				t.Errorf("%s: %q, %v", name, got["who"], err)
			}
			continue
		}
		if fault.Of(err) != fault.Poison || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: class %s, %v, want %q", name, fault.Of(err), err, c.says)
		}
		if err != nil &&
			(strings.Contains(err.Error(), "nope") || strings.Contains(err.Error(), "junk") ||
				strings.Contains(err.Error(), gittest.Password)) {
			t.Errorf("%s: the error tells a secret: %v", name, err)
		}
	}
}

func TestWhatCannotBeFetchedIsSaid(t *testing.T) {
	s, _, hidden := example(t)
	s.Git("empty", "status")
	s.Commit(
		"evil",
		map[string]string{
			"who":         "evil",
			".gitmodules": "[submodule \"x\"]\n\tpath = x\n\turl = file://" + s.Path("lib") + "\n",
		},
	)
	s.Git("evil", "update-index", "--add", "--cacheinfo", "160000,"+hidden+",x")
	s.Git("evil", "commit", "-q", "-m", "link")
	s.Commit("large", map[string]string{"a": strings.Repeat("x", 1<<20)})
	small := fetcher(t, func(c *Config) { c.Limits.Bytes = 300 << 10 })
	few := fetcher(t, func(c *Config) { c.Limits.Files = 20 })
	some := fetcher(t, nil)
	app := s.URL + "/app/.git"
	for name, c := range map[string]struct {
		f      *Fetcher
		source Source
		says   string
	}{
		"an unknown revision":        {some, Source{Repo: app, Revision: "nothing"}, `no revision "nothing"`},
		"a commit that is hidden":    {some, Source{Repo: app, Revision: hidden}, "no revision"},
		"one that depth hides":       {some, Source{Repo: app, Revision: "gone", Depth: 1}, "depth"},
		"an unknown branch":          {some, Source{Repo: app, Branch: "nothing", Single: true}, "refs/heads/nothing"},
		"no repository":              {some, Source{Repo: s.URL + "/none/.git"}, "repository not found"},
		"an empty repository":        {some, Source{Repo: s.URL + "/empty/.git"}, "empty"},
		"a folder of this machine":   {some, Source{Repo: s.Path("app")}, "no address"},
		"a file URL":                 {some, Source{Repo: "file://" + s.Path("app")}, "no address"},
		"the unguarded protocol":     {some, Source{Repo: "git://127.0.0.1/app"}, "no address"},
		"a program":                  {some, Source{Repo: "ext::sh -c touch"}, "git"},
		"nothing at all":             {some, Source{}, "git"},
		"one branch without a name":  {some, Source{Repo: app, Single: true}, "branch"},
		"no refspec":                 {some, Source{Repo: app, Fetch: []string{"a:b:c"}}, "refspec"},
		"a ref that is not there":    {some, Source{Repo: app, Fetch: []string{"refs/none/1:refs/x/1"}}, "git"},
		"submodules of this machine": {some, Source{Repo: s.URL + "/evil/.git"}, "no address"},
		"too large":                  {small, Source{Repo: s.URL + "/large/.git"}, "larger than"},
		"too many files":             {few, Source{Repo: app}, "more files"},
	} {
		got, err := files(t, c.f, c.source)
		if fault.Of(err) != fault.Poison || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: class %s, %v, want %q; %d files", name, fault.Of(err), err, c.says, len(got))
		}
	}
	left, err := os.ReadDir(small.config.Dir)
	if err != nil || len(left) != 0 {
		t.Errorf("what was refused stays: %v, %v", left, err)
	}
}

func TestAServerThatFallsSilentIsGivenUp(t *testing.T) {
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	f := fetcher(t, func(c *Config) { c.Limits.Time = 100 * time.Millisecond })
	_, err = f.Open(t.Context(), Source{Repo: "http://" + listener.Addr().String() + "/app"})
	if fault.Of(err) != fault.Poison || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("the pod is gone"))
	silent, patient := Source{Repo: "http://" + listener.Addr().String() + "/app"}, fetcher(t, nil)
	if _, err := patient.Open(ctx, silent); err == nil || err.Error() != "the pod is gone" {
		t.Errorf("nobody waits, and it goes on: %v", err)
	}
	_ = listener.Close() // ends the fetch that went on without us; the folder is not removed before
	if _, err := patient.Open(t.Context(), silent); err == nil {
		t.Error("a closed server was fetched from")
	}
}

func TestAddressesThatAreNotReachedAreNotFetched(t *testing.T) {
	s, _, _ := example(t)
	f := fetcher(t, func(c *Config) {
		c.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("not there") }
	})
	if _, err := f.Open(t.Context(), Source{Repo: s.URL + "/app/.git"}); err == nil ||
		!strings.Contains(err.Error(), "not there") {
		t.Errorf("%v", err)
	}
}

func TestPodsShareOneFetch(t *testing.T) {
	s := gittest.Start(t)
	s.Commit("app", map[string]string{"who": "old"})
	f, now := fetcher(t, nil), time.Now()
	f.now = func() time.Time { return now }
	source := Source{Repo: s.URL + "/app/.git"}
	var pods sync.WaitGroup
	for range 8 {
		pods.Go(func() {
			body, err := f.Open(t.Context(), source)
			if err != nil {
				t.Error(err)
				return
			}
			defer body.Close()
			if _, err := io.Copy(io.Discard, body); err != nil {
				t.Error(err)
			}
		})
	}
	pods.Wait()
	if n := s.Fetches.Load(); n != 1 {
		t.Errorf("%d fetches", n)
	}
	s.Commit("app", map[string]string{"who": "new"})
	for _, c := range []struct {
		after time.Duration
		want  string
	}{{time.Second, "old"}, {f.config.Limits.Age, "new"}} {
		now = now.Add(c.after)
		if got, err := files(t, f, source); err != nil || got["who"] != c.want {
			t.Errorf("after %s: %q, %v", c.after, got["who"], err)
		}
	}
}

func TestTheFolderIsBoundedAndBeginsEmpty(t *testing.T) {
	s := gittest.Start(t)
	s.Commit("app", map[string]string{"who": "x"})
	f := fetcher(t, func(c *Config) { c.Limits.Kept = 1 })
	for _, revision := range []string{"", "main"} {
		if _, err := files(t, f, Source{Repo: s.URL + "/app/.git", Revision: revision}); err != nil {
			t.Fatal(err)
		}
	}
	left, err := os.ReadDir(f.config.Dir)
	if err != nil || len(left) != 1 {
		t.Errorf("%d archives are kept, %v", len(left), err)
	}
	if err := os.WriteFile(filepath.Join(f.config.Dir, "other"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(f.config); err != nil {
		t.Fatal(err)
	}
	if left, err = os.ReadDir(f.config.Dir); err != nil || len(left) != 1 || left[0].Name() != "other" {
		t.Errorf("%v, %v", left, err)
	}
	if _, err := New(Config{Dir: filepath.Join(f.config.Dir, "other", "x")}); err == nil {
		t.Error("a folder that cannot be made")
	}
}

func FuzzInside(f *testing.F) {
	for _, seed := range []string{"a", "../a", "../../a", "/a", "a/../..", ""} {
		f.Add("repository/sub/link", seed)
	}
	f.Fuzz(func(t *testing.T, name, target string) {
		if !inside(name, target) {
			return
		}
		// What is packed must be taken by whoever unpacks it.
		if filepath.IsLocal(name) && !filepath.IsLocal(filepath.Join(filepath.Dir(name), target)) {
			t.Errorf("%q -> %q leads out", name, target)
		}
	})
}
