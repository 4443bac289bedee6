package sensing

import (
	"fmt"
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"sigs.k8s.io/yaml"
)

// A push to the branch main that touches a directory, as guides for repositories of many services filter it.
func TestPushesToABranchThatTouchADirectory(t *testing.T) {
	const head = `
dependencies:
- name: push
  eventSourceName: github
  eventName: example
  filters:
`
	const byData = head + `
    data:
    - {path: body.ref, type: string, value: ["^refs/heads/main$"]}
    - {path: body.commits.#.modified, type: string, value: ['"services/api/']}
`
	const byExpr = head + `
    exprs:
    - expr: ref == 'refs/heads/main' && modified =~ '\"services/api/'
      fields: [{name: ref, path: body.ref}, {name: modified, path: body.commits.#.modified}]
`
	const byEither = head + `
    exprs:
    - expr: ref == 'refs/heads/main' && (modified =~ '\"services/api/' || added =~ '\"services/api/')
      fields: [{name: ref, path: body.ref}, {name: modified, path: body.commits.#.modified}, {name: added, path: body.commits.#.added}]
`
	push := func(ref string, commits string) Event {
		return Event{
			ID: "1",
			Data: fmt.Appendf(
				nil, `{"headers":{"X-GitHub-Event":["push"]},"body":{"ref":%q,"after":"2024-01-15","commits":[%s]}}`,
				ref, commits,
			),
		}
	}
	const inside, outside, added = `{"id":"a","modified":["README.md","services/api/main.go"],"added":[]}`, `{"id":"b","modified":["docs/services/api/x"],"added":[]}`, `{"id":"c","modified":[],"added":["services/api/new.go"]}`
	for name, c := range map[string]struct {
		e                    Event
		data, expr, eitherOf bool
	}{
		"main, inside":          {push("refs/heads/main", inside), true, true, true},
		"main, one of several":  {push("refs/heads/main", outside+","+inside), true, true, true},
		"main, outside":         {push("refs/heads/main", outside), false, false, false},
		"main, only new files":  {push("refs/heads/main", added), false, false, true},
		"main, no commits":      {push("refs/heads/main", ""), false, false, false},
		"another branch":        {push("refs/heads/main2", inside), false, false, false},
		"a tag named as a date": {push("refs/tags/2024-01-15", inside), false, false, false},
	} {
		for kind, want := range map[string]struct {
			spec string
			want bool
		}{"data": {byData, c.data}, "expr": {byExpr, c.expr}, "either": {byEither, c.eitherOf}} {
			var spec v1alpha1.SensorSpec
			if err := yaml.Unmarshal(
				[]byte(want.spec+"triggers: [{template: {name: t, log: {}}}]"), &spec,
			); err != nil {
				t.Fatal(err)
			}
			p := Compile(&spec, Options{})
			if len(p.Problems()) > 0 {
				t.Fatal(p.Problems())
			}
			v := p.Evaluate(World{EventSource: "github", EventName: "example", Event: c.e})
			if got := len(v.Firings) == 1; got != want.want {
				t.Errorf("%s by %s: %v, rejected %v", name, kind, got, v.Rejected)
			}
		}
	}
}
