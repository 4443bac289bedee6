package operation

import (
	"time"

	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/diff"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/health"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track"
)

// World is all that a plan may look at.
type World struct {
	Instance    string // how the application marks its objects
	Destination string // namespace of the application's objects
	Policy      v1alpha1.SyncPolicy
	Source      v1alpha1.ApplicationSource
	Ignore      []v1alpha1.ResourceIgnoreDifferences

	Revision        string          // the commit that Desired was rendered from
	Desired         []*track.Object // with namespaces filled in, each key once
	Live            map[track.Key]*track.Object
	NormalizedDiffs map[track.Key]NormalizedDiff
	Others          map[string]bool // instances of the other applications that exist

	Request *v1alpha1.Operation      // what someone asked for and nobody began
	State   *v1alpha1.OperationState // the operation at work, or the last one
	Now     time.Time
}

// NormalizedDiff is what the API server made of a manifest when it was applied: the
// differences that remain are its normalisation, not drift.
type NormalizedDiff struct {
	Fingerprint string
	Differences []diff.Difference
}

// Action is what an object needs to become as desired.
type Action string

// The actions.
const (
	Skip   Action = "skip"
	Create Action = "create"
	Update Action = "update"
	Prune  Action = "prune"
)

// Item is one object of an application and what is to be done about it.
type Item struct {
	Key     track.Key
	Version string
	Wave    int
	Desired *track.Object // nil when only live
	Live    *track.Object // nil when missing
	Action  Action
	Reason  string
	Health  health.Health
	// Kept says that the object is extra but must not be pruned.
	Kept bool
	// Untracked objects are made for the application but are not part of it.
	Untracked bool
	// Fingerprint of the manifest, to be remembered on the object.
	Fingerprint string
}

// Plan is what to do now and what to report.
type Plan struct {
	Items  []Item // in the order of application
	Synced bool
	Health health.Health

	// Operation is at work, or begins now when Begins is set; nil means that there
	// is nothing to do.
	Operation *v1alpha1.Operation
	Begins    bool
	Requested bool  // it begins because it was asked for on the object
	Retry     int64 // how many times this operation was tried before
	// Step is what to perform now; when it is empty, the operation either waits or
	// has ended with Phase.
	Step    []Item
	Wait    string
	Phase   v1alpha1.OperationPhase
	Message string

	Wake    time.Time // when to plan again without any event; zero means never
	Problem string    // why nothing is done although something should be
}

// Settle records how an object came out of an apply.
func Settle(w World, i Item, live *track.Object) NormalizedDiff {
	return NormalizedDiff{Fingerprint: i.Fingerprint, Differences: diff.Compare(w.without(i.Desired), live)}
}

// Worst is the health of an application: that of its worst object. Objects
// without health, hooks and those that ask to be ignored do not count; missing
// ones only if all are.
func Worst(items []Item) health.Health {
	worst := health.Health{Status: health.Healthy}
	missing, counted := 0, 0
	for _, i := range items {
		if i.Desired == nil || i.Desired.GetAnnotations()[IgnoreHealth] == "true" {
			continue
		}
		counted++
		if i.Health.Status == health.Missing {
			missing++
			continue
		}
		if i.Health.Worse(worst) {
			worst = health.Health{
				Status:  i.Health.Status,
				Message: strings.TrimSpace(i.Key.String() + ": " + i.Health.Message),
			}
		}
	}
	if counted > 0 && missing == counted {
		return health.Health{Status: health.Missing}
	}
	return worst
}
