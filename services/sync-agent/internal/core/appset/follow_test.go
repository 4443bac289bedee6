package appset

import (
	"testing"

	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/push"
)

func TestFollows(t *testing.T) {
	p := push.Of(events.GitPushed{
		Repositories: []string{"https://forge.example/acme/shop.git"}, DefaultBranch: "main",
		Changes: []events.GitChange{{Ref: "refs/heads/main", Commit: "c"}},
	})
	for _, c := range []struct {
		generators string
		want       bool
	}{
		{"[{git: {repoURL: 'git@forge.example:acme/shop.git', revision: HEAD}}]", true},
		{"[{git: {repoURL: 'https://forge.example/acme/shop', revision: other}}]", false},
		{"[{git: {repoURL: 'https://forge.example/acme/other', revision: main}}]", false},
		{"[{git: {repoURL: 'https://forge.example/acme/shop', revision: '{{branch}}'}}]", true},
		{"[{git: {repoURL: 'https://forge.example/{{repo}}', revision: main}}]", true},
		{"[{matrix: {generators: [{list: {}}, {merge: {generators: [{clusters: {}}, {git: {repoURL: 'https://forge.example/acme/shop', revision: main}}]}}]}}]", true},
		{"[{list: {}}, {clusters: {}}, {plugin: {}}]", false},
		{"[{scmProvider: {github: {organization: Acme}}}]", true},
		{"[{scmProvider: {github: {organization: other}}}]", false},
		{"[{scmProvider: {gitlab: {group: '123'}}}]", true},
		{"[{pullRequest: {github: {owner: acme, repo: shop}}}]", true},
		{"[{pullRequest: {github: {owner: acme, repo: docs}}}]", false},
		{"[{pullRequest: {github: {owner: acme, repo: '{{repository}}'}}}]", true},
	} {
		set := map[string]any{"spec": parse(t, "generators: "+c.generators)}
		if got := Follows(set, p); got != c.want {
			t.Errorf("%s: %v", c.generators, got)
		}
	}
}
