// Package journal has the records of runs on the bus, and the run that they fold to. It knows nothing of objects and
// pods.
package journal

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/object"
	corev1 "k8s.io/api/core/v1"
)

// Entry is one record of a run's journal.
type Entry struct {
	At    time.Time              `json:"at"`
	Spec  *v1alpha1.WorkflowSpec `json:"spec,omitempty"` // what the run was started with, or was retried with
	Nodes []v1alpha1.NodeStatus  `json:"nodes,omitempty"`
	Links []flow.Link            `json:"links,omitempty"` // children that nodes got, of which Nodes does not speak
	Run   *flow.RunChange        `json:"run,omitempty"`
	Found []Finding              `json:"found,omitempty"` // what was found outside, for good
	Order string                 `json:"order,omitempty"` // key of the order that this carries out

	Restart *flow.Restart `json:"restart,omitempty"` // how an ended run goes on

	More bool `json:"more,omitempty"` // the next entry belongs to the same decision

	// Repository is where the artifacts of the run are kept, beside Spec.
	Repository *v1alpha1.ArtifactRepositoryRefStatus `json:"repository,omitempty"`
	Object     *Origin                               `json:"object,omitempty"` // whose run it is, beside Spec
}

// Origin is what a run keeps of the metadata of its object.
type Origin struct {
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Created     time.Time         `json:"created,omitzero"`
}

// Finding is the answer to one question of the flow.
type Finding struct {
	Need   flow.Lookup `json:"need"`
	Answer flow.Answer `json:"answer"`
}

// Run is one workflow run as its journal has it.
type Run struct {
	subject string
	last    uint64 // sequence of the last entry
	Spec    *v1alpha1.WorkflowSpec
	Repo    *v1alpha1.ArtifactRepositoryRefStatus // nil: not looked for yet, or the run is older than such
	Origin  Origin                                // of its object
	State   flow.Run
	Found   map[flow.Lookup]flow.Answer
	Obeyed  map[string]bool // keys of orders that were carried out
	Again   int             // how often the run was retried
}

// Replay reads a run from its journal, and its last record: what a replica that died after recording did not get to
// tell. It is nil when nothing was recorded yet.
func Replay(ctx context.Context, b *bus.Bus, namespace, uid string) (r *Run, latest *Entry, err error) {
	r = &Run{subject: events.RunSubject(namespace, uid), Found: map[flow.Lookup]flow.Answer{},
		Obeyed: map[string]bool{}}
	entries, err := b.Read(ctx, bus.Runs, r.subject)
	if err != nil {
		return nil, nil, fmt.Errorf("replay run %s: %w", uid, err)
	}
	for _, d := range entries {
		var e Entry
		if err := d.DataAs(&e); err != nil {
			return nil, nil, fault.Poisonf("replay run %s: entry %d: %w", uid, d.Sequence, err)
		}
		r.fold(e, d.Sequence)
		if latest != nil && latest.More {
			e.Nodes = append(latest.Nodes, e.Nodes...)
		}
		latest = &e
	}
	return r, latest, nil
}

func (r *Run) fold(e Entry, sequence uint64) {
	r.note(e, sequence)
	r.State = r.State.Fold(e.Nodes, e.Links, e.Run)
	if e.Restart != nil {
		r.restart(*e.Restart)
	}
}

// note takes what an entry says beside the state.
func (r *Run) note(e Entry, sequence uint64) {
	if e.Spec != nil {
		r.Spec = e.Spec
	}
	if e.Repository != nil {
		r.Repo = e.Repository
	}
	if e.Object != nil {
		r.Origin = *e.Object
	}
	if e.Order != "" {
		r.Obeyed[e.Order] = true
	}
	for _, f := range e.Found {
		r.Found[f.Need] = f.Answer
	}
	r.last = sequence
}

// restart forgets what was known of nodes that are done again.
func (r *Run) restart(again flow.Restart) {
	r.State = r.State.Restarted(again)
	r.Again++
	for _, id := range again.Drop {
		maps.DeleteFunc(r.Found, func(n flow.Lookup, _ flow.Answer) bool { return n.Node == id })
	}
}

// entryNodes bounds the nodes of one entry: one that is not over the bus's limit for bodies needs no object beside it.
const entryNodes = 400

// pieces are the entries that record one decision. After any of them the run can go on: what the others say follows
// from the state again.
func (e Entry) pieces() []Entry {
	var out []Entry
	for len(e.Nodes) > entryNodes {
		out = append(out, Entry{At: e.At, Spec: e.Spec, Repository: e.Repository, Object: e.Object,
			Nodes: e.Nodes[:entryNodes], More: true})
		e.Nodes, e.Spec, e.Repository, e.Object = e.Nodes[entryNodes:], nil, nil, nil
	}
	return append(out, e)
}

// Append records what did not come of a decision, and takes it into the state. After an error the run must be replayed:
// another replica may have been faster.
func (r *Run) Append(ctx context.Context, b *bus.Bus, e Entry) error {
	sequence, err := r.write(ctx, b, e)
	if err == nil {
		r.fold(e, sequence)
	}
	return err
}

// Decided records a decision, which has led to a state already. After an error the run must be replayed.
func (r *Run) Decided(ctx context.Context, b *bus.Bus, e Entry, state flow.Run) error {
	for _, piece := range e.pieces() {
		sequence, err := r.write(ctx, b, piece)
		if err != nil {
			return err
		}
		r.note(piece, sequence)
	}
	r.State = state
	return nil
}

// write stores an entry behind the last one that is known.
func (r *Run) write(ctx context.Context, b *bus.Bus, e Entry) (sequence uint64, err error) {
	// The id is random: two owners that race must not look like one that repeats
	// itself. The loser is found by the expected sequence.
	event, err := bus.NewEvent(rand.Text(), events.ServiceWorkflowRunner, events.RunType("recorded"),
		json.RawMessage(object.JSON(e)))
	if err == nil {
		sequence, err = b.Append(ctx, r.subject, r.last, event)
	}
	if err != nil {
		return 0, fmt.Errorf("record run %s: %w", r.subject, err)
	}
	return sequence, nil
}

// OriginOf is what the journal keeps of an object's metadata.
func OriginOf(wf *v1alpha1.Workflow) *Origin {
	o := &Origin{Labels: wf.Labels, Annotations: maps.Clone(wf.Annotations), Created: wf.CreationTimestamp.UTC()}
	delete(o.Annotations, corev1.LastAppliedConfigAnnotation) // the spec once more
	return o
}
