package workflow

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/libs/flow/nodes"
	"github.com/argosy-mesh/argosy/libs/flow/operation"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/journal"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/object"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/status"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Other tools give orders by writing into the status what they want to come true. Source: Argo Workflows, whose
// commands resume, node set and stop of one node end a suspended node so, and whose retry takes back what has ended.
//
// Such an edit is carried out once, by its entry in the journal. Until that is written the edit stays in the object,
// where another replica finds it; afterwards the run says the same, and an edit that says what the run says is none.

// applyEdit carries out the orders that stand in the status of a workflow. What is cached says whether there may be
// one; the object itself, which may be newer, says what it is.
func (r *Reconciler) applyEdit(ctx context.Context, raw *unstructured.Unstructured, wf *v1alpha1.Workflow,
	known *run) error {
	ended := known.State.Phase.Completed()
	switch {
	case ended && !takenBack(wf.Status):
		return nil
	case !ended && wf.Status.CompressedNodes == "" && len(edits(known.State, wf.Status.Nodes)) == 0:
		return nil
	}
	live := object.Workflow()
	if err := r.Reader.Get(ctx, types.NamespacedName{Namespace: wf.Namespace, Name: wf.Name}, live); err != nil {
		return client.IgnoreNotFound(err)
	}
	now, _, err := v1alpha1.DecodeTolerant[v1alpha1.Workflow](live.Object)
	if live.GetUID() != wf.UID || err != nil && now == nil {
		return nil // it is another one by now
	}
	// From here on the status may be written over: it was looked at.
	raw.SetResourceVersion(live.GetResourceVersion())
	nodes, err := unpacked(now.Status)
	err = fault.AsPoison(err)
	if err == nil && ended {
		err = r.takeBack(ctx, now, known, nodes)
	} else if err == nil {
		err = r.take(ctx, now, known, nodes)
	}
	if fault.Of(err) != fault.Poison {
		return err // of another kind than a refusal: the edit stays
	}
	return r.refuseEdit(ctx, raw, known, err)
}

// take records what people did to suspended nodes.
func (r *Reconciler) take(ctx context.Context, wf *v1alpha1.Workflow, known *run,
	nodes map[string]v1alpha1.NodeStatus) error {
	if known.stale && !sameSecond(wf.Status.StartedAt, known.State.StartedAt) {
		return nil // it shows what a retry took back
	}
	if wf.Status.CompressedNodes != "" {
		known.foreign, known.behind = true, true // we never write it so
	}
	e := journal.Entry{At: time.Now()}
	for _, id := range edits(known.State, nodes) {
		n, err := edited(known.State, known.State.Nodes[id], nodes[id], e.At)
		if err != nil {
			return fault.AsPoison(err)
		}
		e.Nodes = append(e.Nodes, n...)
	}
	if len(e.Nodes) == 0 {
		return nil
	}
	r.Log.InfoContext(ctx, "suspended nodes were edited", "workflow", wf.Namespace+"/"+wf.Name, "nodes", len(e.Nodes))
	return r.runs.append(ctx, string(wf.UID), known, e)
}

