package push

import (
	"strings"

	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/tidwall/gjson"
)

// ReadOlder reads the view of a push of GitHub that was stored before pushes of all forges had attributes. It may go
// when no stream holds such events any more.
func ReadOlder(data []byte) (events.GitPushed, bool) {
	all := gjson.GetManyBytes(data, "body.ref", "body.after", "body.deleted", "body.repository")
	p := events.GitPushed{DefaultBranch: all[3].Get("default_branch").String()}
	for _, name := range []string{"clone_url", "html_url", "url", "git_url", "ssh_url"} {
		if u := all[3].Get(name).String(); u != "" {
			p.Repositories = append(p.Repositories, u)
		}
	}
	if ref := all[0].String(); strings.HasPrefix(ref, "refs/") && !all[2].Bool() {
		p.Changes = []events.GitChange{{Ref: ref, Commit: all[1].String()}}
	}
	return p, len(p.Repositories) > 0 && len(p.Changes) > 0
}
