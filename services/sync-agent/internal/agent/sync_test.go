package agent

import (
	"fmt"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/libs/kube/object"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// kinds of objects that tests read back.
var (
	jobs        = schema.GroupVersionKind{Group: "batch", Version: "v1", Kind: "Job"}
	deployments = schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}
)

// find returns an object of the namespace demo, nil when it is not there.
func (m *mesh) find(gvk schema.GroupVersionKind, name string) *unstructured.Unstructured {
	m.Helper()
	o := &unstructured.Unstructured{}
	o.SetGroupVersionKind(gvk)
	if err := m.client.Get(m.Context(), client.ObjectKey{Namespace: "demo", Name: name}, o); err != nil {
		if !apierrors.IsNotFound(err) {
			m.Fatal(err)
		}
		return nil
	}
	return o
}

// mergePatch changes an Application as people do with kubectl.
func (m *mesh) mergePatch(name, body string) {
	m.Helper()
	o := object.Named("Application", "argocd", name)
	if err := m.client.Patch(
		m.Context(),
		o,
		client.RawPatch("application/merge-patch+json", []byte(body)),
	); err != nil {
		m.Fatal(err)
	}
}

// complete ends a Job as its controller would.
func (m *mesh) complete(name, condition string) {
	m.Helper()
	var j batchv1.Job
	if err := m.client.Get(m.Context(), client.ObjectKey{Namespace: "demo", Name: name}, &j); err != nil {
		m.Fatal(err)
	}
	now := metav1.Now()
	j.Status.StartTime = &now
	before := batchv1.JobSuccessCriteriaMet
	if condition == "Failed" {
		before = batchv1.JobFailureTarget
	} else {
		j.Status.CompletionTime = &now
	}
	for _, kind := range []batchv1.JobConditionType{before, batchv1.JobConditionType(condition)} {
		j.Status.Conditions = append(j.Status.Conditions, batchv1.JobCondition{
			Type: kind, Status: corev1.ConditionTrue, LastTransitionTime: now, Message: "said the job",
		})
	}
	if err := m.client.Status().Update(m.Context(), &j); err != nil {
		m.Fatal(err)
	}
}

func jobManifest(name, hook string) string {
	return fmt.Sprintf(`apiVersion: batch/v1
kind: Job
metadata:
  name: %s
  annotations: {%s}
spec:
  template:
    spec: {restartPolicy: Never, containers: [{name: c, image: c}]}
`, name, hook)
}

func TestHooksRunOnceThroughARestart(t *testing.T) {
	m := newMesh(t)
	m.commit("first", map[string]string{
		"app/a.yaml":   settings("a", "k", "1"),
		"app/pre.yaml": jobManifest("pre", "argocd.argoproj.io/hook: PreSync"),
		"app/post.yaml": jobManifest(
			"post",
			"argocd.argoproj.io/hook: PostSync, argocd.argoproj.io/hook-delete-policy: HookSucceeded",
		),
	})
	stop := m.start("one")
	m.create(manifest("shop", m.url(), "app", automated, nil))
	m.await("the hook runs", func() bool { return m.find(jobs, "pre") != nil })
	first := m.find(jobs, "pre").GetUID()
	if m.configMap("a") != nil {
		t.Error("applied before the hook ended")
	}
	stop()
	m.agent("two")
	m.await("the operation is taken up", func() bool {
		s := m.app("shop").Status.OperationState
		return s != nil && s.Phase == v1alpha1.OperationRunning &&
			strings.Contains(s.Message, "hook batch/Job demo/pre")
	})
	m.complete("pre", "Complete")
	m.await("the rest is applied", func() bool { return m.configMap("a") != nil && m.find(jobs, "post") != nil })
	if got := m.find(jobs, "pre").GetUID(); got != first {
		t.Error("the hook ran twice")
	}
	m.complete("post", "Complete")
	m.await("the sync succeeds", func() bool {
		app := m.app("shop")
		return app.Status.OperationState.Phase == v1alpha1.OperationSucceeded && app.Status.Sync.Status == "Synced"
	})
	m.await("the hook goes that asked for it", func() bool {
		post := m.find(jobs, "post")
		return post == nil || post.GetDeletionTimestamp() != nil
	})
	second := m.commit("second", map[string]string{
		"app/a.yaml": settings("a", "k", "2"),
		"app/pre.yaml": strings.Replace(
			jobManifest("pre", "argocd.argoproj.io/hook: PreSync"), "image: c", "image: d", 1,
		),
	})
	defer func() {
		m.push("p2", second)
		m.await("a hook that cannot be changed is made again", func() bool {
			pre := m.find(jobs, "pre")
			return pre != nil && pre.GetUID() != first
		})
	}()
	results := map[string]string{}
	for _, r := range m.app("shop").Status.OperationState.SyncResult.Resources {
		results[r.Kind+"/"+r.Name] = r.SyncPhase + " " + r.Status + " " + r.HookPhase
	}
	if results["Job/pre"] != "PreSync Synced Succeeded" || results["Job/post"] != "PostSync Synced Succeeded" {
		t.Errorf("results %v", results)
	}
}

