package gitrepo

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/gitrepo/gittest"
)

func TestOneFileOfARepository(t *testing.T) {
	s, first, hidden := example(t)
	f := fetcher(t, nil)
	for ref, want := range map[string]string{
		"": "main", "HEAD": "main", "refs/heads/dev": "dev", "refs/tags/v1": "first", "refs/pull/1/head": "hidden",
		hidden: "hidden", first: "first",
	} {
		got, err := f.File(t.Context(), Source{Repo: s.URL + "/app/.git"}, ref, "/who", 100)
		if string(got) != want || err != nil {
			t.Errorf("%q: %q, %v", ref, got, err)
		}
	}
	left, err := os.ReadDir(f.config.Dir)
	if len(left) != 0 || err != nil {
		t.Errorf("left in the folder: %v, %v", left, err)
	}
}

func TestAFileThatThereIsNotOrIsTooLarge(t *testing.T) {
	s := gittest.Start(t)
	s.Commit("app", map[string]string{"large": strings.Repeat("x", 101), "small": "x"})
	s.Commit("private/app", map[string]string{"small": "x"})
	at := Source{Repo: s.URL + "/app/.git"}
	f := fetcher(t, nil)
	for name, c := range map[string]struct {
		source    Source
		ref, file string
	}{
		"larger":              {at, "", "large"},
		"no such ref":         {at, "refs/heads/none", "small"},
		"no ref at all":       {at, "no ref : x", "small"},
		"a folder of ours":    {Source{Repo: s.Path("app")}, "", "small"},
		"without credentials": {Source{Repo: s.URL + "/private/app/.git"}, "", "small"},
	} {
		if got, err := f.File(t.Context(), c.source, c.ref, c.file, 100); fault.Of(err) != fault.Poison {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for _, name := range []string{"none", "../small", ".git/config"} {
		if got, err := f.File(t.Context(), at, "", name, 100); err == nil {
			t.Errorf("%s: %q", name, got)
		}
	}
	known := Source{Repo: s.URL + "/private/app/.git", User: gittest.User, Password: gittest.Password}
	if got, err := f.File(t.Context(), known, "", "small", 100); string(got) != "x" || err != nil {
		t.Errorf("with credentials: %q, %v", got, err)
	}
}

func TestARepositoryOverTheLimitIsRefused(t *testing.T) {
	s := gittest.Start(t)
	noise := strings.Builder{}
	for i := range 1 << 16 {
		noise.WriteByte(byte(i*i>>3) ^ byte(i*7919>>5))
	}
	s.Commit("app", map[string]string{"noise": noise.String(), "small": "x"})
	f := fetcher(t, func(c *Config) { c.Limits.Bytes = 1 << 10 })
	if got, err := f.File(
		t.Context(), Source{Repo: s.URL + "/app/.git"}, "", "small", 100,
	); fault.Of(err) != fault.Poison {
		t.Errorf("%q, %v", got, err)
	}
}

// A namespace whose servers do not answer leaves slots to others.
func TestANamespaceHasOnlyItsShareOfTheSlots(t *testing.T) {
	f := fetcher(t, func(c *Config) { c.AtOnce = 16 })
	for range 4 {
		if _, err := f.enter(t.Context(), "slow"); err != nil {
			t.Fatal(err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.enter(ended, "slow"); err == nil {
		t.Error("a fifth was let in")
	}
	leave, err := f.enter(t.Context(), "other")
	if err != nil {
		t.Fatal(err)
	}
	leave()
	if len(f.slots) != 4 {
		t.Errorf("%d slots are taken", len(f.slots))
	}
}
