package appset

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"sigs.k8s.io/yaml"
)

// world answers the questions of tests.
type world struct {
	clusters []Cluster
	files    map[string]string // of every repository
	repos    []Repository
	pulls    []PullRequest
	plugin   func(spec map[string]any) []map[string]any
	items    []map[string]any
}

func (w world) answer(t testing.TB, q Query) Answer {
	t.Helper()
	switch q.Kind {
	case "clusters":
		return Answer{Value: w.clusters}
	case "git":
		g, err := decode[v1alpha1.GitGenerator](q.Spec)
		if err != nil {
			return Answer{Err: err}
		}
		tree := Tree{Files: map[string][]byte{}}
		for name, text := range w.files {
			tree.Paths = append(tree.Paths, name)
			if WantsFile(g, name) {
				tree.Files[name] = []byte(text)
			}
		}
		return Answer{Value: tree}
	case "scmProvider":
		return Answer{Value: w.repos}
	case "pullRequest":
		return Answer{Value: w.pulls}
	case "plugin":
		return Answer{Value: w.plugin(q.Spec)}
	case "clusterDecisionResource":
		return Answer{Value: Placements{Items: w.items, MatchKey: "clusterName", Clusters: w.clusters}}
	}
	t.Fatalf("question of kind %s", q.Kind)
	return Answer{}
}

func parse(t testing.TB, text string) map[string]any {
	t.Helper()
	out := map[string]any{}
	if err := yaml.Unmarshal([]byte(text), &out); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return out
}

// run generates until nothing is asked.
func (w world) run(t testing.TB, set map[string]any) (Output, error) {
	t.Helper()
	answers := map[string]Answer{}
	for range 8 {
		out, err := Generate(Input{Set: set, Answers: answers})
		if err != nil || len(out.Ask) == 0 {
			return out, err
		}
		for _, q := range out.Ask {
			answers[q.Key] = w.answer(t, q)
		}
	}
	t.Fatal("it never ends to ask")
	return Output{}, nil
}

// shown is what tests compare: name, path, and what else the template put in annotations.
func shown(out Output) []string {
	var lines []string
	for _, a := range out.Applications {
		line := a.Object.GetName()
		if s := a.Object.GetAnnotations()["say"]; s != "" {
			line += " | " + s
		}
		if a.Problem != nil {
			line += " ! " + a.Problem.Error()
		}
		lines = append(lines, line)
	}
	return lines
}

var example = world{
	clusters: []Cluster{
		{Name: "East_1", Server: "https://east", Project: "p", Labels: map[string]string{"stage": "dev", "a/b": "c"},
			Annotations: map[string]string{"note": "n"}},
		{Name: "in-cluster", Server: "https://kubernetes.default.svc", Implicit: true},
		{Name: "west", Server: "https://west", Labels: map[string]string{"stage": "prod"}},
	},
	files: map[string]string{
		"apps/one/x.yaml": "a: 1", "apps/two/x.yaml": "a: 2", "apps/two/sub/y.yaml": "a: 3", "apps/.git/z.yaml": "a: 4",
		"README.md": "no", "conf/dev/config.json": `{"name": "dev", "n": 12345678, "deep": {"k": ["v", true, null]}}`,
		"conf/prod/config.json": `[{"name": "prod-a"}, {"name": "prod-b"}]`, "conf/prod/inner/config.json": `{"name": "inner"}`,
		"top.json": `{"name": "top"}`,
	},
	repos: []Repository{{
		Organization: "acme", Name: "shop", ID: "7", URL: "https://forge/acme/shop.git", Branch: "Feature/X",
		SHA: "0123456789abcdef", Labels: []string{"web", "deploy"},
	}},
	pulls: []PullRequest{{
		Number: 12, Title: "Add it", Branch: "Feature/Ünder_score", TargetBranch: "main", HeadSHA: "0123456789abcdef",
		Labels: []string{"preview", "x"}, Author: "ann",
	}},
	plugin: func(map[string]any) []map[string]any {
		return []map[string]any{{"key": "v", "deep": map[string]any{"n": json.Number("12345678")}}}
	},
	items: []map[string]any{{"clusterName": "west", "why": "near"}, {"clusterName": "nowhere"}},
}

