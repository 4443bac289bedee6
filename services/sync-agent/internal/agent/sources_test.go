package agent

import (
	"strings"
	"testing"
)

// From a commit to the cluster, by each tool; what a chart does that it may not is a condition of its Application
// alone.
func TestToolsAreSynced(t *testing.T) {
	m := newMesh(t)
	chart := "apiVersion: v2\nname: %\nversion: 1.0.0\n"
	configMap := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %}\ndata: {k: %}\n"
	m.commit("first", map[string]string{
		"chart/Chart.yaml":  strings.ReplaceAll(chart, "%", "web"),
		"chart/values.yaml": "name: from-chart\n",
		"chart/templates/a.yaml": "{{ if not (.Capabilities.APIVersions.Has \"argoproj.io/v1alpha1/Application\") }}" +
			"{{ fail \"the cluster is not asked\" }}{{ end }}\n" +
			"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Values.name }}, namespace: {{ .Release.Namespace }}}\n" +
			"data: {release: {{ .Release.Name }}}\n",
		"chart/.argocd-source-helm.yaml": "helm: {parameters: [{name: name, value: from-git}]}\n",
		"overlay/kustomization.yaml":     "resources: [../base]\nnamePrefix: my-\n",
		"base/kustomization.yaml":        "resources: [a.yaml]\n",
		"base/a.yaml":                    strings.ReplaceAll(configMap, "%", "base"),
		"jsonnet/a.jsonnet":              "{apiVersion: 'v1', kind: 'ConfigMap', metadata: {name: 'from-jsonnet'}}",
		"broken/Chart.yaml":              strings.ReplaceAll(chart, "%", "broken"),
		"broken/templates/a.yaml":        "{{ include \"none\" . }}",
	})
	m.agent("one")
	for name, path := range map[string]string{
		"helm": "chart", "kustomize": "overlay", "jsonnet": "jsonnet", "broken": "broken",
	} {
		m.create(manifest(name, m.url(), path, automated, nil))
	}
	for application, name := range map[string]string{
		"helm": "from-git", "kustomize": "my-base", "jsonnet": "from-jsonnet",
	} {
		m.await(application+" is synced", func() bool {
			return m.configMap(name) != nil && m.app(application).Status.Sync.Status == "Synced"
		})
	}
	if got := m.configMap("from-git").Data["release"]; got != "helm" {
		t.Errorf("release %q", got)
	}
	if got := m.app("helm").Status.SourceType; got != "Helm" {
		t.Errorf("source type %q", got)
	}
	m.await("the broken chart has a condition", func() bool {
		c := m.app("broken").Status.Conditions
		return len(c) == 1 && c[0].Type == "ComparisonError" &&
			strings.Contains(c[0].Message, "broken/templates/a.yaml")
	})
}
