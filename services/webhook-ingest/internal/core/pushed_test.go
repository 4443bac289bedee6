package core

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/schemas/events"
)

const commit = "0d1a26e67d8f5eaf1f6ba5c57fc3c7d91ac0fd1c"

// Whatever the forge, its push is told in the same words.
func TestPushesOfAllForges(t *testing.T) {
	zero := strings.Repeat("0", 40)
	github := func(more string) string {
		return `{"ref":"refs/heads/main","after":"` + commit + `"` + more + `,"repository":{"default_branch":"main","clone_url":"https://h/a/b.git","ssh_url":"git@h:a/b.git"}}`
	}
	gitlab := func(kind, after string) string {
		return `{"object_kind":"` + kind + `","ref":"refs/heads/main","after":"` + after + `","project":{"default_branch":"main","git_http_url":"https://h/a/b.git","git_ssh_url":"git@h:a/b.git"}}`
	}
	for name, c := range map[string]struct {
		provider, header, kind, body string
		want                         string // repositories | refs | commits | default branch
	}{
		"github": {
			"github", "X-GitHub-Event", "push", github(""),
			"https://h/a/b.git git@h:a/b.git|refs/heads/main|" + commit + "|main",
		},
		"github removed": {"github", "X-GitHub-Event", "push", github(`,"deleted":true`), ""},
		"github create": {
			"github", "X-GitHub-Event", "create", `{"ref":"main","repository":{"clone_url":"https://h/a/b.git"}}`, "",
		},
		"github issue": {"github", "X-GitHub-Event", "issues", github(""), ""},
		"gitea": {
			"gitea", "X-Gitea-Event", "push", github(""),
			"https://h/a/b.git git@h:a/b.git|refs/heads/main|" + commit + "|main",
		},
		"gitea removed": {"gitea", "X-Gitea-Event", "push", strings.Replace(github(""), commit, zero, 1), ""},
		"gitlab": {
			"gitlab", "X-Gitlab-Event", "Push Hook", gitlab("push", commit),
			"https://h/a/b.git git@h:a/b.git|refs/heads/main|" + commit + "|main",
		},
		"gitlab removed": {"gitlab", "X-Gitlab-Event", "Push Hook", gitlab("push", zero), ""},
		"gitlab tag": {
			"gitlab", "X-Gitlab-Event", "Tag Push Hook",
			strings.Replace(gitlab("tag_push", commit), "refs/heads/main", "refs/tags/v1", 1),
			"https://h/a/b.git git@h:a/b.git|refs/tags/v1|" + commit + "|main",
		},
		"gitlab issue": {"gitlab", "X-Gitlab-Event", "Issue Hook", gitlab("issue", commit), ""},
		"bitbucket": {
			"bitbucket", "X-Event-Key", "repo:push",
			`{"push":{"changes":[{"new":{"type":"branch","name":"main","target":{"hash":"` + commit + `"}}},{"new":null},{"new":{"type":"tag","name":"v1","target":{"hash":"aa"}}}]},"repository":{"full_name":"a/b","links":{"html":{"href":"https://bitbucket.org/a/b"}}}}`,
			"https://bitbucket.org/a/b|refs/heads/main refs/tags/v1|" + commit + " aa|",
		},
		"bitbucket comment": {
			"bitbucket", "X-Event-Key", "repo:commit_comment_created", `{"repository":{"full_name":"a/b"}}`, "",
		},
		"bitbucketserver": {
			"bitbucketserver", "X-Event-Key", "repo:refs_changed",
			`{"eventKey":"repo:refs_changed","changes":[{"ref":{"id":"refs/heads/main"},"toHash":"` + commit + `","type":"UPDATE"},{"ref":{"id":"refs/heads/old"},"toHash":"` + zero + `","type":"DELETE"}],"repository":{"links":{"clone":[{"href":"ssh://git@h:7999/a/b.git"},{"href":"https://h/scm/a/b.git"}],"self":[{"href":"https://h/projects/A/repos/b/browse"}]}}}`,
			"ssh://git@h:7999/a/b.git https://h/scm/a/b.git https://h/projects/A/repos/b|refs/heads/main|" + commit + "|",
		},
		"a URL with a space": {
			"github", "X-GitHub-Event", "push", strings.Replace(github(""), "https://h/a/b.git", "https://h/a b", 1),
			"git@h:a/b.git|refs/heads/main|" + commit + "|main",
		},
		"a ref with a space": {
			"github", "X-GitHub-Event", "push", strings.Replace(github(""), "refs/heads/main", "refs/heads/a b", 1), "",
		},
		"no repository": {
			"github", "X-GitHub-Event", "push", `{"ref":"refs/heads/main","after":"` + commit + `"}`, "",
		},
	} {
		h := http.Header{"X-Github-Delivery": {"1"}, "X-Gitea-Delivery": {"1"}, "Content-Type": {"application/json"}}
		h.Set(c.header, c.kind)
		got := Decide(
			Route{Provider: c.provider, Unsigned: true},
			Request{Method: http.MethodPost, Header: h, Body: []byte(c.body)},
		)
		if len(got.Items) != 1 {
			t.Errorf("%s: %+v", name, got)
			continue
		}
		said := ""
		if p := got.Items[0].Pushed; p != nil {
			a := p.Attributes()
			said = strings.Join([]string{
				a[events.ExtGitRepository], a[events.ExtGitRef], a[events.ExtGitCommit], a[events.ExtGitBranch],
			}, "|")
			if back, ok := events.ReadGitPushed(
				func(name string) string { return a[name] },
			); !ok || len(back.Changes) != len(p.Changes) ||
				back.Changes[0] != p.Changes[0] {
				t.Errorf("%s: %+v read as %+v", name, p, back)
			}
		}
		if said != c.want {
			t.Errorf("%s: %q, want %q", name, said, c.want)
		}
	}
}

