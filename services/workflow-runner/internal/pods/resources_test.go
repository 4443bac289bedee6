package pods

import (
	"testing"

	"github.com/argosy-mesh/argosy/libs/flow/nodes"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/object"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestWhatPodsUsed(t *testing.T) {
	list := func(pairs ...string) corev1.ResourceList {
		out := corev1.ResourceList{}
		for i := 0; i < len(pairs); i += 2 {
			out[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
		}
		return out
	}
	type box struct {
		name             string
		requests, limits corev1.ResourceList
		seconds          int64 // -1: it has not ended
		init             bool
	}
	for name, c := range map[string]struct {
		boxes []box
		want  nodes.Resources
	}{
		"nothing ended":    {[]box{{"main", nil, nil, -1, false}}, nil},
		"asks for nothing": {[]box{{"main", nil, nil, 60, false}}, nodes.Resources{"cpu": 6, "memory": 60}},
		"a request of cpu": {[]box{{"main", list("cpu", "2000m"), nil, 60, false}},
			nodes.Resources{"cpu": 120, "memory": 60}},
		"limits are requests": {[]box{{"main", list("cpu", "2"), list("nvidia.com/gpu", "1", "memory", "1Gi"), 180,
			false}}, nodes.Resources{"cpu": 360, "memory": 1843, "nvidia.com/gpu": 180}},
		"a request over a limit": {[]box{{"main", list("memory", "50Mi"), list("memory", "1Gi"), 120, false}},
			nodes.Resources{"cpu": 12, "memory": 60}},
		"storage": {[]box{{"main", list("ephemeral-storage", "20Gi"), nil, 30, false}},
			nodes.Resources{"cpu": 3, "memory": 30, "ephemeral-storage": 60}},
		"several containers": {[]box{{"init", nil, nil, 10, true}, {"main", nil, nil, 20, false},
			{"side", nil, nil, -1, true}}, nodes.Resources{"cpu": 3, "memory": 30}},
		"less than a second's is": {[]box{{"main", nil, nil, 9, false}}, nodes.Resources{"cpu": 0, "memory": 9}},
		"large for long": {[]box{{"main", list("memory", "10Ti"), nil, 864000, false}},
			nodes.Resources{"cpu": 86400, "memory": 90596966400}},
	} {
		pod := &corev1.Pod{}
		for _, b := range c.boxes {
			container := corev1.Container{Name: b.name,
				Resources: corev1.ResourceRequirements{Requests: b.requests, Limits: b.limits}}
			status := corev1.ContainerStatus{Name: b.name}
			if b.seconds >= 0 {
				status.State.Terminated = &corev1.ContainerStateTerminated{StartedAt: metav1.Unix(1000, 0),
					FinishedAt: metav1.Unix(1000+b.seconds, 0)}
			}
			if b.init {
				pod.Spec.InitContainers, pod.Status.InitContainerStatuses = append(pod.Spec.InitContainers, container),
					append(pod.Status.InitContainerStatuses, status)
			} else {
				pod.Spec.Containers, pod.Status.ContainerStatuses = append(pod.Spec.Containers, container),
					append(pod.Status.ContainerStatuses, status)
			}
		}
		if _, err := object.Slim(pod); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, resourcesOf(pod)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	never := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "main"}}},
		Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{Name: "main",
			State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{StartedAt: metav1.Unix(0, 0),
				FinishedAt: metav1.Unix(1000, 0)}}}}}}
	if got := resourcesOf(never); len(got) != 0 {
		t.Errorf("one that never began: %v", got)
	}
}
