package render

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// The files of a folder are merged over its source in their order; where it comes from stays.
func TestOverrides(t *testing.T) {
	r := newRig(t)
	files := with(
		webChart,
		"app/.argocd-source.yaml",
		"repoURL: https://evil.example.org\npath: other\nhelm:\n  parameters:\n  - {name: a, value: all}\n",
		"app/.argocd-source-web.yaml",
		"helm:\n  releaseName: mine\n  valueFiles: [values-prod.yaml]\n",
		"app/.argocd-source-other.yaml",
		"helm: {releaseName: other}\n",
	)
	source := helmSource(v1alpha1.ApplicationSourceHelm{ReleaseName: "spec", ValueFiles: []string{"none.yaml"}})
	got, err := r.data(files, source)
	if err != nil || !strings.Contains(got["values"], `"a":"all","b":"prod"`) {
		t.Errorf("%v, %v", got, err)
	}
	names, err := r.names(files, source)
	if err != nil || names[1] != "ConfigMap/mine" {
		t.Errorf("%v, %v", names, err)
	}
	for name, text := range map[string]string{
		"no YAML": "helm: [", "no object": "- a", "two blocks": "kustomize: {namePrefix: x}", "wrong type": "helm: 1",
	} {
		_, err := r.names(with(files, "app/.argocd-source.yaml", text), source)
		if !errors.Is(err, ErrSource) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSwitchedOffTools(t *testing.T) {
	r := newRig(t)
	files := with(webChart, "app/plain.yaml", cm("plain"))
	in := input(t, repository(files), v1alpha1.ApplicationSource{Path: "app"})
	in.Disabled = []string{"helm", "kustomize"}
	got, err := r.Render(t.Context(), in)
	if err != nil || got.Type != "Directory" || len(got.Objects) != 1 {
		t.Errorf("%s %v, %v", got.Type, namesOf(got.Objects), err)
	}
}

func TestBlocksExcludeEachOther(t *testing.T) {
	r := newRig(t)
	for want, s := range map[string]v1alpha1.ApplicationSource{
		"multiple application sources defined: Helm, Kustomize": {
			Helm: &v1alpha1.ApplicationSourceHelm{}, Kustomize: &v1alpha1.ApplicationSourceKustomize{},
		},
		"ref":                      {Chart: "x", Ref: "values"},
		"there is no plugin \"x\"": {Plugin: &v1alpha1.ApplicationSourcePlugin{Name: "x"}},
	} {
		_, err := r.names(map[string]string{"app/a.yaml": cm("a")}, s)
		if !errors.Is(err, ErrSource) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v", err)
		}
	}
}

func TestVariables(t *testing.T) {
	e := environmentOf(App{
		Name: "web", Namespace: "argocd", Project: "p", Revision: "0123456789",
	}, v1alpha1.ApplicationSource{RepoURL: "https://r", Path: "a/b", TargetRevision: "main"})
	for text, want := range map[string]string{
		"$ARGOCD_APP_NAME/$ARGOCD_APP_NAMESPACE/${ARGOCD_APP_PROJECT_NAME}":                      "web/argocd/p",
		"$ARGOCD_APP_REVISION $ARGOCD_APP_REVISION_SHORT $ARGOCD_APP_REVISION_SHORT_8":           "0123456789 0123456 01234567",
		"$ARGOCD_APP_SOURCE_PATH $ARGOCD_APP_SOURCE_REPO_URL $ARGOCD_APP_SOURCE_TARGET_REVISION": "a/b https://r main",
		"$$ARGOCD_APP_NAME": "$ARGOCD_APP_NAME", "[$UNKNOWN]": "[]", "plain": "plain",
	} {
		if got := e.substitute(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
	refs := []string{"$ARGOCD_APP_NAME"}
	if got := e.substituteFile("$ARGOCD_APP_NAME/$ARGOCD_APP_NAME.yaml", refs); got != "$ARGOCD_APP_NAME/web.yaml" {
		t.Errorf("the name of a source became %q", got)
	}
}

func FuzzOverride(f *testing.F) {
	for _, seed := range []string{
		"helm: {values: x}", "null", "kustomize: {images: [a]}", "- a", "repoURL: 1", "a: &a [*a]",
	} {
		f.Add([]byte(seed))
	}
	before := v1alpha1.ApplicationSource{RepoURL: "https://r", Path: "a", TargetRevision: "v1", Chart: ""}
	f.Fuzz(func(t *testing.T, text []byte) {
		after, err := override(before, "f", text)
		if err != nil && !errors.Is(err, ErrSource) {
			t.Errorf("%q: %v", text, err)
		}
		if after.RepoURL != before.RepoURL || after.Path != before.Path ||
			after.TargetRevision != before.TargetRevision {
			t.Errorf("%q moves the source to %+v", text, after)
		}
		if _, err := json.Marshal(after); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	})
}
