package object

import (
	"maps"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Slim drops what nobody here reads of the objects in the cache: a workflow of 100,000 pods must fit into memory, and a
// look at a workflow must not copy thousands of nodes that its journal has anyway. What is cached is never written
// back.
func Slim(o any) (any, error) {
	switch o := o.(type) {
	case *corev1.Pod:
		slimPod(o)
	case *unstructured.Unstructured:
		o.SetManagedFields(nil)
		slimStatus(o)
	}
	return o, nil
}

// slimStatus keeps of the nodes those that wait for a person: other tools tell their ends by writing them there.
func slimStatus(o *unstructured.Unstructured) {
	status, is := o.Object["status"].(map[string]any)
	if !is {
		return
	}
	if nodes, is := status["nodes"].(map[string]any); is {
		maps.DeleteFunc(nodes, func(_ string, n any) bool {
			node, is := n.(map[string]any)
			return !is || node["type"] != string(v1alpha1.NodeTypeSuspend)
		})
		if len(nodes) == 0 {
			delete(status, "nodes")
		}
	}
	if status["compressedNodes"] != nil {
		status["compressedNodes"] = "left out"
	}
}

func slimPod(p *corev1.Pod) {
	p.ManagedFields = nil
	delete(p.Annotations, AnnotationScript)
	maps.DeleteFunc(p.Annotations, func(name, _ string) bool {
		return !strings.HasPrefix(name, "workflows.argoproj.io/") && !strings.HasPrefix(name, "argosy.dev/")
	})
	p.Spec = corev1.PodSpec{NodeName: p.Spec.NodeName, InitContainers: slimContainers(p.Spec.InitContainers),
		Containers: slimContainers(p.Spec.Containers)}
	s := p.Status
	p.Status = corev1.PodStatus{Phase: s.Phase, Message: s.Message, Reason: s.Reason, PodIP: s.PodIP,
		StartTime:             s.StartTime,
		InitContainerStatuses: slimStatuses(s.InitContainerStatuses),
		ContainerStatuses:     slimStatuses(s.ContainerStatuses)}
	for _, c := range s.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			p.Status.Conditions = append(p.Status.Conditions, c)
		}
	}
}

// slimContainers keeps what containers use beside their names.
func slimContainers(all []corev1.Container) []corev1.Container {
	out := make([]corev1.Container, len(all))
	for i := range all {
		out[i] = corev1.Container{Name: all[i].Name,
			Resources: corev1.ResourceRequirements{Requests: all[i].Resources.Requests,
				Limits: all[i].Resources.Limits}}
	}
	return out
}

func slimStatuses(all []corev1.ContainerStatus) []corev1.ContainerStatus {
	if len(all) == 0 {
		return nil
	}
	out := make([]corev1.ContainerStatus, len(all))
	for i := range all {
		out[i] = corev1.ContainerStatus{Name: all[i].Name, State: all[i].State, Ready: all[i].Ready}
	}
	return out
}
