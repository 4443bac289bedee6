package health

import (
	"testing"

	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track/tracktest"
)

func TestHealth(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"config map": {"{apiVersion: v1, kind: ConfigMap}", ""},
		"deployment, new": {
			"{apiVersion: apps/v1, kind: Deployment, metadata: {generation: 2}, status: {observedGeneration: 1}}",
			Progressing,
		},
		"deployment, good": {
			"{apiVersion: apps/v1, kind: Deployment, spec: {replicas: 2}, status: {updatedReplicas: 2, replicas: 2, availableReplicas: 2}}",
			Healthy,
		},
		"deployment, late": {
			"{apiVersion: apps/v1, kind: Deployment, status: {conditions: [{type: Progressing, reason: ProgressDeadlineExceeded}]}}",
			Degraded,
		},
		"deployment, paused": {"{apiVersion: apps/v1, kind: Deployment, spec: {paused: true}}", Suspended},
		"stateful set, waits": {
			"{apiVersion: apps/v1, kind: StatefulSet, spec: {replicas: 2}, status: {readyReplicas: 1}}", Progressing,
		},
		"daemon set, good": {
			"{apiVersion: apps/v1, kind: DaemonSet, status: {desiredNumberScheduled: 1, updatedNumberScheduled: 1, numberAvailable: 1}}",
			Healthy,
		},
		"pod, back-off": {
			"{apiVersion: v1, kind: Pod, status: {containerStatuses: [{state: {waiting: {reason: ImagePullBackOff}}}]}}",
			Degraded,
		},
		"service":       {"{apiVersion: v1, kind: Service}", Healthy},
		"load balancer": {"{apiVersion: v1, kind: Service, spec: {type: LoadBalancer}}", Progressing},
		"claim":         {"{apiVersion: v1, kind: PersistentVolumeClaim, status: {phase: Bound}}", Healthy},
		"job, failed": {
			"{apiVersion: batch/v1, kind: Job, status: {conditions: [{type: Failed, status: 'True'}]}}", Degraded,
		},
		"rollout, paused": {
			"{apiVersion: argoproj.io/v1alpha1, kind: Rollout, status: {phase: Paused}}", Suspended,
		},
	} {
		if got := Assess(tracktest.Object(t, c.text)); got.Status != c.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
