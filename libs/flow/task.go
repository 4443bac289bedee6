package flow

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/argosy-mesh/argosy/libs/flow/location"
	"github.com/argosy-mesh/argosy/libs/flow/scope"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// tasks are the templates whose work needs no pod of theirs: resource, http, data, plugin.
type tasks struct {
	*state
	node v1alpha1.NodeType // of the nodes that do it
}

// do makes or advances the node of work without a pod.
func (k tasks) do(c call, t v1alpha1.Template, sc scope.Scope) v1alpha1.NodeStatus {
	if _, exists := k.nodes.Named(c.name); !exists && !k.mayStart(k.node) {
		return v1alpha1.NodeStatus{}
	}
	sc = sc.OfPod(t, k.podOf(c.name, cmp.Or(refTemplate(c.ref), c.template)))
	err := sc.FillTemplate(&t)
	if err == nil {
		err = k.locate(&t, sc)
	}
	if err != nil {
		return k.fail(c, k.node, fmt.Errorf("template %q: %w", c.template, err))
	}
	n := k.begin(c, k.node, v1alpha1.NodeRunning)
	if end, ended := k.w.Tasks[n.ID]; ended {
		return k.settle(n, t, end)
	}
	if n = k.enforceTimeout(n, t); n.Phase.Fulfilled() {
		k.actions = append(k.actions, StopTask{NodeID: n.ID})
		return n
	}
	k.actions = append(k.actions, Perform{NodeID: n.ID, NodeName: n.Name, Template: t, Deadline: k.runDeadline(),
		Account: cmp.Or(t.ServiceAccountName, k.w.Spec.ServiceAccountName)})
	return n
}

// settle takes the end of a task into its node.
func (k tasks) settle(n v1alpha1.NodeStatus, t v1alpha1.Template, end Task) v1alpha1.NodeStatus {
	at := metav1.NewTime(end.At)
	n.Phase, n.Message, n.FinishedAt, n.Outputs = end.Phase, end.Message, &at, end.Outputs
	if t.Outputs == nil {
		return k.put(n)
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
		if p.Value != nil && !has(got, p.Name, func(x v1alpha1.Parameter) string { return x.Name }) {
			n.Outputs.Parameters = append(n.Outputs.Parameters, v1alpha1.Parameter{Name: p.Name, GlobalName: p.GlobalName, Value: p.Value})
		}
	}
	return k.put(n)
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
func (k tasks) locate(t *v1alpha1.Template, s scope.Scope) error {
	if t.Data != nil && t.Data.Source.ArtifactPaths != nil {
		data := t.Data.DeepCopy()
		data.Source.ArtifactPaths.ArtifactLocation = location.Relocate(k.w.Repository, data.Source.ArtifactPaths.ArtifactLocation)
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
		return fmt.Errorf("resource.manifestFrom: artifact %q has no place that can be reached and is no input", one[0].Name)
	}
	one[0].ArtifactLocation = location.Relocate(k.w.Repository, one[0].ArtifactLocation)
	t.Resource.ManifestFrom.Artifact = one[0]
	return nil
}
