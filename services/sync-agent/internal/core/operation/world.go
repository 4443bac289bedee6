package operation

import (
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/diff"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/health"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// World is all that a plan may look at.
type World struct {
	Instance    string // how the application marks its objects
	Tracking    track.Method
	Destination string // namespace of the application's objects
	Policy      v1alpha1.SyncPolicy
	Ignore      diff.Rules
	// Owners are the managed fields of live objects of which Ignore needs them.
	Owners map[track.Key][]metav1.ManagedFieldsEntry
	Target Target

	Desired         []*track.Object // with namespaces filled in, each key once
	Hooks           []*track.Object // with namespaces filled in; some have only the beginning of a name
	Live            map[track.Key]*track.Object
	NormalizedDiffs map[track.Key]NormalizedDiff
	Others          map[string]bool // instances of other applications that exist, of those that live objects name
	// Deny says why the project of the application forbids an object, "" when it does not; nil forbids nothing.
	Deny func(*track.Object) string
	// Held says why nothing may begin now.
	Held Held
	// Assess tells the health of a live object.
	Assess func(*track.Object) health.Health

	Request *v1alpha1.Operation      // what someone asked for and nobody began
	State   *v1alpha1.OperationState // the operation at work, or the last one
	// Refused is what a dry run of everything said of the objects that would not be taken; nil before the dry run.
	Refused map[track.Key]string
	// Approved is when someone approved deletions that ask for it.
	Approved time.Time
	// Delay is the least time between two waves, and Progressed when the last one was applied.
	Delay      time.Duration
	Progressed time.Time
	// Pinned says that a newer commit must wait until the operation at work is over.
	Pinned bool
	Now    time.Time
}

// Held says why an operation may not begin; empty means that it may.
type Held struct {
	Automated string // of operations that begin by themselves
	Requested string // of those that someone asked for
	Running   string // of operations that have begun
}

// Target is what an application should be: its sources and the revision of each.
type Target struct {
	Source    v1alpha1.ApplicationSource
	Sources   []v1alpha1.ApplicationSource // instead of Source
	Revision  string
	Revisions []string // of Sources
}

// Of returns the target of a result.
func TargetOf(r *v1alpha1.SyncOperationResult) Target {
	if r == nil {
		return Target{}
	}
	return Target{Source: r.Source, Sources: r.Sources, Revision: r.Revision, Revisions: r.Revisions}
}

// Result is a result that did nothing yet.
func (t Target) Result() *v1alpha1.SyncOperationResult {
	return &v1alpha1.SyncOperationResult{
		Source: t.Source, Sources: t.Sources, Revision: t.Revision, Revisions: t.Revisions,
	}
}

// NormalizedDiff is what the API server makes of a manifest.
type NormalizedDiff struct {
	Fingerprint string // of the manifest
	// Differences remain when it is applied: they are the server's normalisation, not drift.
	Differences []diff.Difference
	// Drift is what else differed when the server was last asked.
	Drift []diff.Difference
	// Changes says that an apply would have changed the object then.
	Changes bool
}

// Action is what an object needs to become as desired.
type Action string

// The actions.
const (
	Skip    Action = "skip"
	Create  Action = "create"
	Update  Action = "update"
	Prune   Action = "prune"
	Delete  Action = "delete"  // a hook, so that it can be made again or because its policy says so
	Release Action = "release" // takes the finalizer of a hook away
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
	// Confirm says that pruning the object must be approved first.
	Confirm bool
	// Untracked objects are made for the application but are not part of it.
	Untracked bool
	// Shared names the other application that the object belongs to.
	Shared string
	// Hook marks live hooks, which are shown and never compared.
	Hook bool
	// Fingerprint of the manifest, to be remembered on the object.
	Fingerprint string
}

// Task is one thing to do in an operation.
type Task struct {
	Item
	Phase Phase
	Mode  Mode
}

// Mode is how an object is written.
type Mode struct {
	Replace  bool // as a whole, instead of applied
	Force    bool // deleted and made again where it cannot be changed
	Validate bool // unknown fields are refused
}

// Plan is what to do now and what to report.
type Plan struct {
	Items  []Item // in the order of application
	Synced bool
	Health health.Health
	// Ask are the objects of which only the API server can tell whether they differ: a dry run of each goes into
	// NormalizedDiffs, and the plan is made again.
	Ask []Item

	// Operation is at work, or begins now when Begins is set; nil means that there
	// is nothing to do.
	Operation *v1alpha1.Operation
	Begins    bool
	Requested bool  // it begins because it was asked for on the object
	Retry     int64 // how many times this operation was tried before
	// Ends is the message of an operation that is over because another one begins.
	Ends string
	// Results are what became known of tasks since the last plan.
	Results []v1alpha1.ResourceResult
	// DryRun are the tasks of which the API server must say whether it would take them, before any is performed.
	DryRun []Task
	// Durable says that the progress must be written before Step is performed: it would be done twice otherwise.
	Durable bool
	// Step is what to perform now; when it is empty, the operation either waits or has ended with Phase.
	Step    []Task
	Wait    string
	Phase   v1alpha1.OperationPhase
	Message string

	Wake    time.Time // when to plan again without any event; zero means never
	Problem string    // why nothing is done although something should be
}
