package engine

import (
	"fmt"
	"maps"
	"strconv"

	"github.com/argosy-mesh/argosy/libs/flow/nodes"

	"github.com/argosy-mesh/argosy/libs/flow/retry"
	"github.com/argosy-mesh/argosy/libs/flow/state"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// retry wraps a call in a Retry node with one child per attempt.
func (k *engine) retry(c state.Call, strategy v1alpha1.RetryStrategy) v1alpha1.NodeStatus {
	n := k.Begin(c, v1alpha1.NodeTypeRetry, v1alpha1.NodeRunning)
	for i := 0; ; i++ {
		attempt := c
		attempt.Name, attempt.Display = fmt.Sprintf("%s(%d)", c.Name, i), fmt.Sprintf("%s(%d)", c.Display, i)
		attempt.Attempt, attempt.Retry = true, i
		attempt.Extra = maps.Clone(c.Extra)
		if attempt.Extra == nil {
			attempt.Extra = map[string]string{}
		}
		attempt.Extra["retries"] = strconv.Itoa(i)
		// Source: Argo Workflows, before the first attempt the last one ended with 0.
		maps.Copy(attempt.Extra, map[string]string{"lastRetry.exitCode": "0", "lastRetry.status": "",
			"lastRetry.duration": "0", "lastRetry.message": ""})
		if i > 0 {
			if last, ok := k.Nodes.Named(fmt.Sprintf("%s(%d)", c.Name, i-1)); ok {
				retry.AddLast(attempt.Extra, last)
			}
		}
		child := k.execute(attempt)
		if child.ID == "" {
			return k.Nodes.At(n.ID)
		}
		k.Nodes.Link(n.ID, child.ID)
		n = k.Nodes.At(n.ID)
		if !child.Phase.Fulfilled() {
			return k.follow(n, child)
		}
		verdict, wait := retry.Again(n, child, i, strategy,
			func(source string) (bool, error) { return k.retryExpression(source, child) })
		if verdict == "" && wait.After(k.World.Now) {
			k.Memory.WakeAt(wait)
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
	return k.Finish(n, child.Phase, message)
}

func (k *engine) retryExpression(source string, last v1alpha1.NodeStatus) (bool, error) {
	values := map[string]string{}
	retry.AddLast(values, last)
	s := k.Globals.Inner(values)
	return s.Condition(source)
}

// follow lets a Retry node be as far as the attempt that is at work.
func (k *engine) follow(n, attempt v1alpha1.NodeStatus) v1alpha1.NodeStatus {
	if nodes.Serves(n) == nodes.Serves(attempt) && n.PodIP == attempt.PodIP {
		return n
	}
	n.Daemoned, n.PodIP = attempt.Daemoned, attempt.PodIP
	return k.Put(n)
}
