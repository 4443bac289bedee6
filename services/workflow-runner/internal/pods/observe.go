package pods

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/libs/flow/protocol"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/object"
	corev1 "k8s.io/api/core/v1"
)

// MainContainer is the name upstream gives the user's container.
const MainContainer = "main"

// reportLimit bounds a report that was too large for the termination message.
const reportLimit = 1 << 20

// View is what the core may know of a pod.
func (p *Pods) View(ctx context.Context, pod *corev1.Pod) (flow.Pod, error) {
	out := flow.Pod{Name: pod.Name, Host: pod.Spec.NodeName, IP: pod.Status.PodIP, Phase: PhaseOf(pod)}
	if pod.Status.StartTime != nil {
		out.StartedAt = pod.Status.StartTime.Time
	}
	out.Message, out.Ready, out.Containers = waiting(pod), allReady(pod), containerStates(pod)
	ended := terminated(pod.Status.ContainerStatuses, MainContainer)
	if ended != nil {
		out.ExitCode = &ended.ExitCode
	}
	out.FinishedAt, out.Resources = LastEnd(pod), resourcesOf(pod)
	if out.Phase == flow.PodFailed {
		out.Message, out.Broken = failure(pod)
	}
	if out.Phase == flow.PodSucceeded || out.Phase == flow.PodFailed {
		report, err := p.reports(ctx, pod, ended)
		if err != nil {
			return out, fmt.Errorf("read what pod %s/%s left behind: %w", pod.Namespace, pod.Name, err)
		}
		out.Report = report
	}
	return out, nil
}

// PhaseOf takes the end of the main container for the end of the pod: the kubelet
// reports the pod's own phase up to a second later.
func PhaseOf(pod *corev1.Pod) flow.PodPhase {
	switch pod.Status.Phase {
	case corev1.PodSucceeded:
		return flow.PodSucceeded
	case corev1.PodFailed:
		return flow.PodFailed
	case corev1.PodRunning:
		if ended := terminated(pod.Status.ContainerStatuses, MainContainer); ended != nil &&
			len(pod.Spec.Containers) == 1 {
			if ended.ExitCode == 0 {
				return flow.PodSucceeded
			}
			return flow.PodFailed
		}
		return flow.PodRunning
	default:
		return flow.PodPending
	}
}

// allReady reports whether every container runs and has passed its probes.
func allReady(pod *corev1.Pod) bool {
	for i := range pod.Status.ContainerStatuses {
		if !pod.Status.ContainerStatuses[i].Ready {
			return false
		}
	}
	return len(pod.Status.ContainerStatuses) > 0
}

func containerStates(pod *corev1.Pod) map[string]flow.ContainerState {
	out := map[string]flow.ContainerState{}
	for i := range pod.Status.ContainerStatuses {
		c := &pod.Status.ContainerStatuses[i]
		state := flow.ContainerState{Started: c.State.Running != nil}
		if t := c.State.Terminated; t != nil {
			state = flow.ContainerState{Started: true, Ended: true, ExitCode: t.ExitCode}
		}
		out[c.Name] = state
	}
	return out
}

func terminated(statuses []corev1.ContainerStatus, name string) *corev1.ContainerStateTerminated {
	for i := range statuses {
		if statuses[i].Name == name {
			return statuses[i].State.Terminated
		}
	}
	return nil
}

// LastEnd is when the last container of a pod ended, as far as they have.
func LastEnd(pod *corev1.Pod) (at time.Time) {
	for i := range pod.Status.ContainerStatuses {
		if t := pod.Status.ContainerStatuses[i].State.Terminated; t != nil && t.FinishedAt.After(at) {
			at = t.FinishedAt.Time
		}
	}
	return at
}

// culprit is the container that made a pod fail, or nil: of those that ended badly the first that was not stopped for
// another's sake. Source: Argo Workflows judges all containers of a set alike.
func culprit(pod *corev1.Pod) *corev1.ContainerStatus {
	var bad []*corev1.ContainerStatus
	for i := range pod.Status.ContainerStatuses {
		if c := &pod.Status.ContainerStatuses[i]; c.State.Terminated != nil && c.State.Terminated.ExitCode != 0 {
			bad = append(bad, c)
		}
	}
	if len(bad) == 0 {
		return nil
	}
	return slices.MinFunc(bad, func(a, b *corev1.ContainerStatus) int {
		x, y := a.State.Terminated, b.State.Terminated
		return cmp.Or(cmp.Compare(stoppedFor(x), stoppedFor(y)), x.FinishedAt.Compare(y.FinishedAt.Time))
	})
}

