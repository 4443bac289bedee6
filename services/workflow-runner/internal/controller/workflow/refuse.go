package workflow

import (
	"fmt"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/flow"
)

// answered notes what became of the pods that were asked for, and reports whether one was refused for good: its error becomes
// the end of its node.
func (r *run) answered(actions []flow.Action, errs []error) (refused bool) {
	for i, action := range actions {
		create, ok := action.(flow.CreatePod)
		switch {
		case !ok:
		case fault.Of(errs[i]) == fault.Poison:
			r.refused[create.NodeID] = errs[i].Error()
			errs[i], refused = nil, true
		case errs[i] != nil:
			errs[i] = fmt.Errorf("node %s: %w", create.NodeName, errs[i])
		case time.Since(r.asked[create.NodeID]) >= askAgain:
			r.asked[create.NodeID] = time.Now()
		}
	}
	return refused
}
