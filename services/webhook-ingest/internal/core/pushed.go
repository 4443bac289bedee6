package core

import (
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/tidwall/gjson"
)

// Bounds of what a push is told as: attributes travel beside the data. A push that moved more refs is told by the first
// ones; what follows the others looks at its own pace.
const (
	pushText = 512  // bytes of a URL, a ref, a commit
	pushList = 2000 // bytes of a list of them
)

// gitPush collects what a forge says of a push.
type gitPush struct {
	events.GitPushed

	taken int // bytes of the longer one of the lists of changes
}

// url adds a URL of the repository, once. What is none, or would not stand among others, is left out.
func (p *gitPush) url(raw string) {
	if plain(raw) && !slices.Contains(p.Repositories, raw) &&
		len(strings.Join(p.Repositories, " "))+1+len(raw) <= pushList {
		p.Repositories = append(p.Repositories, raw)
	}
}

// moved adds a ref that names a commit now. A ref that was removed concerns nobody: there is nothing to be had.
func (p *gitPush) moved(ref, commit string) {
	if !plain(ref) || !plain(commit) || strings.Trim(commit, "0") == "" {
		return
	}
	if p.taken += max(len(ref), len(commit)) + 1; p.taken <= pushList {
		p.Changes = append(p.Changes, events.GitChange{Ref: ref, Commit: commit})
	}
}

// plain reports whether a text can stand in a list that is separated by spaces.
func plain(s string) bool {
	return s != "" && len(s) <= pushText && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f })
}

// told is the push, nil when there is none.
func (p *gitPush) told() *events.GitPushed {
	if len(p.Repositories) == 0 || len(p.Changes) == 0 {
		return nil
	}
	if !plain(p.DefaultBranch) {
		p.DefaultBranch = ""
	}
	return &p.GitPushed
}

// pushedGitHub reads the push of GitHub, and of Gitea and Forgejo, which took its form, and the message of its last
// commit. Where readers could differ over a body, it is read from the beginning, as the event's readers do.
func pushedGitHub(body []byte, known jsonText) (message string, pushed *events.GitPushed) {
	if known.Odd {
		known.fields = fields{}
		gjson.ParseBytes(body).ForEach(func(key, value gjson.Result) bool {
			known.fields.note([]byte(key.Str), []byte(value.Raw))
			return true
		})
		message = gjson.GetBytes(body, "head_commit.message").String()
	} else {
		message = gjson.GetBytes(known.fields[4], "message").String()
	}
	ref, after := gjson.ParseBytes(known.fields[0]).String(), gjson.ParseBytes(known.fields[1]).String()
	if after == "" || gjson.ParseBytes(known.fields[2]).Bool() || !strings.HasPrefix(ref, "refs/") {
		return message, nil // events of branches and tags that are made have a ref without its folder, and no commit
	}
	var p gitPush
	p.repository(gjson.ParseBytes(known.fields[3]))
	p.moved(ref, after)
	return message, p.told()
}

func (p *gitPush) repository(view gjson.Result) {
	view.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "default_branch":
			p.DefaultBranch = value.String()
		case "clone_url", "html_url", "git_url", "ssh_url", "url":
			p.url(value.String())
		}
		return true
	})
}

// pushedGitLab reads push and tag_push. Source: GitLab, "Webhook events".
func pushedGitLab(body []byte) *events.GitPushed {
	all := gjson.GetManyBytes(body, "object_kind", "ref", "after", "project", "repository")
	if kind := all[0].String(); kind != "push" && kind != "tag_push" {
		return nil
	}
	var p gitPush
	for _, name := range []string{"git_http_url", "git_ssh_url", "http_url", "ssh_url", "web_url"} {
		p.url(all[3].Get(name).String())
	}
	for _, name := range []string{"git_http_url", "git_ssh_url", "homepage"} {
		p.url(all[4].Get(name).String())
	}
	p.DefaultBranch = all[3].Get("default_branch").String()
	p.moved(all[1].String(), all[2].String())
	return p.told()
}

// pushedBitbucket reads repo:push of Bitbucket Cloud, which says of a ref what kind it is and its short name. Source:
// Atlassian, "Event payloads".
func pushedBitbucket(body []byte) *events.GitPushed {
	all := gjson.GetManyBytes(
		body, "push.changes", "repository.links.html.href", "repository.full_name", "repository.mainbranch.name",
	)
	var p gitPush
	p.url(all[1].String())
	if name := all[2].String(); plain(name) && all[1].String() == "" {
		p.url("https://bitbucket.org/" + name)
	}
	p.DefaultBranch = all[3].String()
	all[0].ForEach(func(_, change gjson.Result) bool {
		folder := map[string]string{
			"branch": "refs/heads/", "named_branch": "refs/heads/", "bookmark": "refs/heads/",
			"tag": "refs/tags/", "annotated_tag": "refs/tags/",
		}[change.Get("new.type").String()]
		if name := change.Get("new.name").String(); folder != "" && name != "" {
			p.moved(folder+name, change.Get("new.target.hash").String())
		}
		return true
	})
	return p.told()
}

// pushedBitbucketServer reads repo:refs_changed of Bitbucket Data Center. Source: Atlassian, "Event payload".
func pushedBitbucketServer(body []byte) *events.GitPushed {
	all := gjson.GetManyBytes(body, "eventKey", "changes", "repository.links.clone", "repository.links.self.0.href")
	if all[0].String() != "repo:refs_changed" {
		return nil
	}
	var p gitPush
	all[2].ForEach(func(_, link gjson.Result) bool {
		p.url(link.Get("href").String())
		return true
	})
	p.url(strings.TrimSuffix(all[3].String(), "/browse"))
	all[1].ForEach(func(_, change gjson.Result) bool {
		if change.Get("type").String() != "DELETE" {
			p.moved(change.Get("ref.id").String(), change.Get("toHash").String())
		}
		return true
	})
	return p.told()
}