// stoppedFor is 1 for a container that its executor stopped, or did not begin, for another's sake.
func stoppedFor(t *corev1.ContainerStateTerminated) int {
	var said protocol.Termination
	if json.Unmarshal([]byte(t.Message), &said) == nil && said.Stopped != "" {
		return 1
	}
	return 0
}

// waiting says what a pod that does not run yet waits for.
func waiting(pod *corev1.Pod) string {
	for _, statuses := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses,
		pod.Status.ContainerStatuses} {
		for _, c := range statuses {
			if w := c.State.Waiting; w != nil && w.Reason != "" && w.Reason != "PodInitializing" &&
				w.Reason != "ContainerCreating" {
				return w.Reason + ": " + w.Message
			}
		}
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return c.Reason + ": " + c.Message
		}
	}
	return ""
}

// failure tells why a pod failed, and whether something other than its program is
// to blame.
func failure(pod *corev1.Pod) (message string, broken bool) {
	if pod.Status.Message != "" {
		// Upstream: a message of the pod itself (evicted, deadline) is a failure.
		return pod.Status.Message, false
	}
	// Before init containers: where a container ran they all ended well, and sidecars among them were killed after it.
	if c := culprit(pod); c != nil {
		return blame(c), false
	}
	for _, c := range pod.Status.InitContainerStatuses {
		if t := c.State.Terminated; t != nil && t.ExitCode != 0 {
			return fmt.Sprintf("init container %s ended with exit code %d: %s", c.Name, t.ExitCode, t.Message), true
		}
	}
	return "pod failed: " + pod.Status.Reason, true
}

// blame says how a container ended that made its pod fail.
func blame(c *corev1.ContainerStatus) string {
	what := "Error"
	if c.State.Terminated.Reason == "OOMKilled" {
		what = c.State.Terminated.Reason
	}
	if c.Name != MainContainer {
		what = "container " + c.Name + ": " + what
	}
	return fmt.Sprintf("%s (exit code %d)", what, c.State.Terminated.ExitCode)
}

// reports joins what the executor says in each container: main its outputs, the others of a set their logs.
func (p *Pods) reports(ctx context.Context, pod *corev1.Pod,
	main *corev1.ContainerStateTerminated) (whole *protocol.Report, err error) {
	if main != nil {
		if whole, err = p.report(ctx, pod, main.Message); err != nil {
			return nil, err
		}
	}
	if pod.Annotations[object.AnnotationExecutor] == "" {
		return whole, nil
	}
	for i := range pod.Status.ContainerStatuses {
		c := &pod.Status.ContainerStatuses[i]
		var said protocol.Termination
		if c.Name == MainContainer || c.State.Terminated == nil ||
			json.Unmarshal([]byte(c.State.Terminated.Message), &said) != nil {
			continue
		}
		if whole == nil {
			whole = &protocol.Report{}
		}
		whole.Artifacts = append(whole.Artifacts, said.Artifacts...)
		if whole.Error == "" {
			whole.Error = said.Error
		}
	}
	return whole, nil
}

// report reads what the executor wrote into the termination message, or the stored
// report when it did not fit. Without the executor the message is the program's
// own, and no report.
func (p *Pods) report(ctx context.Context, pod *corev1.Pod, message string) (*protocol.Report, error) {
	if pod.Annotations[object.AnnotationExecutor] == "" {
		return nil, nil
	}
	var t protocol.Termination
	if err := json.Unmarshal([]byte(message), &t); err != nil {
		return &protocol.Report{Error: "the executor left no report"}, nil
	}
	if !t.Stored {
		return &t.Report, nil
	}
	// The name is ours, not the pod's word: pods must not read each other's reports.
	name := reportKey(pod.Namespace, pod.Name, pod.Annotations[object.AnnotationRun])
	object, err := p.Bus.Objects(bus.ArtifactsBucket).Open(ctx, name)
	if errors.Is(err, bus.ErrNotFound) {
		return &protocol.Report{Error: "the stored report is gone"}, nil
	}
	if err != nil {
		return nil, err
	}
	defer object.Close()
	var report protocol.Report
	if err := json.NewDecoder(io.LimitReader(object, reportLimit)).Decode(&report); err != nil {
		return &protocol.Report{Error: "the stored report cannot be read: " + err.Error()}, nil
	}
	return &report, nil
}

func reportKey(namespace, pod, run string) string {
	return "report/" + namespace + "/" + run + "/" + pod
}
