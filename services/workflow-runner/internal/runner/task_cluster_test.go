package runner

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/store"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// create makes an object of the namespace that tests use.
func (c *cluster) create(text string) *unstructured.Unstructured {
	c.t.Helper()
	o := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &o.Object); err != nil {
		c.t.Fatal(err)
	}
	if o.GetNamespace() == "" {
		o.SetNamespace("ci")
	}
	if err := c.kube.Create(c.t.Context(), o); err != nil {
		c.t.Fatal(err)
	}
	return o
}

// builder makes a service account that may work on ConfigMaps and Secrets, and nothing else.
func (c *cluster) builder() {
	c.t.Helper()
	for _, o := range []client.Object{
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "ci", Name: "builder"}},
		&rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: "ci", Name: "builder"}, Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"*"}},
			{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get"}}}},
		&rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: "ci", Name: "builder"},
			RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "builder"},
			Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: "ci", Name: "builder"}}},
	} {
		if err := c.kube.Create(c.t.Context(), o); err != nil {
			c.t.Fatal(err)
		}
	}
}

// node waits for the end of the node whose name ends so.
func (c *cluster) node(workflow, name string) v1alpha1.NodeStatus {
	c.t.Helper()
	var found v1alpha1.NodeStatus
	c.await("end of "+workflow+" "+name, func() error {
		for _, wf := range c.workflows() {
			for _, n := range wf.Status.Nodes {
				if wf.Name == workflow && strings.HasSuffix(n.Name, name) {
					found = n
				}
			}
		}
		if !found.Phase.Fulfilled() {
			return fmt.Errorf("%s %s", found.Phase, found.Message)
		}
		return nil
	})
	return found
}

const resourceManifest = `
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: res}
spec:
  entrypoint: main
  serviceAccountName: builder
  templates:
  - name: main
    steps:
    - - {name: make, template: make}
    - - {name: patch, template: patch, arguments: {parameters: [{name: name, value: "{{steps.make.outputs.parameters.name}}"}]}}
    - - {name: json, template: json, arguments: {parameters: [{name: name, value: "{{steps.make.outputs.parameters.name}}"}]}}
    - - {name: get, template: get, arguments: {parameters: [{name: name, value: "{{steps.make.outputs.parameters.name}}"}]}}
      - {name: apply, template: apply}
    - - {name: replace, template: replace}
    - - {name: gone, template: gone}
    - - {name: twice, template: twice}
    - - {name: forbidden, template: forbidden}
  - name: make
    resource:
      action: create
      setOwnerReference: true
      manifest: |
        apiVersion: v1
        kind: ConfigMap
        metadata: {generateName: made-}
        data: {state: waiting}
      successCondition: data.state == ready
      failureCondition: data.state in (bad, worse)
    outputs:
      parameters:
      - {name: name, valueFrom: {jsonPath: '{.metadata.name}'}}
      - {name: data, valueFrom: {jqFilter: .data}}
      - {name: none, valueFrom: {jqFilter: "error", default: fallback}}
  - name: patch
    inputs: {parameters: [{name: name}]}
    resource: {action: patch, mergeStrategy: merge, manifest: "{apiVersion: v1, kind: ConfigMap, metadata: {name: '{{inputs.parameters.name}}'}, data: {more: '1'}}"}
  - name: json
    inputs: {parameters: [{name: name}]}
    resource: {action: patch, mergeStrategy: json, flags: [configmap, "{{inputs.parameters.name}}"], manifest: "[{op: replace, path: /data/more, value: '2'}]"}
  - name: get
    inputs: {parameters: [{name: name}]}
    resource: {action: get, flags: ["cm/x", "-n", "ci"], manifest: "{apiVersion: v1, kind: ConfigMap, metadata: {name: '{{inputs.parameters.name}}'}}"}
    outputs: {parameters: [{name: more, valueFrom: {jsonPath: '{.data.more}'}}]}
  - {name: apply, resource: {action: apply, manifest: "{apiVersion: v1, kind: ConfigMap, metadata: {name: applied}, data: {a: '1'}}"}}
  - {name: replace, resource: {action: replace, manifest: "{apiVersion: v1, kind: ConfigMap, metadata: {name: applied}, data: {b: '2'}}"}}
  - {name: gone, resource: {action: delete, manifest: "{apiVersion: v1, kind: ConfigMap, metadata: {name: applied}}"}}
  - {name: twice, resource: {action: delete, manifest: "{apiVersion: v1, kind: ConfigMap, metadata: {name: applied}}"}}
  - {name: forbidden, resource: {action: create, manifest: "{apiVersion: v1, kind: Secret, metadata: {name: nope}}"}}
`

