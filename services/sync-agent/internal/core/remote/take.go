package remote

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/health"
)

// longestMessage bounds the messages of a report that had to be cut.
const longestMessage = 512

// Encode writes a report. One that is too large loses, until it fits: what was done to each object and how each is, the
// older history, then the objects themselves. A condition says so.
func (r Report) Encode() ([]byte, error) { return r.encode(MaxReport) }

func (r Report) encode(limit int) ([]byte, error) {
	text, err := json.Marshal(r)
	for _, cut := range cuts {
		if err != nil || len(text) <= limit {
			break
		}
		r.Status = *r.Status.DeepCopy()
		what := cut(&r.Status)
		r.Status.Conditions = append(r.Status.Conditions, v1alpha1.ApplicationCondition{
			Type: "ReportWarning", Message: "the status is too large for the bus: the agent's cluster has " + what,
		})
		text, err = json.Marshal(r)
	}
	if err != nil {
		return nil, fmt.Errorf("encode a report: %w", err)
	}
	if len(text) > limit {
		return nil, fmt.Errorf("%w: %d bytes of at most %d", ErrTooLarge, len(text), limit)
	}
	return text, nil
}

var cuts = []func(*v1alpha1.ApplicationStatus) string{
	func(s *v1alpha1.ApplicationStatus) string {
		for i := range s.Resources {
			if h := s.Resources[i].Health; h != nil {
				h.Message = short(h.Message)
			}
		}
		s.Health.Message = short(s.Health.Message)
		if o := s.OperationState; o != nil {
			o.Message = short(o.Message)
			if o.SyncResult != nil {
				for i := range o.SyncResult.Resources {
					o.SyncResult.Resources[i].Message = short(o.SyncResult.Resources[i].Message)
				}
			}
		}
		for i := range s.Conditions {
			s.Conditions[i].Message = short(s.Conditions[i].Message)
		}
		return "the whole messages"
	},
	func(s *v1alpha1.ApplicationStatus) string {
		s.History = s.History[max(0, len(s.History)-1):]
		if o := s.OperationState; o != nil && o.SyncResult != nil {
			o.SyncResult.Resources = nil
		}
		return "the history and the results of the operation"
	},
	func(s *v1alpha1.ApplicationStatus) string {
		s.Resources, s.Summary = nil, v1alpha1.ApplicationSummary{}
		return "the list of objects"
	},
	func(s *v1alpha1.ApplicationStatus) string {
		*s = v1alpha1.ApplicationStatus{
			Sync:   v1alpha1.SyncStatus{Status: s.Sync.Status, Revision: s.Sync.Revision, Revisions: s.Sync.Revisions},
			Health: v1alpha1.AppHealthStatus{Status: s.Health.Status},
		}
		return "the status"
	},
}

func short(text string) string {
	if len(text) > longestMessage {
		return text[:longestMessage] + "..."
	}
	return text
}

// Take is the status of an Application after a report of it. What somebody ended stays ended until the agent says how.
func Take(now v1alpha1.ApplicationStatus, r Report) v1alpha1.ApplicationStatus {
	next := *r.Status.DeepCopy()
	next.SourceHydrator = now.SourceHydrator // which the control cluster says itself
	// An agent says what it likes; what counts things by these words knows few of them.
	next.Sync.Status = oneOf(next.Sync.Status, health.Unknown, "Synced", "OutOfSync")
	next.Health.Status = oneOf(
		next.Health.Status, health.Unknown, health.Healthy, health.Progressing, health.Degraded, health.Suspended,
		health.Missing,
	)
	if o := next.OperationState; o != nil {
		o.Phase = oneOf(
			o.Phase, v1alpha1.OperationError, v1alpha1.OperationRunning, v1alpha1.OperationTerminating,
			v1alpha1.OperationSucceeded, v1alpha1.OperationFailed,
		)
	}
	was, is := now.OperationState, next.OperationState
	if was != nil && is != nil && was.Phase == v1alpha1.OperationTerminating &&
		is.Phase == v1alpha1.OperationRunning && was.StartedAt != nil && is.StartedAt != nil &&
		was.StartedAt.Equal(is.StartedAt) {
		is.Phase = v1alpha1.OperationTerminating
	}
	if is == nil {
		next.OperationState = was
	}
	return next
}

// oneOf is a word that is known, else another one.
func oneOf[T ~string](word, otherwise T, known ...T) T {
	if slices.Contains(known, word) {
		return word
	}
	return otherwise
}

// Ended reports whether a report tells the end of an operation that was not known yet.
func Ended(now, next v1alpha1.ApplicationStatus) bool {
	was, is := now.OperationState, next.OperationState
	if is == nil || is.FinishedAt == nil || !final(is.Phase) {
		return false
	}
	return was == nil || !final(was.Phase) || was.FinishedAt == nil || !was.FinishedAt.Equal(is.FinishedAt) ||
		!was.StartedAt.Equal(is.StartedAt)
}

func final(phase v1alpha1.OperationPhase) bool {
	return phase != v1alpha1.OperationRunning && phase != v1alpha1.OperationTerminating
}

// Unknown is a status of which nobody knows whether it still holds.
func Unknown(now v1alpha1.ApplicationStatus, why string) v1alpha1.ApplicationStatus {
	next := *now.DeepCopy()
	next.Sync.Status = "Unknown"
	next.Health = v1alpha1.AppHealthStatus{Status: health.Unknown, Message: why}
	return next
}

// Tree is a status as a tree.
func Tree(status v1alpha1.ApplicationStatus) (map[string]any, error) {
	text, err := json.Marshal(status)
	if err != nil {
		return nil, fmt.Errorf("encode a status: %w", err)
	}
	var out map[string]any
	if err := json.Unmarshal(text, &out); err != nil {
		return nil, fmt.Errorf("encode a status: %w", err)
	}
	return out, nil
}
