package operation

import (
	"time"

	"github.com/argosy-mesh/argosy/libs/core/span"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// Repeated heals of one revision back off, so that two controllers that disagree
// about a field do not spin.
const (
	healFirst = 2 * time.Second
	healCap   = 300 * time.Second
	healCalm  = healCap + 30*time.Second // after this long without one, the count starts again
)

// How often a failed operation is tried again when nobody says otherwise.
const (
	retryLimit  = 5
	retryFirst  = 5 * time.Second
	retryFactor = 2
	retryCap    = 3 * time.Minute
)

// retries reports whether an operation that was tried again a number of times may be tried once more. Without a limit
// of its own it may not; a negative limit is none.
func retries(o v1alpha1.Operation, tried int64) bool {
	limit := int64(0)
	switch {
	case o.Retry.Limit != nil:
		limit = *o.Retry.Limit
	case o.InitiatedBy.Automated:
		limit = retryLimit
	}
	return limit < 0 || tried < limit
}

// healsOf counts the heals of this revision in a row.
func healsOf(w World) int64 {
	if w.State.Operation.Sync == nil || w.Now.Sub(finished(w)) > healCalm {
		return 0
	}
	return w.State.Operation.Sync.AutoHealAttemptsCount
}

// healWait is 0 s, 2 s, 6 s, 18 s and so on.
func healWait(heals int64) time.Duration {
	if heals == 0 {
		return 0
	}
	wait := healFirst
	for range heals - 1 {
		if wait *= 3; wait >= healCap {
			return healCap
		}
	}
	return wait
}

// retryWait is the pause before an operation is tried again that was tried again a number of times.
func retryWait(b *v1alpha1.SyncBackoff, tried int64) time.Duration {
	wait, factor, limit := retryFirst, int64(retryFactor), retryCap
	if b != nil {
		wait, limit = durationOr(b.Duration, wait), durationOr(b.MaxDuration, limit)
		if b.Factor != nil && *b.Factor > 0 {
			factor = *b.Factor
		}
	}
	for range tried {
		if wait = span.Times(wait, float64(factor)); wait >= limit {
			return limit
		}
	}
	return min(wait, limit)
}

// durationOr reads a duration; a bare number counts seconds.
func durationOr(text string, fallback time.Duration) time.Duration {
	if d, err := span.Parse(text); err == nil {
		return d
	}
	return fallback
}
