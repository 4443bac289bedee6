package workflow

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/object"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestEditsOfSuspendedNodes(t *testing.T) {
	began, later := metav1.Unix(100, 0), metav1.Unix(200, 0)
	is := v1alpha1.NodeStatus{ID: "ask", Name: "wf.ask", Type: v1alpha1.NodeTypeSuspend, Phase: v1alpha1.NodeRunning,
		StartedAt: &began, Message: "who?",
		Outputs: &v1alpha1.Outputs{Parameters: []v1alpha1.Parameter{{Name: "a",
			ValueFrom: &v1alpha1.ValueFrom{Supplied: &v1alpha1.SuppliedValueFrom{}}},
			{Name: "b", Value: v1alpha1.AnyStringPtr("old")}}}}
	for name, c := range map[string]struct {
		change func(*v1alpha1.NodeStatus)
		want   string // phase, message, a, b; "" is no edit, ! begins an error
	}{
		"nothing":             {func(*v1alpha1.NodeStatus) {}, ""},
		"an older message":    {func(n *v1alpha1.NodeStatus) { n.Message = "" }, ""},
		"another old message": {func(n *v1alpha1.NodeStatus) { n.Message = "before" }, ""},
		"more of a message":   {func(n *v1alpha1.NodeStatus) { n.Message = "who?; me" }, "Running who?; me - old"},
		"a value": {func(n *v1alpha1.NodeStatus) { n.Outputs.Parameters[0].Value = v1alpha1.AnyStringPtr("1") },
			"Running who? 1 old"},
		"a value of old": {
			func(n *v1alpha1.NodeStatus) { n.Outputs.Parameters[1].Value = v1alpha1.AnyStringPtr("older") }, ""},
		"an end without what it needs": {func(n *v1alpha1.NodeStatus) { n.Phase = v1alpha1.NodeSucceeded },
			`!output parameter "a" of node wf.ask is not supplied`},
		"an end": {func(n *v1alpha1.NodeStatus) {
			n.Phase, n.Message = v1alpha1.NodeSucceeded, "done"
			n.Outputs.Parameters[0] = v1alpha1.Parameter{Name: "a", Value: v1alpha1.AnyStringPtr("2")}
		}, "Succeeded done 2 old"},
		"a stop": {func(n *v1alpha1.NodeStatus) { n.Phase, n.Message = v1alpha1.NodeFailed, "no" },
			"Failed no - old"},
		"a phase of no end": {func(n *v1alpha1.NodeStatus) { n.Phase = v1alpha1.NodeSkipped }, `!phase "Skipped"`},
		"of an earlier try": {func(n *v1alpha1.NodeStatus) { n.Phase, n.StartedAt = v1alpha1.NodeSucceeded, &later },
			""},
	} {
		shown := *is.DeepCopy()
		c.change(&shown)
		state := flow.Run{Nodes: map[string]v1alpha1.NodeStatus{"ask": is,
			"pod": {ID: "pod", Type: v1alpha1.NodeTypePod, Phase: v1alpha1.NodeRunning, StartedAt: &began}}}
		ids := edits(state, map[string]v1alpha1.NodeStatus{"ask": shown,
			"pod":   {ID: "pod", Type: v1alpha1.NodeTypePod, Phase: v1alpha1.NodeSucceeded, StartedAt: &began},
			"ghost": shown})
		got := ""
		if len(ids) == 1 && ids[0] == "ask" {
			n, err := edited(state, is, shown, time.Unix(300, 0))
			if err != nil {
				got = "!" + err.Error()
			} else {
				a := "-"
				if v := n[0].Outputs.Parameters[0].Value; v != nil {
					a = v.String()
				}
				got = fmt.Sprintf("%s %s %s %s", n[0].Phase, n[0].Message, a, n[0].Outputs.Parameters[1].Value)
				if n[0].Phase.Fulfilled() != (n[0].FinishedAt != nil) {
					t.Errorf("%s: finished at %v", name, n[0].FinishedAt)
				}
			}
		} else if len(ids) > 0 {
			t.Errorf("%s: %v", name, ids)
		}
		if got != c.want && (c.want == "" || c.want[0] != '!' || !strings.HasPrefix(got, c.want)) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func packed(t *testing.T, nodes map[string]v1alpha1.NodeStatus) string {
	t.Helper()
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	_, err := zipped.Write(object.JSON(nodes))
	if err = errors.Join(err, zipped.Close()); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(out.Bytes())
}

func TestPackedNodesAreRead(t *testing.T) {
	nodes, err := unpacked(v1alpha1.WorkflowStatus{CompressedNodes: packed(t,
		map[string]v1alpha1.NodeStatus{"a": {ID: "a", Phase: v1alpha1.NodeSucceeded}})})
	if err != nil || nodes["a"].Phase != v1alpha1.NodeSucceeded {
		t.Errorf("%+v, %v", nodes, err)
	}
	for _, bad := range []string{"!", base64.StdEncoding.EncodeToString([]byte("zstd")), packed(t, nil)[:24]} {
		if nodes, err := unpacked(v1alpha1.WorkflowStatus{CompressedNodes: bad}); err == nil {
			t.Errorf("%q: %v", bad, nodes)
		}
	}
}
