package runner

import (
	"encoding/json"
	"fmt"
	"path"

	"github.com/argosy-mesh/argosy/libs/flow/protocol"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"sigs.k8s.io/yaml"
)

// addExecutor puts the executor in front of the containers that need it: those whose outputs are collected, those that
// wait for others of their set, and, before all, an init container that brings it and the inputs in.
func (r *Runner) addExecutor(pod *corev1.Pod, containers []corev1.Container, t v1alpha1.Template, task protocol.Task) error {
	collects := task.Result || len(task.Parameters) > 0 || len(task.Artifacts) > 0
	if !collects && len(task.Inputs) == 0 && t.ContainerSet == nil {
		return nil
	}
	pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: stagingVolume, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}})
	text, err := json.Marshal(task)
	if err != nil {
		return fmt.Errorf("encode the executor's task: %w", err)
	}
	variable := corev1.EnvVar{Name: protocol.TaskVariable, Value: string(text)}
	pod.Spec.InitContainers = append([]corev1.Container{{Name: "init", Image: r.image, ImagePullPolicy: corev1.PullIfNotPresent, Args: []string{"load"},
		Env: []corev1.EnvVar{variable}, VolumeMounts: []corev1.VolumeMount{{Name: stagingVolume, MountPath: protocol.StagingDir}},
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError}}, pod.Spec.InitContainers...)
	main := mainOfSet(containers)
	if main >= 0 {
		for _, in := range task.Inputs {
			containers[main].VolumeMounts = append(containers[main].VolumeMounts, corev1.VolumeMount{Name: stagingVolume, MountPath: in.Mount, SubPath: path.Join("inputs", in.Path)})
		}
	}
	if collects && main >= 0 {
		pod.Annotations[annotationExecutor] = "true"
	}
	if t.ContainerSet == nil && !collects {
		return nil
	}
	return r.wrapAll(containers, main, variable, t)
}

// wrapAll wraps every container; only main has a task.
func (r *Runner) wrapAll(containers []corev1.Container, main int, task corev1.EnvVar, t v1alpha1.Template) error {
	for i := range containers {
		own := corev1.EnvVar{Name: protocol.TaskVariable, Value: "{}"}
		if i == main {
			own = task
		}
		if err := r.wrap(&containers[i], own, setFlags(t, containers[i].Name)); err != nil {
			return err
		}
	}
	return nil
}

// mainOfSet is the place of the container whose outputs are collected, or -1. Source: Argo Workflows wants it named main.
func mainOfSet(containers []corev1.Container) int {
	for i := range containers {
		if containers[i].Name == mainContainer {
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

// wrap puts the executor before a container's own program, which must therefore be known.
func (r *Runner) wrap(c *corev1.Container, task corev1.EnvVar, flags []string) error {
	command, args, err := r.images.program(*c)
	if err != nil {
		return err
	}
	c.Args = append(append(append([]string{"run"}, flags...), "--"), append(command, args...)...)
	c.Command = []string{protocol.ExecutorPath}
	c.Env = append(c.Env, task)
	mount := corev1.VolumeMount{Name: stagingVolume, MountPath: protocol.ExecutorPath, SubPath: "executor", ReadOnly: true}
	if len(flags) > 0 {
		// Containers of a set tell each other how they ended through this volume.
		mount = corev1.VolumeMount{Name: stagingVolume, MountPath: protocol.StagingDir}
	}
	c.VolumeMounts = append(c.VolumeMounts, mount)
	return nil
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