// edits are the suspended nodes, by id in order, of which a status says more than the run: an end, a value, a message.
// What it says less of is only older.
func edits(state flow.Run, shown map[string]v1alpha1.NodeStatus) []string {
	var out []string
	for id, n := range shown {
		is, waits := state.Nodes[id]
		if !waits || is.Type != v1alpha1.NodeTypeSuspend || is.Phase != v1alpha1.NodeRunning || is.StartedAt == nil ||
			!sameSecond(n.StartedAt, is.StartedAt.Time) {
			continue
		}
		if n.Phase.Fulfilled() || newMessage(is, n) != "" || len(newValues(is, n)) > 0 {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

// sameSecond compares a time that an object has with one of ours: objects keep seconds.
func sameSecond(shown *metav1.Time, is time.Time) bool {
	return shown != nil && shown.Unix() == is.Unix()
}

// newMessage is the message that somebody gave a node, which other tools replace or go on with.
func newMessage(is, shown v1alpha1.NodeStatus) string {
	if shown.Message != is.Message && (shown.Phase.Fulfilled() || strings.HasPrefix(shown.Message, is.Message)) {
		return shown.Message
	}
	return ""
}

// newValues are the values that somebody gave outputs which have none.
func newValues(is, shown v1alpha1.NodeStatus) map[string]string {
	out := map[string]string{}
	if is.Outputs == nil || shown.Outputs == nil {
		return out
	}
	for _, p := range is.Outputs.Parameters {
		at := slices.IndexFunc(shown.Outputs.Parameters, func(s v1alpha1.Parameter) bool { return s.Name == p.Name })
		if p.Value == nil && at >= 0 && shown.Outputs.Parameters[at].Value != nil {
			out[p.Name] = shown.Outputs.Parameters[at].Value.String()
		}
	}
	return out
}

// edited is a node as an edit wants it.
func edited(state flow.Run, is, shown v1alpha1.NodeStatus, now time.Time) ([]v1alpha1.NodeStatus, error) {
	pick := func(n v1alpha1.NodeStatus) bool { return n.ID == is.ID }
	message := newMessage(is, shown)
	if shown.Phase != v1alpha1.NodeSucceeded {
		phase := shown.Phase
		if phase == v1alpha1.NodeRunning {
			phase = ""
		}
		return set(state, pick, object.UserOperation{Phase: string(phase), Message: message,
			Outputs: newValues(is, shown)},
			now)
	}
	// An end by this way needs all that an order to resume needs.
	out, err := operation.Resume(state, pick, newValues(is, shown), now)
	for i := range out {
		if message != "" {
			out[i].Message = message
		}
	}
	return out, err
}

// takenBack reports whether a status says that its workflow is to be done again.
func takenBack(s v1alpha1.WorkflowStatus) bool {
	return slices.ContainsFunc(s.Conditions,
		func(c v1alpha1.Condition) bool { return c.Type == status.Completed && c.Status == "False" })
}

// takeBack lets a run that ended go on, as its status says: nodes that succeeded and are gone from it are done again.
func (r *Reconciler) takeBack(ctx context.Context, wf *v1alpha1.Workflow, known *run,
	shown map[string]v1alpha1.NodeStatus) error {
	if !takenBack(wf.Status) || wf.Status.StartedAt == nil {
		return nil // what was cached is older than what we wrote
	}
	e := journal.Entry{At: time.Now(),
		Order: "status-retry-" + wf.Status.StartedAt.UTC().Format(time.RFC3339) + "-" + wf.ResourceVersion}
	if known.Obeyed[e.Order] {
		return nil
	}
	again := func(n v1alpha1.NodeStatus) bool {
		_, kept := shown[n.ID]
		return !kept && n.Phase == v1alpha1.NodeSucceeded && nodes.Works(n) && !strings.Contains(n.Name, ".onExit") &&
			!strings.Contains(n.Name, ".hooks.")
	}
	some := slices.ContainsFunc(slices.Collect(maps.Values(known.State.Nodes)), again)
	if err := r.restart(ctx, wf, known, retry{object.UserOperation{Operation: "retry", Successful: some,
		Parameters: changedArguments(wf.Spec, known.Spec)}, again}, &e); err != nil {
		return err
	}
	r.Log.InfoContext(ctx, "a run is done again, as its status says", "workflow", wf.Namespace+"/"+wf.Name)
	return r.runs.append(ctx, string(wf.UID), known, e)
}

// changedArguments are the arguments that a workflow has now and that its run was not started with.
func changedArguments(now v1alpha1.WorkflowSpec, started *v1alpha1.WorkflowSpec) map[string]string {
	out := map[string]string{}
	if now.Arguments == nil || started == nil || started.Arguments == nil {
		return out
	}
	for _, p := range now.Arguments.Parameters {
		at := slices.IndexFunc(started.Arguments.Parameters,
			func(s v1alpha1.Parameter) bool { return s.Name == p.Name })
		if at < 0 || p.Value == nil {
			continue
		}
		if was := started.Arguments.Parameters[at].Value; was == nil || was.String() != p.Value.String() {
			out[p.Name] = p.Value.String()
		}
	}
	return out
}

// refuseEdit says on the object why an edit is not carried out. The status is written anew: it must not go on saying
// what is not so.
func (r *Reconciler) refuseEdit(ctx context.Context, raw *unstructured.Unstructured, known *run, cause error) error {
	r.Log.WarnContext(ctx, "an edit of the status was refused", "workflow", raw.GetNamespace()+"/"+raw.GetName(),
		"error",
		cause)
	target := object.Workflow()
	target.SetNamespace(raw.GetNamespace())
	target.SetName(raw.GetName())
	known.foreign, known.behind = true, true
	body := object.JSON(map[string]any{"metadata": map[string]any{
		"resourceVersion": raw.GetResourceVersion(),
		"annotations":     map[string]any{object.RefusedAnnotation: "status: " + cause.Error()}}})
	if err := r.Client.Patch(ctx, target, client.RawPatch(types.MergePatchType, body)); err != nil {
		return overtaken(client.IgnoreNotFound(err))
	}
	raw.SetResourceVersion(target.GetResourceVersion())
	return nil
}

// nodesLimit bounds the nodes of a status once they are unpacked.
const nodesLimit = 256 << 20

// unpacked are the nodes of a status, which other tools pack when the object gets too large. Source: Argo Workflows.
func unpacked(s v1alpha1.WorkflowStatus) (map[string]v1alpha1.NodeStatus, error) {
	if s.CompressedNodes == "" {
		return s.Nodes, nil
	}
	packed, err := base64.StdEncoding.DecodeString(s.CompressedNodes)
	if err != nil {
		return nil, fmt.Errorf("compressedNodes: %w", err)
	}
	unzipped, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("compressedNodes: %w; only gzip can be read", err)
	}
	var nodes map[string]v1alpha1.NodeStatus
	if err := json.NewDecoder(io.LimitReader(unzipped, nodesLimit)).Decode(&nodes); err != nil {
		return nil, fmt.Errorf("compressedNodes: %w", err)
	}
	return nodes, nil
}