func TestNothingIsAppliedWhenOneObjectIsRefused(t *testing.T) {
	m := newMesh(t)
	m.commit("first", map[string]string{
		"app/a.yaml": settings("a", "k", "1"),
		"app/b.yaml": "apiVersion: v1\nkind: Service\nmetadata: {name: b}\nspec: {ports: [{port: 99999}]}\n",
		"app/c.yaml": settings("c", "k", "1"),
	})
	m.agent("one")
	m.create(manifest("shop", m.url(), "app", "{automated: {}, retry: {limit: 0}}", nil))
	m.await("the sync fails", func() bool {
		s := m.app("shop").Status.OperationState
		return s != nil && s.Phase == v1alpha1.OperationFailed && strings.Contains(s.Message, "99999")
	})
	if m.configMap("a") != nil || m.configMap("c") != nil {
		t.Error("half applied")
	}
}

// normalised are manifests that the API server changes: none is drift, neither right after the apply nor for an agent
// that did not apply them.
const normalised = `apiVersion: apps/v1
kind: Deployment
metadata: {name: d}
spec:
  replicas: null
  selector: {matchLabels: {app: d}}
  template:
    metadata: {labels: {app: d}}
    spec:
      containers:
      - name: c
        image: c
        env: [{name: EMPTY, value: ""}, {name: LEVEL, value: "1"}]
        ports: [{containerPort: 80}]
        resources: {requests: {cpu: 1000m, memory: 1024Mi}, limits: {cpu: "1.0"}}
---
apiVersion: v1
kind: Secret
metadata: {name: s}
stringData: {a: b}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: r}
rules: []
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: r, creationTimestamp: null}
roleRef: {kind: Role, name: r, apiGroup: rbac.authorization.k8s.io}
subjects: [{kind: ServiceAccount, name: default, namespace: demo}]
---
apiVersion: v1
kind: Service
metadata: {name: svc}
spec: {selector: {app: d}, ports: [{name: a, port: 80}, {name: b, port: 81, protocol: UDP}]}
status: {loadBalancer: {}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: p}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: "1073741824"}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: numbers, labels: null}
data: {version: "1.10"}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: h}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: d}
  maxReplicas: 3
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}}]
`

func TestWhatTheServerMakesOfManifestsIsNoDrift(t *testing.T) {
	m := newMesh(t)
	m.commit("first", map[string]string{"app/all.yaml": normalised})
	stop := m.start("one")
	m.create(manifest("shop", m.url(), "app", automated, nil))
	m.await("all is applied", func() bool { return m.app("shop").Status.Sync.Status == "Synced" })
	applied := m.find(deployments, "d").GetResourceVersion()
	history := len(m.app("shop").Status.History)
	stop()
	m.agent("two")
	m.mergePatch("shop", `{"metadata":{"annotations":{"argocd.argoproj.io/refresh":"hard"}}}`)
	m.await("it is compared again", func() bool {
		return m.app("shop").Annotations["argocd.argoproj.io/refresh"] == ""
	})
	app := m.app("shop")
	if app.Status.Sync.Status != "Synced" || len(app.Status.History) != history ||
		m.find(deployments, "d").GetResourceVersion() != applied {
		t.Errorf("drift where there is none: %+v", app.Status)
	}

	// What others add to a list that they may add to is no drift; what they change of ours is.
	d := m.find(deployments, "d")
	d.SetManagedFields(nil)
	containers, _, _ := unstructured.NestedSlice(d.Object, "spec", "template", "spec", "containers")
	containers = append(containers, map[string]any{"name": "side", "image": "side"})
	if err := unstructured.SetNestedSlice(
		d.Object,
		containers,
		"spec",
		"template",
		"spec",
		"containers",
	); err != nil {
		t.Fatal(err)
	}
	if err := m.client.Update(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	cm := m.configMap("numbers")
	cm.Data["version"] = "1.1"
	if err := m.client.Update(t.Context(), cm); err != nil {
		t.Fatal(err)
	}
	m.await(
		"equal as a number, yet another text",
		func() bool { return m.configMap("numbers").Data["version"] == "1.10" },
	)
	m.await("settled", func() bool { return m.app("shop").Status.Sync.Status == "Synced" })
	left, _, _ := unstructured.NestedSlice(m.find(deployments, "d").Object, "spec", "template", "spec", "containers")
	if len(left) != 2 {
		t.Errorf("what others added is gone: %v", left)
	}
}

func TestFieldsOfAClientSideApplyLeaveWithGit(t *testing.T) {
	m := newMesh(t)
	m.create("apiVersion: v1\nkind: Namespace\nmetadata: {name: other}")
	old := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"name": "a", "namespace": "demo"},
		"data":     map[string]any{"k": "1", "gone": "yes"},
	}}
	if err := m.client.Create(t.Context(), old, client.FieldOwner("kubectl-client-side-apply")); err != nil {
		t.Fatal(err)
	}
	m.commit("first", map[string]string{"app/a.yaml": settings("a", "k", "1")})
	m.agent("one")
	m.create(manifest("shop", m.url(), "app", automated, nil))
	m.await("taken over", func() bool { return m.app("shop").Status.Sync.Status == "Synced" })
	if got := m.configMap("a").Data; len(got) != 1 {
		t.Errorf("a field that Git does not say stays: %v", got)
	}
}

