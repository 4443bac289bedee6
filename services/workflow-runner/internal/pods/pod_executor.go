package pods

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"slices"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/flow/protocol"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/object"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/registry"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"sigs.k8s.io/yaml"
)

// job is what the executor does in a pod.
type job struct {
	task protocol.Task                 // of main
	logs map[string]*protocol.Transfer // of containers, by name
}

// collects reports whether main leaves something behind that must be fetched.
func (j job) collects() bool {
	return j.task.Result || len(j.task.Parameters) > 0 || len(j.task.Artifacts) > 0
}

// wraps reports whether the executor stands before the programs of a template.
func (j job) wraps(t v1alpha1.Template) bool {
	return j.collects() || len(j.logs) > 0 || t.ContainerSet != nil
}

// nameCommands finds out what containers run that the executor is to start and that name no command.
func (p *Pods) nameCommands(ctx context.Context, pod *corev1.Pod, containers []corev1.Container, t v1alpha1.Template,
	j *job) error {
	if !j.wraps(t) {
		return nil
	}
	who := registry.Puller{Namespace: pod.Namespace, Account: pod.Spec.ServiceAccountName}
	for _, secret := range pod.Spec.ImagePullSecrets {
		who.Secrets = append(who.Secrets, secret.Name)
	}
	err := p.Images.name(ctx, who, containers)
	if fault.Of(err) == fault.Poison && !j.collects() && t.ContainerSet == nil {
		// Logs alone are no reason to refuse a container whose program nobody knows.
		j.logs = nil
		return nil
	}
	return err
}

// addExecutor puts the executor in front of the containers that need it: those whose outputs are collected or whose
// logs are kept, those that wait for others of their set, and, before all, an init container that brings it and the
// inputs in.
func (p *Pods) addExecutor(pod *corev1.Pod, containers []corev1.Container, t v1alpha1.Template, j job) error {
	wraps := j.wraps(t)
	if !wraps && len(j.task.Inputs) == 0 {
		return nil
	}
	pod.Spec.Volumes = append(pod.Spec.Volumes,
		corev1.Volume{Name: stagingVolume, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}})
	variable, err := taskVariable(j.task)
	if err != nil {
		return err
	}
	pod.Spec.InitContainers = append([]corev1.Container{{Name: "init", Image: p.Image,
		ImagePullPolicy: corev1.PullIfNotPresent, Args: []string{"load"},
		Env: []corev1.EnvVar{variable}, VolumeMounts: []corev1.VolumeMount{{Name: stagingVolume,
			MountPath: protocol.StagingDir}},
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError}}, pod.Spec.InitContainers...)
	main := mainOfSet(containers)
	if main >= 0 {
		for _, in := range j.task.Inputs {
			containers[main].VolumeMounts = append(containers[main].VolumeMounts,
				corev1.VolumeMount{Name: stagingVolume, MountPath: in.Mount, SubPath: path.Join("inputs", in.Path)})
		}
	}
	if j.collects() && main >= 0 || len(j.logs) > 0 {
		pod.Annotations[object.AnnotationExecutor] = "true"
	}
	if !wraps {
		return nil
	}
	return wrapAll(containers, main, j, t)
}

func taskVariable(task protocol.Task) (corev1.EnvVar, error) {
	text, err := json.Marshal(task)
	if err != nil {
		return corev1.EnvVar{}, fmt.Errorf("encode the executor's task: %w", err)
	}
	return corev1.EnvVar{Name: protocol.TaskVariable, Value: string(text)}, nil
}

// wrapAll wraps every container; only main collects outputs.
func wrapAll(containers []corev1.Container, main int, j job, t v1alpha1.Template) error {
	for i := range containers {
		own := protocol.Task{}
		if i == main {
			own = j.task
			own.Inputs = nil // the init container has them
		}
		own.Logs = j.logs[containers[i].Name]
		variable, err := taskVariable(own)
		if err != nil {
			return err
		}
		wrap(&containers[i], variable, setFlags(t, containers[i].Name))
		if own.Logs != nil && t.ContainerSet == nil {
			containers[i].VolumeMounts = append(containers[i].VolumeMounts,
				corev1.VolumeMount{Name: stagingVolume, MountPath: protocol.LogsDir,
					SubPath: path.Base(protocol.LogsDir)})
		}
	}
	return nil
}

// mainOfSet is the place of the container whose outputs are collected, or -1. Source: Argo Workflows wants it named
// main.
func mainOfSet(containers []corev1.Container) int {
	for i := range containers {
		if containers[i].Name == MainContainer {
			return i
		}
	}
	return -1
}

// setFlags are the executor's flags for one container of a set; none outside of sets.
func setFlags(t v1alpha1.Template, name string) []string {
	if t.ContainerSet == nil {
		return nil
	}
	flags := []string{"--name", name}
	for i := range t.ContainerSet.Containers {
		if c := &t.ContainerSet.Containers[i]; c.Name == name {
			for _, d := range c.Dependencies {
				flags = append(flags, "--after", d)
			}
		}
	}
	return flags
}

// wrap puts the executor before a container's own program, which must therefore be named.
func wrap(c *corev1.Container, task corev1.EnvVar, flags []string) {
	c.Args = slices.Concat([]string{"run"}, flags, []string{"--"}, c.Command, c.Args)
	c.Command = []string{protocol.ExecutorPath}
	c.Env = append(c.Env, task)
	mount := corev1.VolumeMount{Name: stagingVolume, MountPath: protocol.ExecutorPath, SubPath: "executor",
		ReadOnly: true}
	if len(flags) > 0 {
		// Containers of a set tell each other how they ended through this volume.
		mount = corev1.VolumeMount{Name: stagingVolume, MountPath: protocol.StagingDir}
	}
	c.VolumeMounts = append(c.VolumeMounts, mount)
}

// patchSpec applies podSpecPatch, of the workflow first. Source: Argo Workflows, JSON or YAML as a strategic merge.
func patchSpec(pod *corev1.Pod, patches ...string) error {
	for _, text := range patches {
		if text == "" {
			continue
		}
		patch, err := yaml.YAMLToJSON([]byte(text))
		if err != nil {
			return fmt.Errorf("podSpecPatch: %w", err)
		}
		before, err := json.Marshal(pod.Spec)
		if err != nil {
			return fmt.Errorf("podSpecPatch: %w", err)
		}
		after, err := strategicpatch.StrategicMergePatch(before, patch, corev1.PodSpec{})
		if err != nil {
			return fmt.Errorf("podSpecPatch: %w", err)
		}
		var spec corev1.PodSpec
		if err := json.Unmarshal(after, &spec); err != nil {
			return fmt.Errorf("podSpecPatch: %w", err)
		}
		pod.Spec = spec
	}
	return nil
}
