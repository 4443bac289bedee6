package workflow

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	kubeobject "github.com/argosy-mesh/argosy/libs/kube/object"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/libs/flow/library"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/journal"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/object"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
)

// specOf is the spec of a run: the one it was started with, or the one to start it with. Only the orders to stop are
// read from the object as it is now.
func (r *Reconciler) specOf(ctx context.Context, wf *v1alpha1.Workflow, known *run) (v1alpha1.WorkflowSpec, error) {
	if known.Spec != nil {
		spec := *known.Spec
		spec.Shutdown, spec.Suspend = wf.Spec.Shutdown, wf.Spec.Suspend
		if wf.Spec.ActiveDeadlineSeconds != nil {
			spec.ActiveDeadlineSeconds = wf.Spec.ActiveDeadlineSeconds
		}
		return spec, nil
	}
	ref := wf.Spec.WorkflowTemplateRef
	if ref == nil {
		return wf.Spec, nil
	}
	need := flow.Lookup{Kind: flow.LookupTemplate, Name: ref.Name}
	if ref.ClusterScope {
		need.Kind = flow.LookupClusterTemplate
	}
	answer, err := r.find(ctx, wf.Namespace, need)
	if err != nil {
		return wf.Spec, err
	}
	if answer.Missing != "" {
		return wf.Spec, fault.Poisonf("spec.workflowTemplateRef: %s %q: %s", need.Kind, ref.Name, answer.Missing)
	}
	var template v1alpha1.WorkflowSpec
	if err := json.Unmarshal(answer.Value, &template); err != nil {
		return wf.Spec, fault.Poisonf("spec.workflowTemplateRef: %s %q: %w", need.Kind, ref.Name, err)
	}
	return library.MergeSpec(wf.Spec, template)
}

// resolve answers the questions of the core and records the answers.
func (r *Reconciler) resolve(ctx context.Context, wf *v1alpha1.Workflow, known *run, needs []flow.Lookup) error {
	if len(needs) == 0 {
		return nil
	}
	e := journal.Entry{At: time.Now()}
	for _, n := range needs {
		answer, err := r.find(ctx, wf.Namespace, n)
		if err != nil {
			return err
		}
		e.Found = append(e.Found, journal.Finding{Need: n, Answer: answer})
	}
	return r.runs.append(ctx, string(wf.UID), known, e)
}

// find looks one thing up. What is not there is an answer; an error means that nobody could tell.
func (r *Reconciler) find(ctx context.Context, namespace string, n flow.Lookup) (flow.Answer, error) {
	switch n.Kind {
	case flow.LookupTemplate:
		return r.findTemplate(ctx, types.NamespacedName{Namespace: namespace, Name: n.Name}, "WorkflowTemplate")
	case flow.LookupClusterTemplate:
		return r.findTemplate(ctx, types.NamespacedName{Name: n.Name}, "ClusterWorkflowTemplate")
	}
	var config corev1.ConfigMap
	err := r.Reader.Get(ctx, types.NamespacedName{Namespace: namespace, Name: n.Name}, &config)
	if apierrors.IsNotFound(err) {
		return flow.Answer{Missing: "there is no such ConfigMap"}, nil
	}
	if err != nil {
		return flow.Answer{}, fmt.Errorf("read ConfigMap %s/%s: %w", namespace, n.Name, err)
	}
	value, ok := config.Data[n.Key]
	switch {
	case !ok:
		return flow.Answer{Missing: fmt.Sprintf("it has no key %q", n.Key)}, nil
	case n.Kind == flow.LookupMemo && !json.Valid([]byte(value)):
		return flow.Answer{Missing: fmt.Sprintf("its key %q holds no JSON", n.Key)}, nil
	case n.Kind == flow.LookupMemo:
		return flow.Answer{Value: json.RawMessage(value)}, nil
	}
	return flow.Answer{Value: object.JSON(value)}, nil
}

func (r *Reconciler) findTemplate(ctx context.Context, name types.NamespacedName, kind string) (flow.Answer, error) {
	u := kubeobject.New(kind)
	err := r.Reader.Get(ctx, name, u)
	if apierrors.IsNotFound(err) {
		return flow.Answer{Missing: "there is no such object"}, nil
	}
	if err != nil {
		return flow.Answer{}, fmt.Errorf("read %s %s: %w", kind, name, err)
	}
	// Read as tolerantly as a Workflow is, and kept as our types say it.
	t, _, unreadable := v1alpha1.DecodeTolerant[v1alpha1.WorkflowTemplate](u.Object)
	if unreadable != nil {
		return flow.Answer{Missing: "it cannot be read: " + unreadable.Error()}, nil //nolint:nilerr // that it cannot be read is the answer
	}
	return flow.Answer{Value: object.JSON(t.Spec)}, nil
}

// memoLabels mark a ConfigMap as a cache. Source: Argo Workflows reads no other.
func memoLabels() map[string]string {
	return map[string]string{"workflows.argoproj.io/configmap-type": "Cache"}
}

// saveMemo remembers outputs in a cache. A cache that cannot take them is no reason to fail what was done.
func (r *Reconciler) saveMemo(ctx context.Context, namespace string, a flow.SaveMemo) error {
	value := object.JSON(flow.MemoEntry{NodeID: a.NodeID, Outputs: a.Outputs, CreationTimestamp: time.Now(),
		LastHitTimestamp: time.Now()})
	var config corev1.ConfigMap
	err := r.Reader.Get(ctx, types.NamespacedName{Namespace: namespace, Name: a.ConfigMap}, &config)
	switch {
	case apierrors.IsNotFound(err):
		config.Namespace, config.Name, config.Labels, config.Data = namespace, a.ConfigMap, memoLabels(),
			map[string]string{a.Key: string(value)}
		err = r.Client.Create(ctx, &config)
	case err == nil:
		if config.Data == nil {
			config.Data = map[string]string{}
		}
		config.Data[a.Key] = string(value)
		err = r.Client.Update(ctx, &config)
	}
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
		return fault.Stalef("remember %s in ConfigMap %s/%s: %w", a.Key, namespace, a.ConfigMap, err)
	}
	if err != nil {
		r.Log.WarnContext(ctx, "outputs were not remembered", "configmap", namespace+"/"+a.ConfigMap, "key", a.Key,
			"error",
			err)
	}
	return nil
}
