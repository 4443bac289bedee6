package flow

import (
	"fmt"
	"maps"
	"math"
	"strconv"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/span"
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
		verdict, wait := k.again(n, child, i, strategy)
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

// again decides about one more attempt: a verdict says why there is none, a time
// says how long to wait.
func (k *engine) again(n, child v1alpha1.NodeStatus, attempt int, s v1alpha1.RetryStrategy) (verdict string, wait time.Time) {
	if child.Phase == v1alpha1.NodeSucceeded || child.Phase == v1alpha1.NodeSkipped {
		return "done", time.Time{}
	}
	if s.Limit != nil {
		limit, err := ParseCount(s.Limit.String())
		if err != nil {
			return fmt.Sprintf("retryStrategy.limit: %q is no number", s.Limit.String()), time.Time{}
		}
		if attempt >= limit {
			return "No more retries left", time.Time{}
		}
	}
	if !policyAllows(s, child.Phase) {
		return "retryPolicy does not cover " + string(child.Phase), time.Time{}
	}
	if s.Expression != "" {
		ok, err := k.retryExpression(s.Expression, child)
		if err != nil {
			return fmt.Sprintf("retryStrategy.expression %q: %v", s.Expression, err), time.Time{}
		}
		if !ok {
			return "retryStrategy.expression evaluated to false", time.Time{}
		}
	}
	return k.backoff(n, child, attempt, s.Backoff)
}

func policyAllows(s v1alpha1.RetryStrategy, phase v1alpha1.NodePhase) bool {
	policy := s.RetryPolicy
	if policy == "" {
		policy = v1alpha1.RetryOnFailure
		if s.Expression != "" {
			policy = v1alpha1.RetryAlways
		}
	}
	switch policy {
	case v1alpha1.RetryAlways:
		return true
	case v1alpha1.RetryOnFailure:
		return phase == v1alpha1.NodeFailed
	case v1alpha1.RetryOnError, v1alpha1.RetryOnTransientError:
		return phase == v1alpha1.NodeError
	}
	return false
}

func (k *engine) backoff(n, child v1alpha1.NodeStatus, attempt int, b *v1alpha1.Backoff) (string, time.Time) {
	if b == nil || b.Duration == "" {
		return "", time.Time{}
	}
	wait, err := parseDuration(b.Duration)
	if err != nil {
		return fmt.Sprintf("retryStrategy.backoff.duration: %v", err), time.Time{}
	}
	if b.Factor != nil {
		factor, err := ParseCount(b.Factor.String())
		if err != nil {
			return fmt.Sprintf("retryStrategy.backoff.factor: %q is no number", b.Factor.String()), time.Time{}
		}
		wait = span.Times(wait, math.Pow(float64(factor), float64(attempt)))
	}
	if b.Cap != "" {
		limit, err := parseDuration(b.Cap)
		if err != nil {
			return fmt.Sprintf("retryStrategy.backoff.cap: %v", err), time.Time{}
		}
		wait = min(wait, limit)
	}
	next := child.FinishedAt.Add(wait)
	if b.MaxDuration == "" {
		return "", next
	}
	limit, err := parseDuration(b.MaxDuration)
	switch {
	case err != nil:
		return fmt.Sprintf("retryStrategy.backoff.maxDuration: %v", err), time.Time{}
	case next.After(n.StartedAt.Add(limit)):
		return "Backoff would exceed max duration limit", time.Time{}
	}
	return "", next
}

func addLastRetry(values map[string]string, last v1alpha1.NodeStatus) {
	values["lastRetry.status"], values["lastRetry.message"] = string(last.Phase), last.Message
	values["lastRetry.exitCode"] = exitCode(last)
	values["lastRetry.duration"] = "0"
	if last.FinishedAt != nil && last.StartedAt != nil {
		values["lastRetry.duration"] = strconv.Itoa(int(last.FinishedAt.Sub(last.StartedAt.Time).Seconds()))
	}
}

func exitCode(n v1alpha1.NodeStatus) string {
	if n.Outputs != nil && n.Outputs.ExitCode != nil {
		return *n.Outputs.ExitCode
	}
	return "-1"
}

func (k *engine) retryExpression(source string, last v1alpha1.NodeStatus) (bool, error) {
	values := map[string]string{}
	addLastRetry(values, last)
	s := k.globals.Inner(values)
	return s.Condition(source)
}
