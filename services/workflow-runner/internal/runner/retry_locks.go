package runner

import (
	"time"

	"github.com/argosy-mesh/argosy/libs/flow"
)

// beforeRetry wakes a run that stands in a queue.
func (r *Runner) beforeRetry(wake time.Time, actions []flow.Action) time.Time {
	for _, a := range actions {
		if _, waits := a.(flow.Acquire); waits {
			if again := time.Now().Add(lockRetry); wake.IsZero() || again.Before(wake) {
				return again
			}
		}
	}
	return wake
}
