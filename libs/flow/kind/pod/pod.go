// Package pod does the work of templates whose work a pod does: container, script, containerSet. It asks for the pod,
// and takes in what became of it.
package pod

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/libs/flow/location"
	"github.com/argosy-mesh/argosy/libs/flow/nodes"
	"github.com/argosy-mesh/argosy/libs/flow/protocol"
	"github.com/argosy-mesh/argosy/libs/flow/scope"
	"github.com/argosy-mesh/argosy/libs/flow/state"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Kind is that of the templates whose work a pod does: container, script, containerSet.
type Kind struct{ *state.State }

// Do makes or advances the node of one pod.
func (k Kind) Do(c state.Call, t v1alpha1.Template, sc scope.Scope) v1alpha1.NodeStatus {
	if _, exists := k.Nodes.Named(c.Name); !exists && !k.MayStart(v1alpha1.NodeTypePod) {
		return v1alpha1.NodeStatus{}
	}
	pod, seen := k.World.Pods[k.Nodes.ID(c.Name)]
	if !seen {
		return k.create(c, t, sc)
	}
	if err := k.resolveEnd(c, &t, sc); err != nil {
		return k.Fail(c, v1alpha1.NodeTypePod, fmt.Errorf("template %q: %w", c.Template, err))
	}
	n := k.Begin(c, v1alpha1.NodeTypePod, v1alpha1.NodePending)
	n = k.observe(n, t, pod, sc)
	if !n.Phase.Fulfilled() && !nodes.Serves(n) {
		n = k.EnforceTimeout(n, t)
	}
	if t.ContainerSet != nil {
		k.containers(c, n, t, pod)
		n = k.Nodes.At(n.ID)
	}
	return n
}

// create asks for the pod, again and again until it is seen: its name makes the
// repetition harmless, and a crash after recording the node loses nothing.
func (k Kind) create(c state.Call, t v1alpha1.Template, sc scope.Scope) v1alpha1.NodeStatus {
	pod := k.PodOf(c.Name, cmp.Or(state.RefTemplate(c.Ref), c.Template))
	sc = sc.OfPod(t, pod)
	if err := sc.FillTemplate(&t); err != nil {
		return k.Fail(c, v1alpha1.NodeTypePod, fmt.Errorf("template %q: %w", c.Template, err))
	}
	logs, err := k.locateAll(&t, sc)
	if err != nil {
		return k.Fail(c, v1alpha1.NodeTypePod, fmt.Errorf("template %q: %w", c.Template, err))
	}
	n := k.Begin(c, v1alpha1.NodeTypePod, v1alpha1.NodePending)
	if n = k.EnforceTimeout(n, t); n.Phase.Fulfilled() {
		return n
	}
	spec, err := k.podSettings(t, sc)
	if err != nil {
		return k.Finish(n, v1alpha1.NodeError, fmt.Sprintf("spec: %v", err))
	}
	k.Actions = append(k.Actions, flow.CreatePod{NodeID: n.ID, NodeName: n.Name, PodName: pod, Template: t, Logs: logs,
		Spec: spec, Retry: c.Retry, Deadline: k.RunDeadline()})
	return n
}

// resolveEnd resolves what of a template counts once its pod is there: its time limits, and what it leaves behind.
func (k Kind) resolveEnd(c state.Call, t *v1alpha1.Template, sc scope.Scope) error {
	part := struct {
		Timeout, PendingTimeout string
		Outputs                 *v1alpha1.Outputs
		ArchiveLocation         *v1alpha1.ArtifactLocation
	}{t.Timeout, t.PendingTimeout, t.Outputs, t.ArchiveLocation}
	sc = sc.OfPod(*t, k.PodOf(c.Name, cmp.Or(state.RefTemplate(c.Ref), c.Template)))
	if err := scope.Substitute(&part, sc.As(scope.FinalTags)); err != nil {
		return err
	}
	t.Timeout, t.PendingTimeout, t.Outputs, t.ArchiveLocation = part.Timeout, part.PendingTimeout, part.Outputs,
		part.ArchiveLocation
	return nil
}

