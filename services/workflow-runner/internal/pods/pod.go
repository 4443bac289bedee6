// Package pods makes the pods of nodes, and reads what became of them.
package pods

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/core/lineage"
	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/libs/flow/location"
	"github.com/argosy-mesh/argosy/libs/flow/protocol"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/artifact"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/object"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	stagingVolume = "argosy-staging"
	scriptVolume  = "argosy-script"
)

// Pods makes the pods of nodes, and reads what became of them.
type Pods struct {
	Image  string // of the executor
	Images *Images
	Signer *artifact.Signer
	Bus    *bus.Bus // where reports are that did not fit elsewhere

	specs specTexts
}

// Build makes the pod of a node: the user's container as it is, wrapped by the
// executor only if something must be collected, preceded by an init container only
// if the executor or artifacts must come in.
//
// An error of class poison stays: its node can have no pod.
func (p *Pods) Build(ctx context.Context, wf *v1alpha1.Workflow, a flow.CreatePod, cause lineage.Lineage) (*corev1.Pod,
	error) {
	pod := &corev1.Pod{ObjectMeta: podMeta(wf, a, cause),
		Spec: podSpec(*a.Spec, a.Template, claimVolumes(wf.Name, a.Spec.VolumeClaimTemplates))}
	containers := containersOf(a.Template)
	// Without a source its container is the whole of a script. Source: Argo Workflows.
	if a.Template.Script != nil && a.Template.Script.Source != "" {
		addScript(pod, &containers[0], a.Template.Script.Source)
	}
	job := job{task: p.task(wf, a), logs: p.logs(wf.Namespace, a)}
	err := p.nameCommands(ctx, pod, containers, a.Template, &job)
	if err == nil {
		err = p.addExecutor(pod, containers, a.Template, job)
	}
	if err != nil {
		return nil, fmt.Errorf("template %q: %w", a.Template.Name, err)
	}
	env := cause.Env()
	for i := range containers {
		for _, name := range slices.Sorted(maps.Keys(env)) {
			containers[i].Env = append(containers[i].Env, corev1.EnvVar{Name: name, Value: env[name]})
		}
	}
	pod.Spec.Containers = containers
	for _, s := range a.Template.Sidecars {
		// A native sidecar ends with main by itself.
		sidecar := s.Container
		always := corev1.ContainerRestartPolicyAlways
		sidecar.RestartPolicy = &always
		if s.MirrorVolumeMounts {
			sidecar.VolumeMounts = append(sidecar.VolumeMounts, containers[0].VolumeMounts...)
		}
		pod.Spec.InitContainers = append(pod.Spec.InitContainers, sidecar)
	}
	setDeadline(pod, a)
	return pod, fault.AsPoison(patchSpec(pod, a.Spec.PodSpecPatch, a.Template.PodSpecPatch))
}

// containersOf are the containers of a template; those that are not a set have one, main.
func containersOf(t v1alpha1.Template) []corev1.Container {
	if t.ContainerSet == nil {
		main := mainOf(t)
		main.Name = MainContainer
		return []corev1.Container{main}
	}
	var out []corev1.Container
	for i := range t.ContainerSet.Containers {
		c := t.ContainerSet.Containers[i].Container.DeepCopy()
		c.VolumeMounts = append(c.VolumeMounts, t.ContainerSet.VolumeMounts...)
		out = append(out, *c)
	}
	return out
}

func mainOf(t v1alpha1.Template) corev1.Container {
	if t.Script != nil {
		return *t.Script.Container.DeepCopy()
	}
	return *t.Container.DeepCopy()
}

func podMeta(wf *v1alpha1.Workflow, a flow.CreatePod, cause lineage.Lineage) metav1.ObjectMeta {
	controller := true
	meta := metav1.ObjectMeta{
		Name: a.PodName, Namespace: wf.Namespace,
		Labels: map[string]string{object.LabelWorkflow: wf.Name, object.LabelCompleted: "false"},
		Annotations: map[string]string{object.AnnotationNodeID: a.NodeID, object.AnnotationNodeName: a.NodeName,
			object.AnnotationRun: string(wf.UID)},
		OwnerReferences: []metav1.OwnerReference{{APIVersion: v1alpha1.GroupVersion.String(), Kind: "Workflow",
			Name:       wf.Name,
			UID:        wf.UID,
			Controller: &controller, BlockOwnerDeletion: &controller}},
	}
	for _, m := range []*v1alpha1.Metadata{a.Spec.PodMetadata, a.Template.Metadata} {
		if m != nil {
			maps.Copy(meta.Labels, m.Labels)
			maps.Copy(meta.Annotations, m.Annotations)
		}
	}
	cause.Annotate(meta.Annotations)
	return meta
}