// TestGenerators runs the cases of testdata: an ApplicationSet's spec, a line of dashes, what comes out.
func TestGenerators(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for block := range strings.SplitSeq(strings.TrimSpace(string(raw)), "\n\n# ") {
			title, rest, _ := strings.Cut(strings.TrimPrefix(block, "# "), "\n")
			spec, want, cut := strings.Cut(rest, "----\n")
			t.Run(filepath.Base(file)+"/"+title, func(t *testing.T) {
				if !cut {
					t.Fatal("there is no line of dashes")
				}
				out, err := example.run(t, map[string]any{
					"metadata": map[string]any{"name": "set", "namespace": "argocd"}, "spec": caseSpec(t, spec),
				})
				got := strings.Join(shown(out), "\n")
				if err != nil {
					got = "error: " + err.Error()
				}
				if strings.TrimSpace(got) != strings.TrimSpace(want) {
					t.Errorf("got\n%s\nwant\n%s", got, want)
				}
			})
		}
	}
}

// caseSpec is a spec with a destination; say stands for the annotation of that name, name for the name.
func caseSpec(t testing.TB, text string) map[string]any {
	t.Helper()
	spec := parse(t, text)
	if _, given := spec["template"]; !given {
		metadata := map[string]any{"name": spec["name"]}
		if say, ok := spec["say"]; ok {
			metadata["annotations"] = map[string]any{"say": say}
		}
		spec["template"] = map[string]any{"metadata": metadata, "spec": map[string]any{
			"destination": map[string]any{"server": "https://x"},
		}}
	}
	return spec
}

func TestAQuestionIsAskedOnce(t *testing.T) {
	set := map[string]any{"spec": caseSpec(t, `
name: x
generators:
- git: {repoURL: u, revision: r, directories: [{path: a}], requeueAfterSeconds: 60}
- git: {repoURL: u, revision: r, directories: [{path: a}], values: {x: y}}
- clusters: {}
`)}
	out, err := Generate(Input{Set: set})
	if err != nil || len(out.Ask) != 2 || out.Ask[0].Every.Seconds() != 60 || out.Ask[1].Every != 0 {
		t.Errorf("%v %+v", err, out.Ask)
	}
	if len(out.Applications) != 0 {
		t.Error("there are applications before the answers")
	}
}

func TestEveryGeneratorHasADescriptor(t *testing.T) {
	var fields []string
	raw, err := json.Marshal(v1alpha1.ApplicationSetGenerator{
		List: &v1alpha1.ListGenerator{}, Clusters: &v1alpha1.ClusterGenerator{}, Git: &v1alpha1.GitGenerator{},
		SCMProvider: &v1alpha1.SCMProviderGenerator{}, ClusterDecisionResource: &v1alpha1.DuckTypeGenerator{},
		PullRequest: &v1alpha1.PullRequestGenerator{}, Plugin: &v1alpha1.PluginGenerator{},
		Matrix: &v1alpha1.MatrixGenerator{}, Merge: &v1alpha1.MergeGenerator{},
	})
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]any{}
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	for f := range m {
		fields = append(fields, f)
	}
	slices.Sort(fields)
	if got := allFields(); !slices.Equal(got, fields) {
		t.Errorf("descriptors of %v, the union has %v", got, fields)
	}
}

func TestTooMuchIsAnError(t *testing.T) {
	var elements []string
	for i := range 200 {
		elements = append(elements, fmt.Sprintf("{a%%d: %d}", i))
	}
	list := func(n int) string {
		all := strings.ReplaceAll(strings.Join(elements, ", "), "%d", fmt.Sprint(n))
		return "list: {elements: [" + all + "]}"
	}
	for name, spec := range map[string]string{
		"sets":  "name: x\ngenerators:\n- matrix:\n    generators:\n    - " + list(1) + "\n    - " + list(2) + "\n",
		"text":  "name: x\ngoTemplate: true\nsay: '{{range until 100000}}{{repeat 1000 \"x\"}}{{end}}'\ngenerators:\n- list: {elements: [{a: b}]}\n",
		"steps": "name: x\ngoTemplate: true\nsay: '{{range until 100000}}{{range until 100000}}{{end}}{{end}}'\ngenerators:\n- list: {elements: [{a: b}]}\n",
	} {
		if _, err := example.run(t, map[string]any{"spec": caseSpec(t, spec)}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// readYAML is false for what is no object.
func readYAML(text string) (map[string]any, bool) {
	out := map[string]any{}
	err := yaml.Unmarshal([]byte(text), &out)
	return out, err == nil
}
