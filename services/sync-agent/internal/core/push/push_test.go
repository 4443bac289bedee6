package push

import (
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/google/go-cmp/cmp"
)

func TestPushConcerns(t *testing.T) {
	push := Of(
		events.GitPushed{
			Repositories: []string{
				"https://Git.Example.org/a/b.git", "git@git.example.org:a/b.git", "https://git.example.org/a/b",
			},
			DefaultBranch: "main",
			Changes: []events.GitChange{
				{Ref: "refs/heads/main", Commit: "abc"}, {Ref: "refs/heads/dev", Commit: "def"},
				{Ref: "refs/tags/v1.2", Commit: "ace"},
			},
		},
	)
	if len(push.URLs) != 1 {
		t.Errorf("%q", push.URLs)
	}
	for name, c := range map[string]struct{ url, revision, want string }{
		"same": {"https://git.example.org/a/b", "main", "abc"},
		"http": {"http://git.example.org/a/b.git/", "HEAD", "abc"}, "scp": {"git@git.example.org:a/b", "", "abc"},
		"full ref":                        {"https://git.example.org/a/b", "refs/heads/main", "abc"},
		"another that was pushed with it": {"https://git.example.org/a/b", "dev", "def"},
		"a tag":                           {"https://git.example.org/a/b", "v1.2", "ace"},
		"a range of tags":                 {"https://git.example.org/a/b", "v1.*", "ace"},
		"a commit":                        {"https://git.example.org/a/b", strings.Repeat("a", 40), ""},
		"other repository":                {"https://git.example.org/a/c", "main", ""},
		"other case of path":              {"https://git.example.org/A/b", "main", ""},
	} {
		if got, ok := push.Concerns(
			v1alpha1.ApplicationSource{RepoURL: c.url, TargetRevision: c.revision},
		); got != c.want ||
			ok != (c.want != "") {
			t.Errorf("%s: %q", name, got)
		}
	}
	unknown := Of(
		events.GitPushed{
			Repositories: []string{"https://h/a"},
			Changes:      []events.GitChange{{Ref: "refs/heads/x", Commit: "1"}},
		},
	)
	if _, ok := unknown.Concerns(v1alpha1.ApplicationSource{RepoURL: "https://h/a"}); !ok {
		t.Error("of a repository whose default branch is not known every branch counts")
	}
}

func TestOlderPushes(t *testing.T) {
	got, ok := ReadOlder(
		[]byte(
			`{"body":{"ref":"refs/heads/main","after":"abc","repository":{"clone_url":"https://h/a/b.git","ssh_url":"git@h:a/b.git","default_branch":"main"}}}`,
		),
	)
	want := events.GitPushed{
		Repositories:  []string{"https://h/a/b.git", "git@h:a/b.git"},
		Changes:       []events.GitChange{{Ref: "refs/heads/main", Commit: "abc"}},
		DefaultBranch: "main",
	}
	if diff := cmp.Diff(want, got); !ok || diff != "" {
		t.Error(diff)
	}
	for name, none := range map[string]string{
		"a ping":                `{"body":{"zen":"x"}}`,
		"a branch that is gone": `{"body":{"ref":"refs/heads/main","deleted":true,"repository":{"url":"https://h/a"}}}`,
		"text":                  `{"body":"text"}`, "no body": `{}`, "nothing": ``, "no JSON": `{"body":{"ref`,
	} {
		if _, ok := ReadOlder([]byte(none)); ok {
			t.Errorf("%s is no push", name)
		}
	}
}

func FuzzOlderPush(f *testing.F) {
	f.Add(
		[]byte(
			`{"header":{"a":["b"]},"body":{"commits":[{"ref":"x"}],"ref":"refs/heads/main","after":"abc","repository":{"owner":{"url":"x"},"url":"https://h/a"}}}`,
		),
	)
	f.Add([]byte(`{"body":[{"ref":1}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, ok := ReadOlder(data)
		if ok != (len(p.Repositories) > 0 && len(p.Changes) == 1) {
			t.Errorf("%+v", p)
		}
		Of(p).Concerns(v1alpha1.ApplicationSource{RepoURL: "https://h/a"})
	})
}
