// Package retry says whether a failed attempt is followed by another, and when.
package retry

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/span"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

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

func backoff(n, child v1alpha1.NodeStatus, attempt int, b *v1alpha1.Backoff) (string, time.Time) {
	if b == nil || b.Duration == "" {
		return "", time.Time{}
	}
	wait, err := span.Parse(b.Duration)
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
		limit, err := span.Parse(b.Cap)
		if err != nil {
			return fmt.Sprintf("retryStrategy.backoff.cap: %v", err), time.Time{}
		}
		wait = min(wait, limit)
	}
	next := child.FinishedAt.Add(wait)
	if b.MaxDuration == "" {
		return "", next
	}
	limit, err := span.Parse(b.MaxDuration)
	switch {
	case err != nil:
		return fmt.Sprintf("retryStrategy.backoff.maxDuration: %v", err), time.Time{}
	case next.After(n.StartedAt.Add(limit)):
		return "Backoff would exceed max duration limit", time.Time{}
	}
	return "", next
}

// AddLast adds what an attempt may know of the one before.
func AddLast(values map[string]string, last v1alpha1.NodeStatus) {
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

// Again decides about one more attempt: a verdict says why there is none, a time
// says how long to wait.
func Again(n, child v1alpha1.NodeStatus, attempt int, s v1alpha1.RetryStrategy,
	holds func(expression string) (bool, error)) (verdict string, wait time.Time) {
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
		ok, err := holds(s.Expression)
		if err != nil {
			return fmt.Sprintf("retryStrategy.expression %q: %v", s.Expression, err), time.Time{}
		}
		if !ok {
			return "retryStrategy.expression evaluated to false", time.Time{}
		}
	}
	return backoff(n, child, attempt, s.Backoff)
}

// ParseCount reads a whole number that may stand in quotes.
func ParseCount(s string) (int, error) { return strconv.Atoi(strings.TrimSpace(s)) }