func podSpec(spec v1alpha1.WorkflowSpec, t v1alpha1.Template, volumes []corev1.Volume) corev1.PodSpec {
	out := corev1.PodSpec{
		RestartPolicy:                corev1.RestartPolicyNever,
		ServiceAccountName:           first(t.ServiceAccountName, spec.ServiceAccountName),
		AutomountServiceAccountToken: spec.AutomountServiceAccountToken,
		Volumes:                      append(append(slices.Clone(spec.Volumes), t.Volumes...), volumes...),
		ImagePullSecrets:             spec.ImagePullSecrets, NodeSelector: spec.NodeSelector, Affinity: spec.Affinity,
		Tolerations: append(slices.Clone(spec.Tolerations), t.Tolerations...), SecurityContext: spec.SecurityContext,
		SchedulerName:     first(t.SchedulerName, spec.SchedulerName),
		PriorityClassName: first(t.PriorityClassName, spec.PodPriorityClassName),
		HostAliases:       append(slices.Clone(spec.HostAliases), t.HostAliases...), DNSConfig: spec.DNSConfig,
		DNSPolicy: corev1.DNSPolicy(spec.DNSPolicy),
		// Nobody waits for a finished step's grace.
		TerminationGracePeriodSeconds: new(int64(5)),
	}
	if spec.HostNetwork != nil {
		out.HostNetwork = *spec.HostNetwork
	}
	if t.AutomountServiceAccountToken != nil {
		out.AutomountServiceAccountToken = t.AutomountServiceAccountToken
	}
	if t.NodeSelector != nil {
		out.NodeSelector = t.NodeSelector
	}
	if t.Affinity != nil {
		out.Affinity = t.Affinity
	}
	if t.SecurityContext != nil {
		out.SecurityContext = t.SecurityContext
	}
	for _, c := range t.InitContainers {
		first := c.Container
		if c.MirrorVolumeMounts && (t.Container != nil || t.Script != nil) {
			first.VolumeMounts = append(first.VolumeMounts, mainOf(t).VolumeMounts...)
		}
		out.InitContainers = append(out.InitContainers, first)
	}
	return out
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// addScript brings the source in as a file through an annotation, which needs
// neither a ConfigMap nor an init container.
func addScript(pod *corev1.Pod, main *corev1.Container, source string) {
	pod.Annotations[object.AnnotationScript] = source
	pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: scriptVolume, VolumeSource: corev1.VolumeSource{
		DownwardAPI: &corev1.DownwardAPIVolumeSource{DefaultMode: new(int32(0o755)),
			Items: []corev1.DownwardAPIVolumeFile{{
				Path: path.Base(protocol.ScriptPath),
				FieldRef: &corev1.ObjectFieldSelector{
					FieldPath: "metadata.annotations['" + object.AnnotationScript + "']"}}}}}})
	main.VolumeMounts = append(main.VolumeMounts,
		corev1.VolumeMount{Name: scriptVolume, MountPath: protocol.ScriptDir, ReadOnly: true})
	main.Args = append(slices.Clone(main.Args), protocol.ScriptPath)
}

// task says what must come into the pod and out of it.
func (p *Pods) task(wf *v1alpha1.Workflow, a flow.CreatePod) protocol.Task {
	var task protocol.Task
	expires := time.Now().Add(artifact.URLLifetime)
	if in := a.Template.Inputs; in != nil {
		for _, artifact := range in.Artifacts {
			if t, supplied := p.Signer.Input(wf.Namespace, artifact, expires); supplied {
				task.Inputs = append(task.Inputs, t)
			}
		}
	}
	if out := a.Template.Outputs; out != nil {
		for _, out := range out.Parameters {
			if out.ValueFrom != nil && out.ValueFrom.Path != "" {
				task.Parameters = append(task.Parameters,
					protocol.Parameter{Name: out.Name, Path: out.ValueFrom.Path,
						Optional: out.ValueFrom.Default != nil})
			}
		}
		for _, artifact := range out.Artifacts {
			task.Artifacts = append(task.Artifacts, p.Signer.Transfer(http.MethodPut, wf.Namespace, artifact, expires))
		}
	}
	task.Result = p.resultWanted(a)
	task.ReportURL = p.Signer.URL("PUT", reportKey(wf.Namespace, a.PodName, string(wf.UID)), expires)
	return task
}

// logs are the transfers of what containers say, by container.
func (p *Pods) logs(namespace string, a flow.CreatePod) map[string]*protocol.Transfer {
	out := map[string]*protocol.Transfer{}
	expires := time.Now().Add(artifact.URLLifetime)
	for _, artifact := range a.Logs {
		container := strings.TrimSuffix(artifact.Name, location.LogsSuffix)
		t := p.Signer.Transfer(http.MethodPut, namespace, artifact, expires)
		t.Path = protocol.LogsDir + "/" + container + ".log"
		out[container] = &t
	}
	return out
}

// stepName is the name in the manifest of the step or task of a node:
// "wf[0].a(0:x)(1)" is of "a".
func stepName(node string) string {
	if i := strings.Index(node, "("); i >= 0 {
		node = node[:i]
	}
	return node[strings.LastIndex(node, ".")+1:]
}

// setDeadline lets the kubelet end a pod that runs out of its own or its
// workflow's time, even while no runner is there.
func setDeadline(pod *corev1.Pod, a flow.CreatePod) {
	var limit int64
	if own := a.Template.ActiveDeadlineSeconds; own != nil {
		limit = int64(own.IntValue())
	}
	if !a.Deadline.IsZero() {
		left := max(int64(time.Until(a.Deadline).Seconds()), 1)
		if limit == 0 || left < limit {
			limit = left
		}
	}
	if limit > 0 {
		pod.Spec.ActiveDeadlineSeconds = &limit
	}
}

// Refusal says whether the API server's answer to a pod is final. Source: Argo Workflows, where a step whose pod is
// invalid or not allowed ends as Error, and one that finds its quota used up waits.
func Refusal(err error) error {
	final := apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || apierrors.IsRequestEntityTooLargeError(err) ||
		apierrors.IsForbidden(err) && !strings.Contains(err.Error(), "exceeded quota")
	if final {
		return fault.AsPoison(err)
	}
	return err
}

// claimVolumes are the volumes behind the claims of a workflow.
func claimVolumes(workflow string, templates []corev1.PersistentVolumeClaim) []corev1.Volume {
	var out []corev1.Volume
	for i := range templates {
		out = append(out, corev1.Volume{Name: templates[i].Name, VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{
				ClaimName: workflow + "-" + templates[i].Name}}})
	}
	return out
}
