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
	m.create(
		strings.Replace(manifest("shop", m.url(), "app", automated, nil), "project: default", "project: watchful", 1),
	)
	m.await("what is not excluded is applied", func() bool {
		return m.configMap("a") != nil && m.app("shop").Status.Sync.Status == "Synced"
	})
	robots := deployments
	robots.Group, robots.Kind = "", "ServiceAccount"
	if m.find(robots, "robot") != nil {
		t.Error("what is excluded is applied")
	}
	if got := m.conditionOf(
		"shop",
		"ExcludedResourceWarning",
	); !strings.HasPrefix(
		got,
		"ServiceAccount robot is excluded",
	) {
		t.Errorf("condition %q", got)
	}
	got := m.conditionOf("shop", "OrphanedResourceWarning")
	if got != "Application has 1 orphaned resources: Secret demo/stray" {
		t.Errorf("condition %q", got)
	}
}

// An installation that comes from the time of labels: what is in Git counts as tracked by its label, what left Git is
// pruned where labels still tell whose it is.
func TestTrackingByLabel(t *testing.T) {
	m := newMesh(t)
	m.create(`apiVersion: v1
kind: ConfigMap
metadata: {name: argocd-cm, namespace: argocd}
data:
  application.resourceTrackingMethod: label
  application.instanceLabelKey: example.org/app
`)
	labelled := func(name, value string) string {
		return strings.Replace(
			settings(
				name,
				"k",
				value,
			),
			"metadata: {",
			"metadata: {namespace: demo, labels: {example.org/app: shop}, ",
			1,
		)
	}
	m.create(labelled("a", "1"))
	m.create(labelled("gone", "1"))
	m.create(strings.ReplaceAll(labelled("another", "1"), "shop", "others"))
	m.commit("first", map[string]string{"app/a.yaml": settings("a", "k", "1"), "app/b.yaml": settings("b", "k", "1")})
	m.agent("one")
	m.create(manifest("shop", m.url(), "app", automated, nil))
	m.await("it is synced", func() bool {
		return m.app("shop").Status.Sync.Status == "Synced" && m.configMap("b") != nil && m.configMap("gone") == nil
	})
	if m.configMap("another") == nil {
		t.Error("an object of another application is gone")
	}
	b := m.configMap("b")
	if b.Labels["example.org/app"] != "shop" || b.Annotations["argocd.argoproj.io/tracking-id"] == "" {
		t.Errorf("labels %v, annotations %v", b.Labels, b.Annotations)
	}
}

// Without automation, what a label marked is in sync where it is as Git says, although nothing was applied.
func TestObjectsFromTheTimeOfLabelsAreInSync(t *testing.T) {
	m := newMesh(t)
	m.create(strings.Replace(
		settings(
			"a",
			"k",
			"1",
		),
		"metadata: {",
		"metadata: {namespace: demo, labels: {app.kubernetes.io/instance: shop}, ",
		1,
	))
	m.commit("first", map[string]string{"app/a.yaml": settings("a", "k", "1")})
	m.agent("one")
	m.create(manifest("shop", m.url(), "app", "{}", nil))
	m.await("it is compared", func() bool { return m.app("shop").Status.Sync.Status != "" })
	if got := m.app("shop").Status.Sync.Status; got != "Synced" {
		t.Errorf("%s: %v", got, m.app("shop").Status.Resources)
	}
	second := m.commit("second", map[string]string{"app/a.yaml": settings("a", "k", "2")})
	m.push("p2", second)
	m.await("a change is seen", func() bool { return m.app("shop").Status.Sync.Status == "OutOfSync" })
}