// locateAll gives the artifacts of a template their places, and returns those of its logs.
func (k Kind) locateAll(t *v1alpha1.Template, sc scope.Scope) (logs []v1alpha1.Artifact, err error) {
	artifacts, logs, err := k.placed(*t, sc)
	if err != nil {
		return nil, err
	}
	if t.Outputs != nil {
		t.Outputs = t.Outputs.DeepCopy()
		t.Outputs.Artifacts = artifacts
	}
	if t.Inputs == nil {
		return logs, nil
	}
	t.Inputs = t.Inputs.DeepCopy()
	for i, a := range t.Inputs.Artifacts {
		from, ok := sc.Artifact("inputs.artifacts." + a.Name)
		if !ok {
			t.Inputs.Artifacts[i].Optional = true // the caller may have said so, not the template
			continue
		}
		in := &t.Inputs.Artifacts[i]
		in.Archive, in.SubPath, in.From, in.FromExpression = from.Archive, from.SubPath, "", ""
		in.ArtifactLocation = location.Relocate(k.World.Repository, from.ArtifactLocation)
	}
	return logs, nil
}

// podSettings is the spec of the workflow with the tags resolved that stand where every pod gets them. Volumes see what
// the callers of the template see, too. A volume that the template has itself is left out. Source: Argo Workflows.
func (k Kind) podSettings(t v1alpha1.Template, sc scope.Scope) (*v1alpha1.WorkflowSpec, error) {
	spec := k.World.Spec
	part := struct {
		PodMetadata *v1alpha1.Metadata
		Patch       string
	}{spec.PodMetadata, spec.PodSpecPatch}
	if err := scope.Substitute(&part, sc); err != nil {
		return nil, err
	}
	spec.PodMetadata, spec.PodSpecPatch = part.PodMetadata, part.Patch
	spec.Volumes = slices.DeleteFunc(slices.Clone(spec.Volumes), func(v corev1.Volume) bool {
		return slices.ContainsFunc(t.Volumes, func(own corev1.Volume) bool { return own.Name == v.Name })
	})
	for at := range sc.Callers() {
		if err := scope.Substitute(&spec.Volumes, at.As(scope.LooseTags)); err != nil {
			return nil, err
		}
	}
	return &spec, nil
}

// observe takes what was seen of a pod into its node.
func (k Kind) observe(n v1alpha1.NodeStatus, t v1alpha1.Template, pod flow.Pod, sc scope.Scope) v1alpha1.NodeStatus {
	before := n
	n.HostNodeName, n.PodIP = cmp.Or(pod.Host, n.HostNodeName), cmp.Or(pod.IP, n.PodIP)
	switch pod.Phase {
	case flow.PodPending:
		n.Message = pod.Message
	case flow.PodRunning:
		n.Phase, n.Message = v1alpha1.NodeRunning, pod.Message
		if t.Daemon != nil && *t.Daemon && pod.Ready {
			n.Daemoned = new(true)
		}
	case flow.PodSucceeded:
		n = k.collect(n, t, pod, sc)
	case flow.PodFailed:
		n.Phase, n.Message = v1alpha1.NodeFailed, pod.Message
		if pod.Broken {
			n.Phase = v1alpha1.NodeError
		}
		n.Outputs = k.outputsOf(n, t, pod, sc)
	case flow.PodLost:
		n.Phase, n.Message = v1alpha1.NodeError, "pod deleted"
	}
	if n.Phase.Fulfilled() {
		n.Daemoned, n.ResourcesDuration = nil, pod.Resources
		at := metav1.NewTime(k.World.Now)
		if !pod.FinishedAt.IsZero() {
			at = metav1.NewTime(pod.FinishedAt)
		}
		n.FinishedAt = &at
	}
	if same(before, n) {
		return n
	}
	return k.Put(n)
}

func same(a, b v1alpha1.NodeStatus) bool {
	return a.Phase == b.Phase && a.Message == b.Message && a.HostNodeName == b.HostNodeName && a.PodIP == b.PodIP &&
		nodes.Serves(a) == nodes.Serves(b)
}