func TestIgnoredDifferences(t *testing.T) {
	m := newMesh(t)
	m.commit("first", map[string]string{"app/d.yaml": strings.Split(normalised, "---")[0]})
	m.agent("one")
	text := manifest("shop", m.url(), "app", automated, nil) + `  ignoreDifferences:
  - {group: apps, kind: Deployment, jqPathExpressions: ['.spec.template.spec.containers[] | select(.name == "c") | .image']}
  - {group: apps, kind: Deployment, managedFieldsManagers: [scaler]}
`
	m.create(text)
	m.await("applied", func() bool { return m.app("shop").Status.Sync.Status == "Synced" })
	patch := func(owner, body string) {
		t.Helper()
		o := m.find(deployments, "d")
		if err := m.client.Patch(
			t.Context(),
			o,
			client.RawPatch("application/strategic-merge-patch+json", []byte(body)),
			client.FieldOwner(owner),
		); err != nil {
			t.Fatal(err)
		}
	}
	patch("someone", `{"spec":{"template":{"spec":{"containers":[{"name":"c","image":"other"}]}}}}`)
	patch("scaler", `{"spec":{"template":{"spec":{"containers":[{"name":"c","resources":{"limits":{"cpu":"3"}}}]}}}}`)
	patch("someone", `{"metadata":{"labels":{"seen":"yes"}}}`)
	patch(
		"someone",
		`{"spec":{"template":{"spec":{"containers":[{"name":"c","env":[{"name":"LEVEL","value":"2"}]}]}}}}`,
	)
	m.await("what is not ignored is healed", func() bool {
		return strings.Contains(fmt.Sprint(m.find(deployments, "d").Object["spec"]), "name:LEVEL value:1")
	})
}

func TestWhatCannotBeChangedIsMadeAgain(t *testing.T) {
	m := newMesh(t)
	deployment := func(app string) string {
		return strings.ReplaceAll(strings.ReplaceAll(
			strings.Split(normalised, "---")[0], "app: d", "app: "+app,
		), "{name: d}", "{name: d, annotations: {argocd.argoproj.io/sync-options: 'Force=true,Replace=true'}}")
	}
	m.commit("first", map[string]string{"app/d.yaml": deployment("first"), "app/a.yaml": settings("a", "k", "1")})
	m.agent("one")
	m.create(manifest("shop", m.url(), "app", automated, nil))
	m.await("applied", func() bool { return m.app("shop").Status.Sync.Status == "Synced" })
	first := m.find(deployments, "d").GetUID()
	second := m.commit("second", map[string]string{"app/d.yaml": deployment("second")})
	m.push("p2", second)
	m.await("it is another object", func() bool {
		d := m.find(deployments, "d")
		return d != nil && d.GetUID() != first
	})
	m.await("synced", func() bool {
		s := m.app("shop").Status.Sync
		return s.Revision == second && s.Status == "Synced"
	})
}

func TestDependenciesAndHold(t *testing.T) {
	m := newMesh(t)
	first := m.commit("first", map[string]string{
		"base/a.yaml": settings("a", "k", "1"), "top/b.yaml": settings("b", "k", "1"),
	})
	m.agent("one")
	m.create(manifest("top", m.url(), "top", automated, map[string]string{"argosy.dev/depends-on": "base"}))
	m.await("it says what blocks it", func() bool {
		c := m.app("top").Status.Conditions
		return len(c) == 1 &&
			strings.Contains(c[0].Message, "blocked by application argocd/base, which does not exist")
	})
	m.create(manifest("base", m.url(), "base", automated, nil))
	m.await("it follows", func() bool { return m.configMap("b") != nil && m.configMap("a") != nil })

	second := m.commit("second", map[string]string{"base/a.yaml": settings("a", "k", "2")})
	m.push("p2", second)
	m.await("the second revision", func() bool { return m.configMap("a").Data["k"] == "2" })
	m.mergePatch("base", `{"operation":{"initiatedBy":{"username":"me"},"sync":{"revision":"`+first+`"}}}`)
	m.await("rolled back", func() bool { return m.configMap("a").Data["k"] == "1" })
	m.await("automation is held", func() bool {
		app := m.app("base")
		return app.Annotations["argosy.dev/hold"] != "" && app.Status.Sync.Status == "OutOfSync" &&
			len(app.Status.Conditions) == 1
	})
	m.mergePatch("base", `{"metadata":{"annotations":{"argosy.dev/hold":null}}}`)
	m.await("released", func() bool { return m.configMap("a").Data["k"] == "2" })
}
