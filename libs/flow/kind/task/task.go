// Package task does the work of templates that need no pod of theirs: resource, http, data, plugin. Others perform it;
// here it is asked for, and its end taken in.
package task

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/libs/flow/location"
	"github.com/argosy-mesh/argosy/libs/flow/scope"
	"github.com/argosy-mesh/argosy/libs/flow/state"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Kind is that of the templates whose work needs no pod of theirs: resource, http, data, plugin.
type Kind struct {
	*state.State
	Node v1alpha1.NodeType // of the nodes that do it
}

// Do makes or advances the node of work without a pod.
func (k Kind) Do(c state.Call, t v1alpha1.Template, sc scope.Scope) v1alpha1.NodeStatus {
	if _, exists := k.Nodes.Named(c.Name); !exists && !k.MayStart(k.Node) {
		return v1alpha1.NodeStatus{}
	}
	sc = sc.OfPod(t, k.PodOf(c.Name, cmp.Or(state.RefTemplate(c.Ref), c.Template)))
	err := sc.FillTemplate(&t)
	if err == nil {
		err = k.locate(&t, sc)
	}
	if err != nil {
		return k.Fail(c, k.Node, fmt.Errorf("template %q: %w", c.Template, err))
	}
	n := k.Begin(c, k.Node, v1alpha1.NodeRunning)
	if end, ended := k.World.Tasks[n.ID]; ended {
		return k.settle(n, t, end)
	}
	if n = k.EnforceTimeout(n, t); n.Phase.Fulfilled() {
		k.Actions = append(k.Actions, flow.StopTask{NodeID: n.ID})
		return n
	}
	k.Actions = append(k.Actions, flow.Perform{NodeID: n.ID, NodeName: n.Name, Template: t, Deadline: k.RunDeadline(),
		Account: cmp.Or(t.ServiceAccountName, k.World.Spec.ServiceAccountName)})
	return n
}

// settle takes the end of a task into its node.
func (k Kind) settle(n v1alpha1.NodeStatus, t v1alpha1.Template, end flow.Task) v1alpha1.NodeStatus {
	at := metav1.NewTime(end.At)
	n.Phase, n.Message, n.FinishedAt, n.Outputs = end.Phase, end.Message, &at, end.Outputs
	if t.Outputs == nil {
		return k.Put(n)
	}
	n.Outputs = n.Outputs.DeepCopy()
	if n.Outputs == nil {
		n.Outputs = &v1alpha1.Outputs{}
	}
	got := n.Outputs.Parameters
	for i := range got {
		got[i].GlobalName = globalName(t.Outputs.Parameters, got[i].Name)
	}
	for _, p := range t.Outputs.Parameters {
		if p.Value != nil && !slices.ContainsFunc(got, func(x v1alpha1.Parameter) bool { return x.Name == p.Name }) {
			n.Outputs.Parameters = append(n.Outputs.Parameters,
				v1alpha1.Parameter{Name: p.Name, GlobalName: p.GlobalName, Value: p.Value})
		}
	}
	return k.Put(n)
}

func globalName(declared []v1alpha1.Parameter, name string) string {
	i := slices.IndexFunc(declared, func(p v1alpha1.Parameter) bool { return p.Name == name })
	if i < 0 {
		return ""
	}
	return declared[i].GlobalName
}

// locate puts the place of an artifact into a manifest that comes from one: its own, or that of the input of its name.
// What data templates list is a place too.
func (k Kind) locate(t *v1alpha1.Template, s scope.Scope) error {
	if t.Data != nil && t.Data.Source.ArtifactPaths != nil {
		data := t.Data.DeepCopy()
		data.Source.ArtifactPaths.ArtifactLocation = location.Relocate(k.World.Repository,
			data.Source.ArtifactPaths.ArtifactLocation)
		t.Data = data
		return nil
	}
	if t.Resource == nil || t.Resource.ManifestFrom == nil {
		return nil
	}
	one, missing, err := s.Follow([]v1alpha1.Artifact{t.Resource.ManifestFrom.Artifact})
	if err != nil || len(one) == 0 {
		return errors.Join(err, fmt.Errorf("resource.manifestFrom: %s", missing[t.Resource.ManifestFrom.Artifact.Name]))
	}
	if in, ok := s.Artifact("inputs.artifacts." + one[0].Name); ok && !location.Located(one[0]) {
		one[0].ArtifactLocation, one[0].Archive = in.ArtifactLocation, in.Archive
	}
	if !location.Located(one[0]) {
		return fmt.Errorf("resource.manifestFrom: artifact %q has no place that can be reached and is no input",
			one[0].Name)
	}
	one[0].ArtifactLocation = location.Relocate(k.World.Repository, one[0].ArtifactLocation)
	t.Resource.ManifestFrom.Artifact = one[0]
	return nil
}
