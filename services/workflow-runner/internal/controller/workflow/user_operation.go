package workflow

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/libs/flow/operation"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/journal"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/object"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// applyUserOperations carries out the orders that stand on a workflow, each once: its key is recorded with what it
// changed. What cannot be done is said on the object, and the order is taken away.
func (r *Reconciler) applyUserOperations(ctx context.Context, wf *v1alpha1.Workflow, known *run) error {
	var refused []string
	gone := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(wf.Annotations)) {
		key, is := strings.CutPrefix(name, object.OrderPrefix)
		if !is {
			continue
		}
		gone[name] = nil
		if known.Obeyed[key] {
			continue
		}
		var ask object.UserOperation
		err := fault.AsPoison(json.Unmarshal([]byte(wf.Annotations[name]), &ask))
		if err == nil {
			err = r.carryOut(ctx, wf, known, key, ask)
		}
		if err != nil && fault.Of(err) != fault.Poison {
			return err // not yet, or not by us, or it could not be recorded: the order stays
		}
		if err != nil {
			refused = append(refused, fmt.Sprintf("%s: %v", name, err))
		}
	}
	if len(gone) == 0 {
		return nil
	}
	if len(refused) > 0 {
		r.Log.WarnContext(ctx, "orders were refused", "workflow", wf.Namespace+"/"+wf.Name, "orders", refused)
		gone[object.RefusedAnnotation] = strings.Join(refused, "; ")
	}
	target := object.Workflow()
	target.SetNamespace(wf.Namespace)
	target.SetName(wf.Name)
	body := object.JSON(map[string]any{"metadata": map[string]any{"annotations": gone}})
	return client.IgnoreNotFound(r.Client.Patch(ctx, target, client.RawPatch(types.MergePatchType, body)))
}

func (r *Reconciler) carryOut(ctx context.Context, wf *v1alpha1.Workflow, known *run, key string,
	ask object.UserOperation) error {
	pick, err := selector(ask.Selector)
	if err != nil {
		return fault.AsPoison(err)
	}
	e := journal.Entry{At: time.Now(), Order: key}
	switch ask.Operation {
	case "resume":
		e.Nodes, err = operation.Resume(known.State, pick, ask.Outputs, e.At)
	case "set":
		e.Nodes, err = set(known.State, pick, ask, e.At)
	case "retry":
		if err := r.restart(ctx, wf, known, retry{ask, pick}, &e); err != nil {
			return err
		}
	default:
		err = fmt.Errorf("operation %q is not known", ask.Operation)
	}
	if err != nil {
		return fault.AsPoison(err)
	}
	return r.runs.append(ctx, string(wf.UID), known, e)
}

// setPhases are the ends that a person may give a node.
var setPhases = []v1alpha1.NodePhase{"", v1alpha1.NodeSucceeded, v1alpha1.NodeFailed, v1alpha1.NodeError}

func set(state flow.Run, pick func(v1alpha1.NodeStatus) bool, ask object.UserOperation,
	now time.Time) ([]v1alpha1.NodeStatus, error) {
	phase := v1alpha1.NodePhase(ask.Phase)
	if !slices.Contains(setPhases, phase) {
		return nil, fmt.Errorf("phase %q is none of Succeeded, Failed, Error", ask.Phase)
	}
	changed, err := operation.Set(state, pick, ask.Outputs, phase, ask.Message)
	for i := range changed {
		if phase.Fulfilled() {
			at := metav1.NewTime(now)
			changed[i].FinishedAt = &at
		}
	}
	return changed, err
}

// retry is an order to do an ended run again.
type retry struct {
	object.UserOperation

	pick func(v1alpha1.NodeStatus) bool // nodes that are done again although they succeeded, where it says so
}

// restart fills the entry that lets an ended run go on. The pods of nodes that are done again go first: their names are
// those of the new ones. Until they are gone the order stays where it is.
func (r *Reconciler) restart(ctx context.Context, wf *v1alpha1.Workflow, known *run, ask retry,
	e *journal.Entry) error {
	spec, err := r.specOf(ctx, wf, known)
	if err != nil {
		return err
	}
	world := flow.World{Name: wf.Name, Namespace: wf.Namespace, Spec: spec, Run: known.State, Answers: known.Found,
		Now: e.At}
	again, err := operation.Retry(world, ask.Successful, ask.pick)
	if err != nil {
		return fault.AsPoison(err)
	}
	if len(ask.Parameters) > 0 {
		spec := known.Spec.DeepCopy()
		if err := override(spec, ask.Parameters); err != nil {
			return fault.AsPoison(err)
		}
		e.Spec = spec
	}
	var pods corev1.PodList
	if err := r.Client.List(ctx, &pods, client.InNamespace(wf.Namespace),
		client.MatchingLabels{object.LabelWorkflow: wf.Name}); err != nil {
		return fault.Stalef("list pods: %w", err)
	}
	left := 0
	for i := range pods.Items {
		pod := &pods.Items[i]
		if !object.OwnedBy(pod, wf) || !slices.Contains(again.Drop, pod.Annotations[object.AnnotationNodeID]) {
			continue
		}
		left++
		options := []client.DeleteOption{client.Preconditions{UID: &pod.UID}}
		if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
			options = append(options, client.GracePeriodSeconds(0))
		}
		if err := client.IgnoreNotFound(r.Client.Delete(ctx, pod, options...)); err != nil &&
			!apierrors.IsConflict(err) {
			return fault.Stalef("remove pod %s: %w", pod.Name, err)
		}
	}
	if left > 0 {
		return fault.Stalef("%d pods of nodes that are done again are not gone yet", left)
	}
	e.Restart = &again
	return nil
}

// override replaces arguments of a workflow.
func override(spec *v1alpha1.WorkflowSpec, values map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		at := -1
		if spec.Arguments != nil {
			at = slices.IndexFunc(spec.Arguments.Parameters, func(p v1alpha1.Parameter) bool { return p.Name == name })
		}
		if at < 0 {
			return fmt.Errorf("the workflow has no parameter %q", name)
		}
		p := &spec.Arguments.Parameters[at]
		p.Value, p.ValueFrom = v1alpha1.AnyStringPtr(values[name]), nil
	}
	return nil
}

// selector reads "field=value,...": the fields of a node that upstream's flag knows. Empty selects every node.
func selector(text string) (func(v1alpha1.NodeStatus) bool, error) {
	var checks []func(v1alpha1.NodeStatus) bool
	for _, term := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' }) {
		field, value, ok := strings.Cut(term, "=")
		get, known := nodeFields()[strings.TrimPrefix(field, "metadata.")]
		if !ok || !known {
			return nil, fmt.Errorf("selector %q: each term is one of displayName, name, id, templateName, phase, = and a value",
				term)
		}
		checks = append(checks, func(n v1alpha1.NodeStatus) bool { return get(n) == value })
	}
	return func(n v1alpha1.NodeStatus) bool {
		return !slices.ContainsFunc(checks, func(check func(v1alpha1.NodeStatus) bool) bool { return !check(n) })
	}, nil
}

func nodeFields() map[string]func(v1alpha1.NodeStatus) string {
	return map[string]func(v1alpha1.NodeStatus) string{
		"displayName":  func(n v1alpha1.NodeStatus) string { return n.DisplayName },
		"name":         func(n v1alpha1.NodeStatus) string { return n.Name },
		"id":           func(n v1alpha1.NodeStatus) string { return n.ID },
		"templateName": func(n v1alpha1.NodeStatus) string { return n.TemplateName },
		"phase":        func(n v1alpha1.NodeStatus) string { return string(n.Phase) },
	}
}
