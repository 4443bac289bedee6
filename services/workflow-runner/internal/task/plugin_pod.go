package task

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"
)

// How plugins are installed and what they find in their pods. Source: Argo Workflows, executor plugins.
const (
	pluginTypeLabel = "workflows.argoproj.io/configmap-type"
	pluginType      = "ExecutorPlugin"
	pluginSuffix    = "-executor-plugin" // of ConfigMaps and of the service accounts of plugins
	pluginDir       = "/var/run/argo"    // holds the file token
)

const (
	// PluginsOf labels the pods of plugins with the uid of their workflow.
	PluginsOf = "argosy.dev/plugins-of"
	// pluginToken is the annotation with what a request to a plugin must carry.
	pluginToken  = "argosy.dev/plugin-token" //nolint:gosec // the name of an annotation
	pluginVolume = "argosy-plugin-token"
)

// plugin is one that may be asked.
type plugin struct {
	name    string
	sidecar v1alpha1.ExecutorPluginSidecar
}

// pluginAt is where a plugin answers; without an address it does not yet, and why may say for what it waits.
type pluginAt struct{ address, token, why string }

// pluginPods keeps the pods of plugins: one per workflow and plugin, as each may have a service account of its own.
type pluginPods struct {
	core      kubernetes.Interface
	namespace string // of plugins for all namespaces
	announce  func(ctx context.Context, namespace, workflow, uid string) error
}

// known are the plugins that a workflow may use: those of its spec win over those of its namespace, which win over
// those for all. The one of the wanted name comes first.
func (p *pluginPods) known(ctx context.Context, j Job, wanted string) ([]plugin, error) {
	var out []plugin
	have := map[string]bool{}
	add := func(one plugin) {
		if !have[one.name] {
			have[one.name] = true
			out = append(out, one)
		}
	}
	if j.Spec != nil {
		for _, e := range j.Spec.ExecutorPlugins {
			add(plugin{name: e.Metadata.Name, sidecar: e.Spec.Sidecar})
		}
	}
	for _, namespace := range []string{j.Namespace, p.namespace} {
		if namespace == "" {
			continue
		}
		list, err := p.core.CoreV1().ConfigMaps(namespace).List(ctx,
			metav1.ListOptions{LabelSelector: pluginTypeLabel + "=" + pluginType})
		if err != nil {
			return nil, fmt.Errorf("list the plugins of namespace %s: %w", namespace, err)
		}
		for i := range list.Items {
			one, err := installed(&list.Items[i])
			if err != nil && one.name != wanted {
				continue // it harms no other
			}
			if err != nil {
				return nil, fmt.Errorf("ConfigMap %s/%s: %w", namespace, list.Items[i].Name, err)
			}
			add(one)
		}
	}
	return preferred(out, wanted), nil
}

// installed reads a plugin from its ConfigMap.
func installed(c *corev1.ConfigMap) (plugin, error) {
	out := plugin{name: strings.TrimSuffix(c.Name, pluginSuffix)}
	if err := yaml.UnmarshalStrict([]byte(c.Data["sidecar.container"]), &out.sidecar.Container); err != nil {
		return out, fmt.Errorf("sidecar.container: %w", err)
	}
	out.sidecar.AutomountServiceAccountToken = c.Data["sidecar.automountServiceAccountToken"] == "true"
	return out, nil
}

// ensure finds the pod of a plugin, or makes it.
func (p *pluginPods) ensure(ctx context.Context, j Job, one plugin) (pluginAt, error) {
	if len(one.sidecar.Container.Ports) == 0 {
		return pluginAt{}, errors.New("its container names no port; ports[0].containerPort is where it is asked")
	}
	pods := p.core.CoreV1().Pods(j.Namespace)
	name := pluginPodName(j, one)
	pod, err := pods.Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		// Before the pod: whoever sees the workflow end must know that there may be one.
		if err := p.announce(ctx, j.Namespace, j.Workflow, j.Run); err != nil {
			return pluginAt{}, err
		}
		pod, err = pods.Create(ctx, pluginPod(j, one, name), metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			pod, err = pods.Get(ctx, name, metav1.GetOptions{})
		}
	}
	if err != nil {
		return pluginAt{}, fmt.Errorf("pod %s: %w", name, err)
	}
	at := pluginAt{token: pod.Annotations[pluginToken], why: WaitsFor(pod)}
	if pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded {
		// Evicted, or its node was lost: the next look makes another.
		uid := pod.UID
		err := pods.Delete(ctx, name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}})
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			return pluginAt{}, fmt.Errorf("remove pod %s, which ended: %w", name, err)
		}
		return at, nil
	}
	if pod.Status.PodIP != "" && pod.DeletionTimestamp == nil {
		at.address = address(pod.Status.PodIP, one.sidecar.Container.Ports[0].ContainerPort)
	}
	return at, nil
}

