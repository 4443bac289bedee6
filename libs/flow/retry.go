package flow

import (
	"fmt"
	"maps"
	"strconv"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// retry wraps a call in a Retry node with one child per attempt.
func (k *engine) retry(c call, strategy v1alpha1.RetryStrategy) v1alpha1.NodeStatus {
	n := k.begin(c, v1alpha1.NodeTypeRetry, v1alpha1.NodeRunning)
	for i := 0; ; i++ {
		attempt := c
		attempt.name, attempt.display = fmt.Sprintf("%s(%d)", c.name, i), fmt.Sprintf("%s(%d)", c.display, i)
		attempt.attempt, attempt.retry = true, i
		attempt.extra = maps.Clone(c.extra)
		if attempt.extra == nil {
			attempt.extra = map[string]string{}
		}
		attempt.extra["retries"] = strconv.Itoa(i)
		// Source: Argo Workflows, before the first attempt the last one ended with 0.
		maps.Copy(attempt.extra, map[string]string{"lastRetry.exitCode": "0", "lastRetry.status": "", "lastRetry.duration": "0", "lastRetry.message": ""})
		if i > 0 {
			if last, ok := k.nodes.Named(fmt.Sprintf("%s(%d)", c.name, i-1)); ok {
				addLastRetry(attempt.extra, last)
			}
		}
		child := k.execute(attempt)
		if child.ID == "" {
			return k.nodes.At(n.ID)
		}
		k.nodes.Link(n.ID, child.ID)
		n = k.nodes.At(n.ID)
		if !child.Phase.Fulfilled() {
			return k.follow(n, child)
		}
		verdict, wait := again(n, child, i, strategy, func(source string) (bool, error) { return k.retryExpression(source, child) })
		if verdict == "" && wait.After(k.w.Now) {
			k.memory.WakeAt(wait)
			return n
		}
		if verdict != "" || child.Phase == v1alpha1.NodeSucceeded {
			return k.endRetry(n, child, verdict)
		}
	}
}

func (k *engine) endRetry(n, child v1alpha1.NodeStatus, verdict string) v1alpha1.NodeStatus {
	n.Outputs = child.Outputs
	message := child.Message
	if child.Phase == v1alpha1.NodeFailed || child.Phase == v1alpha1.NodeError {
		message = verdict
		if child.Message != "" {
			message += ": " + child.Message
		}
	}
	return k.finish(n, child.Phase, message)
}

func (k *engine) retryExpression(source string, last v1alpha1.NodeStatus) (bool, error) {
	values := map[string]string{}
	addLastRetry(values, last)
	s := k.globals.Inner(values)
	return s.Condition(source)
}