// collect ends a node whose program succeeded: with what it left behind, or as an
// Error when something that was promised is missing.
func (k Kind) collect(n v1alpha1.NodeStatus, t v1alpha1.Template, pod flow.Pod, sc scope.Scope) v1alpha1.NodeStatus {
	n.Phase, n.Message = v1alpha1.NodeSucceeded, ""
	n.Outputs = k.outputsOf(n, t, pod, sc)
	if pod.Report != nil && pod.Report.Error != "" {
		n.Phase, n.Message = v1alpha1.NodeError, pod.Report.Error
		return n
	}
	if t.Outputs == nil {
		return n
	}
	for _, p := range t.Outputs.Parameters {
		if p.ValueFrom == nil || p.ValueFrom.Path == "" {
			continue
		}
		if !slices.ContainsFunc(n.Outputs.Parameters, func(got v1alpha1.Parameter) bool { return got.Name == p.Name }) {
			n.Phase, n.Message = v1alpha1.NodeError,
				fmt.Sprintf("output parameter %q: %s was not written", p.Name, p.ValueFrom.Path)
		}
	}
	return n
}

func (k Kind) outputsOf(n v1alpha1.NodeStatus, t v1alpha1.Template, pod flow.Pod, sc scope.Scope) *v1alpha1.Outputs {
	out := &v1alpha1.Outputs{}
	if pod.ExitCode != nil {
		code := strconv.Itoa(int(*pod.ExitCode))
		out.ExitCode = &code
	}
	report := pod.Report
	if report == nil {
		report = &protocol.Report{}
	}
	out.Result = report.Result
	out.Artifacts = k.stored(t, report.Artifacts, sc.OfPod(t, k.PodName(n)))
	if t.Outputs == nil {
		return out
	}
	for _, p := range t.Outputs.Parameters {
		value, ok := report.Parameters[p.Name]
		if !ok && p.Value != nil {
			value, ok = p.Value.String(), true
		}
		if !ok && p.ValueFrom != nil && p.ValueFrom.Default != nil {
			value, ok = p.ValueFrom.Default.String(), true
		}
		if ok {
			out.Parameters = append(out.Parameters,
				v1alpha1.Parameter{Name: p.Name, GlobalName: p.GlobalName, Value: v1alpha1.AnyStringPtr(value)})
		}
	}
	return out
}

// stored are the artifacts of a pod that its executor has stored, with their places.
func (k Kind) stored(t v1alpha1.Template, names []string, sc scope.Scope) []v1alpha1.Artifact {
	if len(names) == 0 {
		return nil
	}
	artifacts, logs, err := k.placed(t, sc)
	if err != nil {
		return nil // the pod was never made
	}
	var out []v1alpha1.Artifact
	for _, a := range append(artifacts, logs...) {
		if slices.Contains(names, a.Name) {
			a.ArtifactLocation = location.Shown(k.World.Repository, a.ArtifactLocation)
			out = append(out, a)
		}
	}
	return out
}

// placed are the output artifacts of a pod and those of its logs, with the places where they are kept. The scope knows
// the pod's name.
func (k Kind) placed(t v1alpha1.Template, sc scope.Scope) (artifacts, logs []v1alpha1.Artifact, err error) {
	if t.Outputs != nil {
		artifacts = t.Outputs.DeepCopy().Artifacts
	}
	logged := location.ArchivesLogs(k.World.Repository, t, k.World.Spec)
	if !logged && len(artifacts) == 0 {
		return nil, nil, nil
	}
	store, format := location.FolderOf(k.World.Repository, t.ArchiveLocation)
	name, err := sc.Text(format)
	if err == nil {
		err = scope.Substitute(&artifacts, sc)
	}
	if err != nil {
		return nil, nil, err
	}
	folder := location.Folder{Store: store, Name: name}
	if err := folder.Place(artifacts); err != nil {
		return nil, nil, err
	}
	if logged {
		logs = folder.Logs(t)
	}
	return artifacts, logs, nil
}