// The message of the commit that is pushed may continue a chain, whatever the forge.
func TestMessagesOfPushes(t *testing.T) {
	for provider, c := range map[string]struct{ header, kind, body string }{
		"github": {
			"X-GitHub-Event", "push",
			`{"ref":"refs/heads/main","after":"` + commit + `","head_commit":{"message":"said"},"repository":{"url":"https://h/a"}}`,
		},
		"gitea": {
			"X-Gitea-Event", "push",
			`{"ref":"refs/heads/main","after":"` + commit + `","head_commit":{"message":"said"},"repository":{"url":"https://h/a"}}`,
		},
		"gitlab": {
			"X-Gitlab-Event", "Push Hook",
			`{"object_kind":"push","ref":"refs/heads/main","after":"` + commit + `","commits":[{"id":"` + commit + `","message":"said"},{"id":"b","message":"other"}],"project":{"web_url":"https://h/a"}}`,
		},
		"bitbucket": {
			"X-Event-Key", "repo:push",
			`{"push":{"changes":[{"new":{"type":"branch","name":"main","target":{"hash":"a","message":"said"}}}]},"repository":{"full_name":"a/b"}}`,
		},
	} {
		h := http.Header{"X-Github-Delivery": {"1"}, "X-Gitea-Delivery": {"1"}, "Content-Type": {"application/json"}}
		h.Set(c.header, c.kind)
		got := Decide(
			Route{Provider: provider, Unsigned: true},
			Request{Method: http.MethodPost, Header: h, Body: []byte(c.body)},
		)
		if len(got.Items) != 1 || got.Items[0].Message != "said" {
			t.Errorf("%s: %+v", provider, got.Items)
		}
	}
}

func TestAPushOfManyRefsIsToldInPart(t *testing.T) {
	var changes []string
	for i := range 500 {
		changes = append(changes, fmt.Sprintf(`{"ref":{"id":"refs/heads/%d"},"toHash":"%s"}`, i, commit))
	}
	p := pushedBitbucketServer(
		[]byte(
			`{"eventKey":"repo:refs_changed","changes":[` + strings.Join(
				changes, ",",
			) + `],"repository":{"links":{"clone":[{"href":"https://h/a.git"}]}}}`,
		),
	)
	if n := len(p.Changes); n < 20 || n > 60 {
		t.Errorf("%d changes are told", n)
	}
}

// What travels beside the data has bounds, whatever a sender says.
func FuzzPushes(f *testing.F) {
	f.Add([]byte(`{"ref":"refs/heads/main","after":"a","repository":{"clone_url":"https://h/a.git"}}`))
	f.Add(
		[]byte(
			`{"r\u0065f":"refs/heads/m","after":"a","head_commit":{"message":"said"},"deleted":false,"repository":{"clone_url":"https://h/a.git","default_branch":"m"}}`,
		),
	)
	f.Add(
		[]byte(
			`{"object_kind":"push","ref":"refs/heads/main","after":"a","project":{"git_http_url":"https://h/a.git"}}`,
		),
	)
	f.Add(
		[]byte(
			`{"push":{"changes":[{"new":{"type":"branch","name":"m","target":{"hash":"a"}}}]},"repository":{"full_name":"a/b"}}`,
		),
	)
	f.Add(
		[]byte(
			`{"eventKey":"repo:refs_changed","changes":[{"ref":{"id":"refs/heads/m"},"toHash":"a"}],"repository":{"links":{"clone":[{"href":"https://h/a.git"}]}}}`,
		),
	)
	f.Fuzz(func(t *testing.T, body []byte) {
		if !json.Valid(body) {
			return
		}
		hub := func(body []byte) *events.GitPushed {
			known, err := inspect(body)
			if err != nil {
				return nil
			}
			message, pushed := pushedGitHub(body, known)
			// What was noted on the way must be what is read from the beginning.
			known.Odd = known.Odd || known.Object
			again, pushedAgain := pushedGitHub(body, known)
			if message != again || !reflect.DeepEqual(pushed, pushedAgain) {
				t.Errorf("noted %q %+v, read %q %+v", message, pushed, again, pushedAgain)
			}
			return pushed
		}
		for _, read := range []func([]byte) *events.GitPushed{
			hub, pushedGitLab, pushedBitbucket, pushedBitbucketServer,
		} {
			p := read(body)
			if p == nil {
				continue
			}
			for name, value := range p.Attributes() {
				if len(value) > pushList || strings.ContainsAny(value, "\n\r\t") {
					t.Errorf("%s has %d bytes", name, len(value))
				}
			}
		}
	})
}