func TestResourcesAreWorkedOnAsTheServiceAccount(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.builder()
	stop := c.runner("a")
	c.create(resourceManifest)
	var made corev1.ConfigMapList
	c.await("one object is made", func() error {
		made = corev1.ConfigMapList{}
		if err := c.kube.List(t.Context(), &made, client.InNamespace("ci")); err != nil {
			return err
		}
		for i := range made.Items {
			if strings.HasPrefix(made.Items[i].Name, "made-") {
				made.Items = made.Items[i : i+1]
				return nil
			}
		}
		return fmt.Errorf("%d ConfigMaps", len(made.Items))
	})
	stop() // while it waits; the next one finds what was made
	c.runner("b")
	ready := client.RawPatch(types.MergePatchType, []byte(`{"data":{"state":"ready"}}`))
	if err := c.kube.Patch(t.Context(), &made.Items[0], ready); err != nil {
		t.Fatal(err)
	}
	end := c.node("res", ".forbidden")
	if end.Phase != v1alpha1.NodeFailed || !strings.Contains(end.Message, "forbidden") {
		t.Errorf("forbidden: %s %s", end.Phase, end.Message)
	}
	outputs := map[string]string{}
	for _, p := range append(c.node("res", ".make").Outputs.Parameters, c.node("res", ".get").Outputs.Parameters...) {
		outputs[p.Name] = p.Value.String()
	}
	want := map[string]string{"name": made.Items[0].Name, "data": `{"state":"ready"}`, "none": "fallback", "more": "2"}
	for name, value := range want {
		if outputs[name] != value {
			t.Errorf("output %s is %q, want %q", name, outputs[name], value)
		}
	}
	for _, step := range []string{".apply", ".replace", ".gone", ".twice"} {
		if n := c.node("res", step); n.Phase != v1alpha1.NodeSucceeded {
			t.Errorf("%s: %s %s", step, n.Phase, n.Message)
		}
	}
	if err := c.kube.List(t.Context(), &made, client.InNamespace("ci")); err != nil {
		t.Fatal(err)
	}
	if len(made.Items) != 1 || len(made.Items[0].OwnerReferences) != 1 {
		t.Errorf("%d ConfigMaps are left: %+v", len(made.Items), made.Items)
	}
}

func TestRequestsAndData(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.builder()
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.Header.Get("Idempotency-Key") == "" {
			w.WriteHeader(http.StatusBadRequest)
		}
		fmt.Fprintf(w, "%s %s", r.Method, r.Header.Get("Token"))
	}))
	t.Cleanup(server.Close)
	c.create(`{apiVersion: v1, kind: Secret, metadata: {name: token}, stringData: {t: hush}}`)
	for _, key := range []string{"logs/a.txt", "logs/b.bin", "other/c.txt"} {
		if err := c.bus.Objects(bus.ArtifactsBucket).Put(t.Context(), store.ObjectName("ci", key),
			strings.NewReader("x")); err != nil {
			t.Fatal(err)
		}
	}
	c.runner("a")
	c.create(`
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: web}
spec:
  entrypoint: main
  serviceAccountName: builder
  templates:
  - name: main
    steps:
    - - {name: ask, template: ask}
      - {name: list, template: list}
      - {name: ghost, template: ghost, continueOn: {error: true}}
  - name: ask
    http: {url: "` + server.URL + `", method: PUT, headers: [{name: Token, valueFrom: {secretKeyRef: {name: token, key: t}}}], successCondition: 'response.statusCode == 200 && response.body contains "hush"'}
  - name: list
    data: {source: {artifactPaths: {name: x, s3: {key: logs/}}}, transformation: [{expression: "filter(data, {# endsWith '.txt'})"}]}
  - name: ghost
    serviceAccountName: ghost
    resource: {action: get, manifest: "{apiVersion: v1, kind: Pod, metadata: {name: x}}"}
`)
	if n := c.node("web", ".ask"); n.Phase != v1alpha1.NodeSucceeded || *n.Outputs.Result != "PUT hush" {
		t.Errorf("ask: %+v", n)
	}
	if n := c.node("web", ".list"); n.Phase != v1alpha1.NodeSucceeded || *n.Outputs.Result != `["logs/a.txt"]` {
		t.Errorf("list: %+v", n)
	}
	if n := c.node("web", ".ghost"); n.Phase != v1alpha1.NodeError || !strings.Contains(n.Message, "service account") {
		t.Errorf("ghost: %s %s", n.Phase, n.Message)
	}
	// What failed stays incomplete, also where it was tolerated. Source: Argo Workflows, UpdateProgress.
	if wf := c.awaitPhase(v1alpha1.WorkflowSucceeded); wf.Status.Progress != "2/3" {
		t.Errorf("progress %s", wf.Status.Progress)
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("%d requests for one node", n)
	}
}
