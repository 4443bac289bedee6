package events

import "strings"

// GitPushed says what a push did to a Git repository, whatever forge told of it. It is the contract
// dev.argosy.git.pushed.v1, which travels as attributes of the forge's own event: no second message says the same, and
// whoever looks for pushes reads no body.
type GitPushed struct {
	// Repositories are the URLs by which the repository is known, at least one.
	Repositories []string `json:"repositories"`
	// Changes are the refs that were moved, at least one.
	Changes []GitChange `json:"changes"`
	// DefaultBranch is that of the repository, "" when the forge did not say it.
	DefaultBranch string `json:"defaultBranch,omitempty"`
}

// GitChange is a ref that was moved, or made.
type GitChange struct {
	// Ref is its full name, such as refs/heads/main.
	Ref string `json:"ref"`
	// Commit is what it names now; of an annotated tag it may be the tag.
	Commit string `json:"commit"`
}

// The attributes of an event that carry a [GitPushed]. Lists are separated by spaces, which neither URLs nor refs hold;
// refs and commits come in the same order.
const (
	ExtGitRepository = "gitrepository"
	ExtGitRef        = "gitref"
	ExtGitCommit     = "gitcommit"
	ExtGitBranch     = "gitdefaultbranch"
)

// Attributes are the attributes that carry it; empty ones are left out.
func (p GitPushed) Attributes() map[string]string {
	var refs, commits []string
	for _, c := range p.Changes {
		refs, commits = append(refs, c.Ref), append(commits, c.Commit)
	}
	out := map[string]string{
		ExtGitRepository: strings.Join(p.Repositories, " "), ExtGitRef: strings.Join(refs, " "),
		ExtGitCommit: strings.Join(commits, " "), ExtGitBranch: p.DefaultBranch,
	}
	if p.DefaultBranch == "" {
		delete(out, ExtGitBranch)
	}
	return out
}

// ReadGitPushed reads the attributes of an event; false means that it is no push.
func ReadGitPushed(attribute func(name string) string) (GitPushed, bool) {
	p := GitPushed{Repositories: strings.Fields(attribute(ExtGitRepository)), DefaultBranch: attribute(ExtGitBranch)}
	commits := strings.Fields(attribute(ExtGitCommit))
	for i, ref := range strings.Fields(attribute(ExtGitRef)) {
		c := GitChange{Ref: ref}
		if i < len(commits) {
			c.Commit = commits[i]
		}
		p.Changes = append(p.Changes, c)
	}
	return p, len(p.Repositories) > 0 && len(p.Changes) > 0
}
