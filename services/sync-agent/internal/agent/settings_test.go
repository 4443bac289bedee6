package agent

import (
	"strings"
	"testing"
)

// What an installation excludes is not applied, whatever Git holds, and said; what a project wants to know of its
// namespaces is told.
func TestExclusionsAndOrphans(t *testing.T) {
	m := newMesh(t)
	m.create(`apiVersion: v1
kind: ConfigMap
metadata: {name: argocd-cm, namespace: argocd}
data:
  resource.exclusions: |
    - {apiGroups: [""], kinds: [ServiceAccount], clusters: ["https://kubernetes.*"]}
`)
	m.create(`apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: {name: watchful, namespace: argocd}
spec:
  sourceRepos: ["*"]
  destinations: [{server: "*", namespace: "*"}]
  orphanedResources:
    ignore: [{kind: Secret, name: "kept-*"}]
`)
	m.create("apiVersion: v1\nkind: Secret\nmetadata: {name: kept-1, namespace: demo}")
	m.create("apiVersion: v1\nkind: Secret\nmetadata: {name: stray, namespace: demo}")
	m.create("apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: excluded, namespace: demo}")
	m.commit("first", map[string]string{
		"app/a.yaml":  settings("a", "k", "1"),
		"app/sa.yaml": "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: robot}\n",
	})
	m.agent("one")
	m.create(strings.Replace(manifest("shop", m.url(), "app", automated, nil), "project: default", "project: watchful", 1))
	m.await("what is not excluded is applied", func() bool {
		return m.configMap("a") != nil && m.app("shop").Status.Sync.Status == "Synced"
	})
	robots := deployments
	robots.Group, robots.Kind = "", "ServiceAccount"
	if m.find(robots, "robot") != nil {
		t.Error("what is excluded is applied")
	}
	if got := m.conditionOf("shop", "ExcludedResourceWarning"); !strings.HasPrefix(got, "ServiceAccount robot is excluded") {
		t.Errorf("condition %q", got)
	}
	got := m.conditionOf("shop", "OrphanedResourceWarning")
	if got != "Application has 1 orphaned resources: Secret demo/stray" {
		t.Errorf("condition %q", got)
	}
}
