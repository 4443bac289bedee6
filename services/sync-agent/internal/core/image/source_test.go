package image

import (
	"fmt"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"sigs.k8s.io/yaml"
)

// Which of the sources of an application new images are written to.
func TestSourceOf(t *testing.T) {
	const (
		chart  = "{repoURL: https://charts.example.org, chart: web, helm: {valueFiles: [$v/a.yaml]}}"
		values = "{repoURL: https://git.example.org/values, ref: v}"
		plain  = "{repoURL: https://git.example.org/plain, path: p, name: rest}"
		kustom = "{repoURL: https://git.example.org/k, path: k, kustomize: {}}"
		helm   = "{repoURL: https://git.example.org/h, path: h, helm: {}}"
	)
	several := func(all ...string) string { return "sources: [" + strings.Join(all, ", ") + "]" }
	for name, c := range map[string]struct {
		spec, types string
		annotations map[string]string // beginnings are left out
		want        string            // repository and renderer, or a part of the error
	}{
		"one": {"source: " + kustom, "", nil, "/k Kustomize"},
		"one, whatever is named": {
			"source: " + plain, "", map[string]string{"write-back-target": "kustomization"}, "/plain Kustomize",
		},
		"one of a type":       {"source: " + plain, "Directory", nil, "/plain Directory"},
		"one that is a chart": {"source: " + chart, "Helm", nil, "no files to write to"},
		"none":                {"{}", "", nil, "spec.source.repoURL is missing"},
		"what is hydrated": {
			"sourceHydrator: {drySource: {repoURL: https://git.example.org/dry, path: a, helm: {}}, " +
				"syncSource: {targetBranch: b, path: a}}", "Directory", nil, "/dry Helm",
		},
		"the first that renders": {
			several(chart, values, plain, kustom), "Helm Directory Kustomize", nil, "/k Kustomize",
		},
		"by what was seen": {several(plain, kustom), "Helm Kustomize", nil, "/plain Helm"},
		"a kustomization": {
			several(helm, kustom), "Helm Kustomize", map[string]string{"write-back-target": "kustomization"},
			"/k Kustomize",
		},
		"values of a chart elsewhere": {
			several(chart, values), "Helm", map[string]string{"write-back-target": "helmvalues:/a.yaml"}, "/values ",
		},
		"values that are named": {
			several(helm, chart, values), "Helm Helm",
			map[string]string{"write-back-target": "helmvalues:$v/a.yaml"}, "/values ",
		},
		"values of nobody": {
			several(helm, values), "Helm", map[string]string{"write-back-target": "helmvalues:$x/a.yaml"},
			"$x, which is the ref of no source",
		},
		"markers": {
			several(chart, plain), "Helm Directory", map[string]string{"write-back-target": "setters"},
			"/plain Directory",
		},
		"by the repository": {
			several(kustom, helm), "Kustomize Helm",
			map[string]string{"git-repository": "git@git.example.org:h.git"}, "/h Helm",
		},
		"a repository of its own": {
			several(helm, kustom), "Helm Kustomize",
			map[string]string{"git-repository": "https://git.example.org/other"}, "/h Helm",
		},
		"by its name": {
			several(kustom, plain), "", map[string]string{SourceAnnotation: "rest"}, "/plain Kustomize",
		},
		"by its ref":   {several(kustom, values), "", map[string]string{SourceAnnotation: "v"}, "/values "},
		"by its place": {several(kustom, helm), "", map[string]string{SourceAnnotation: "1"}, "/h Helm"},
		"a place too far": {
			several(kustom, helm), "", map[string]string{SourceAnnotation: "2"}, "of one of 2 sources",
		},
		"a chart by place": {
			several(chart, values), "", map[string]string{SourceAnnotation: "0"}, "no files to write to",
		},
		"charts alone": {several(chart, chart), "", nil, "none of 2 sources has files"},
	} {
		var app v1alpha1.Application
		if err := yaml.Unmarshal([]byte(c.spec), &app.Spec); err != nil {
			t.Fatal(name, err)
		}
		if app.Status.SourceTypes = strings.Fields(c.types); len(app.Spec.Sources) == 0 {
			app.Status.SourceType, app.Status.SourceTypes = c.types, nil
		}
		annotations := map[string]string{}
		for k, v := range c.annotations {
			if k != SourceAnnotation {
				k = updaterPrefix + k
			}
			annotations[k] = v
		}
		u := ReadUpdater(annotations)
		if len(u.Problems) > 0 {
			t.Errorf("%s: %v", name, u.Problems)
		}
		s, by, err := u.SourceOf(&app)
		got := fmt.Sprint(err)
		if err == nil {
			got = strings.TrimPrefix(s.RepoURL, "https://git.example.org") + " " + string(by)
		}
		if !strings.Contains(got, c.want) || err == nil && got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
	target, err := readTarget("helmvalues:$v/a/b.yaml")
	if err != nil || target.In("folder") != "a/b.yaml" {
		t.Errorf("%+v, %v", target, err)
	}
	if _, err := readTarget("helmvalues:$/a"); err == nil {
		t.Error("a ref without a name")
	}
}