// WaitsFor says for what a pod waits, as far as it says so.
func WaitsFor(pod *corev1.Pod) string {
	for i := range pod.Status.ContainerStatuses {
		if w := pod.Status.ContainerStatuses[i].State.Waiting; w != nil {
			return strings.TrimSuffix(w.Reason+": "+w.Message, ": ")
		}
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return c.Reason + ": " + c.Message
		}
	}
	return ""
}

// pluginPodName follows from the workflow and the plugin: every replica finds the same pod.
func pluginPodName(j Job, one plugin) string {
	tail := "-plugin-" + shortKey(j.Run+"/"+one.name)
	return strings.TrimRight(j.Workflow[:min(len(j.Workflow), 63-len(tail))], "-.") + tail
}

func pluginPod(j Job, one plugin, name string) *corev1.Pod {
	container := *one.sidecar.Container.DeepCopy()
	if container.Name == "" {
		container.Name = "plugin"
	}
	container.VolumeMounts = append(container.VolumeMounts,
		corev1.VolumeMount{Name: pluginVolume, MountPath: pluginDir, ReadOnly: true})
	// The owner is not called controller: this is no pod of a node.
	owner := j.Owner
	owner.Controller = nil
	annotations := map[string]string{pluginToken: rand.Text()}
	maps.Copy(annotations, j.Marks)
	mount := one.sidecar.AutomountServiceAccountToken
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: j.Namespace, Name: name, Labels: map[string]string{PluginsOf: j.Run},
			Annotations: annotations, OwnerReferences: []metav1.OwnerReference{owner}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{container}, RestartPolicy: corev1.RestartPolicyAlways,
			AutomountServiceAccountToken:  &mount,
			TerminationGracePeriodSeconds: new(int64(5)),
			Volumes: []corev1.Volume{{Name: pluginVolume,
				VolumeSource: corev1.VolumeSource{DownwardAPI: &corev1.DownwardAPIVolumeSource{
					Items: []corev1.DownwardAPIVolumeFile{
						{Path: "token", FieldRef: &corev1.ObjectFieldSelector{
							FieldPath: "metadata.annotations['" + pluginToken + "']"}}}}}}}},
	}
	if mount {
		pod.Spec.ServiceAccountName = one.name + pluginSuffix
	}
	if s := j.Spec; s != nil {
		pod.Spec.ImagePullSecrets, pod.Spec.NodeSelector, pod.Spec.Tolerations, pod.Spec.Affinity = s.ImagePullSecrets,
			s.NodeSelector, s.Tolerations, s.Affinity
		pod.Spec.SecurityContext, pod.Spec.SchedulerName, pod.Spec.PriorityClassName = s.SecurityContext,
			s.SchedulerName, s.PodPriorityClassName
	}
	pod.Spec.SecurityContext = Confined(pod.Spec.SecurityContext, container.SecurityContext)
	return pod
}

// pluginUser is who plugins run as that do not say. Source: Argo Workflows.
const pluginUser = 8737

// Confined is the security context of the pod of a plugin: what neither the workflow nor the plugin says is what the
// stricter policies of namespaces ask for.
func Confined(pod *corev1.PodSecurityContext, container *corev1.SecurityContext) *corev1.PodSecurityContext {
	out := &corev1.PodSecurityContext{}
	if pod != nil {
		out = pod.DeepCopy()
	}
	if out.SeccompProfile == nil {
		out.SeccompProfile = &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}
	}
	if out.RunAsUser != nil {
		return out
	}
	out.RunAsUser = new(int64(pluginUser))
	// A plugin that says that it is root must not be refused for what it did not say.
	if root := container != nil && container.RunAsUser != nil && *container.RunAsUser == 0; out.RunAsNonRoot == nil &&
		!root {
		out.RunAsNonRoot = new(true)
	}
	return out
}

// SweepPlugins removes the pods of the plugins of a workflow.
func (a *Accounts) SweepPlugins(ctx context.Context, namespace, uid string) error {
	pods := a.Own().CoreV1().Pods(namespace)
	list, err := pods.List(ctx, metav1.ListOptions{LabelSelector: PluginsOf + "=" + uid})
	if err != nil {
		return fmt.Errorf("list the pods of plugins: %w", err)
	}
	var errs []error
	for i := range list.Items {
		if err := pods.Delete(ctx, list.Items[i].Name, metav1.DeleteOptions{}); err != nil &&
			!apierrors.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("remove the pod of a plugin: %w", err))
		}
	}
	return errors.Join(errs...)
}
