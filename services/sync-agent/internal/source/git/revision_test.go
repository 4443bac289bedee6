package git

import (
	"errors"
	"testing"
	"time"
)

func TestRevisions(t *testing.T) {
	o := newOrigin(t)
	commits := map[string]string{}
	for _, tag := range []string{"v1.0.0", "v1.2.3", "v1.10.0", "v2.0.0-rc.1", "app/1.5.0", "app/3.0.0", "x"} {
		commits[tag] = o.commit(tag, nil)
		o.git(o.work, "tag", tag)
	}
	o.git(o.work, "push", "--quiet", "--tags", "origin")
	// A branch whose name could be the beginning of a commit id, and one that could be a constraint.
	commits["2025"] = o.commit("branch", map[string]string{"b": "1"})
	for _, name := range []string{"2025", "deadbeef", "1.x"} {
		o.git(o.work, "branch", name)
		o.git(o.work, "push", "--quiet", "origin", name)
	}
	head := o.commit("head", nil)
	m := mirror(t, o)
	for revision, want := range map[string]string{
		"1.0.*": commits["v1.0.0"], "^1.0.0": commits["v1.10.0"], ">=1.0, <1.5": commits["v1.2.3"],
		"*":         commits["v1.10.0"],
		">=2.0.0-0": commits["v2.0.0-rc.1"], "v1.2.3": commits["v1.2.3"], "x": commits["x"],
		"2025": commits["2025"], "deadbeef": commits["2025"], "1.x": commits["2025"],
		head[:7]: head, commits["v1.0.0"][:12]: commits["v1.0.0"], head: head,
	} {
		got, err := m.Resolve(t.Context(), revision, Want{Since: time.Now()})
		if err != nil || got != want {
			t.Errorf("%q: %s, %v; want %s", revision, got, err, want)
		}
	}
	if got, err := m.Resolve(t.Context(), "1.*", Want{TagPrefix: "app/"}); err != nil || got != commits["app/1.5.0"] {
		t.Errorf("with a prefix: %s, %v", got, err)
	}
	for _, revision := range []string{"9.*", "abcdef0123", "nowhere", "1234567"} {
		if _, err := m.Resolve(t.Context(), revision, Want{}); !errors.Is(err, ErrNoRevision) {
			t.Errorf("%s: %v", revision, err)
		}
	}
	newer := o.commit("newer", nil)
	o.git(o.work, "tag", "v1.11.0")
	o.git(o.work, "push", "--quiet", "--tags", "origin")
	if got, err := m.Resolve(t.Context(), "^1.0.0", Want{}); err != nil || got != commits["v1.10.0"] {
		t.Errorf("an old answer was good enough, got %s, %v", got, err)
	}
	if got, err := m.Resolve(t.Context(), "^1.0.0", Want{Since: time.Now()}); err != nil || got != newer {
		t.Errorf("a new tag is not seen: %s, %v", got, err)
	}
}

func FuzzPlainRevision(f *testing.F) {
	for _, seed := range []string{"main", "1.*", ">=1, <2", "--upload-pack=x", "a..b", "^1 || -x", "refs/heads/a"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, revision string) {
		if plainRevision(revision) == nil && revision[0] == '-' {
			t.Errorf("%q could be an option", revision)
		}
	})
}
