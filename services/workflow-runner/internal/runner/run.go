package runner

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/libs/flow/engine"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
)

// entry is one record of a run's journal.
type entry struct {
	At    time.Time              `json:"at"`
	Spec  *v1alpha1.WorkflowSpec `json:"spec,omitempty"` // what the run was started with, or was retried with
	Nodes []v1alpha1.NodeStatus  `json:"nodes,omitempty"`
	Links []flow.Link            `json:"links,omitempty"` // children that nodes got, of which Nodes does not speak
	Run   *flow.RunChange        `json:"run,omitempty"`
	Found []finding              `json:"found,omitempty"` // what was found outside, for good
	Order string                 `json:"order,omitempty"` // key of the order that this carries out

	Restart *flow.Restart `json:"restart,omitempty"` // how an ended run goes on

	More bool `json:"more,omitempty"` // the next entry belongs to the same decision

	// Repository is where the artifacts of the run are kept, beside Spec.
	Repository *v1alpha1.ArtifactRepositoryRefStatus `json:"repository,omitempty"`
	Object     *origin                               `json:"object,omitempty"` // whose run it is, beside Spec
}

// origin is what a run keeps of the metadata of its object.
type origin struct {
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Created     time.Time         `json:"created,omitzero"`
}

// finding is the answer to one question of the flow.
type finding struct {
	Need   flow.Lookup `json:"need"`
	Answer flow.Answer `json:"answer"`
}

// run is one workflow run as this replica knows it. It belongs to whoever
// reconciles the workflow; the work queue allows one at a time.
type run struct {
	subject string
	last    uint64 // sequence of the last journal entry
	spec    *v1alpha1.WorkflowSpec
	repo    *v1alpha1.ArtifactRepositoryRefStatus // nil: not looked for yet, or the run is older than such
	origin  origin                                // of its object
	state   flow.Run
	plan    *engine.Plan         // decides event by event; nil: it is to be made from the state
	name    string               // namespace/name of the workflow
	fresh   *entry               // recorded and not yet told to the bus
	behind  bool                 // whether the object's status is older than the state
	shown   time.Time            // when the status was written last
	asked   map[string]time.Time // when the pod of a node was asked for, by node id
	seen    map[string]bool      // nodes at work whose pod was there once
	refused map[string]string    // why there can be no pod, by node id
	found   map[flow.Lookup]flow.Answer
	obeyed  map[string]bool // keys of orders that were carried out
	held    map[string]bool // holders that have their locks, as far as this replica knows
	again   int             // how often the run was retried
	stale   bool            // whether the object may show what a retry took back
	foreign bool            // whether the object shows what others wrote and is not so
	noted   bool            // whether it is noted that artifacts are to be taken away
	settled bool            // whether the note of an ended run is complete
	mended  bool            // whether what another replica left undone was done
}

// journals keeps runs in memory between reconciles.
type journals struct {
	bus  *bus.Bus
	mu   sync.Mutex
	runs map[string]*run // by uid
}

func newJournals(b *bus.Bus) *journals { return &journals{bus: b, runs: map[string]*run{}} }

func (j *journals) forget(uid string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.runs, uid)
}

// forgetName drops the runs of a workflow that is gone and says which; their journals stay.
func (j *journals) forgetName(name string) (uids []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for uid, r := range j.runs {
		if r.name == name {
			delete(j.runs, uid)
			uids = append(uids, uid)
		}
	}
	return uids
}

// load returns the run as remembered, or replays its journal. What a replica that
// died after recording did not get to tell and show is told and shown then.
func (j *journals) load(ctx context.Context, namespace, name, uid string) (*run, error) {
	j.mu.Lock()
	known := j.runs[uid]
	j.mu.Unlock()
	if known != nil {
		return known, nil
	}
	r, err := replay(ctx, j.bus, namespace, name, uid)
	if err != nil {
		return nil, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.runs[uid] = r
	return r, nil
}

// replay reads a run from its journal.
func replay(ctx context.Context, b *bus.Bus, namespace, name, uid string) (*run, error) {
	r := &run{subject: events.RunSubject(namespace, uid), name: namespace + "/" + name, asked: map[string]time.Time{}, seen: map[string]bool{}, refused: map[string]string{},
		found: map[flow.Lookup]flow.Answer{}, held: map[string]bool{}, obeyed: map[string]bool{}}
	entries, err := b.Read(ctx, bus.Runs, r.subject)
	if err != nil {
		return nil, fmt.Errorf("replay run %s: %w", uid, err)
	}
	for _, d := range entries {
		var e entry
		if err := d.DataAs(&e); err != nil {
			return nil, fault.Poisonf("replay run %s: entry %d: %w", uid, d.Sequence, err)
		}
		r.fold(e, d.Sequence)
		if r.fresh != nil && r.fresh.More {
			e.Nodes = append(r.fresh.Nodes, e.Nodes...)
		}
		r.fresh, r.behind = &e, true
	}
	return r, nil
}

func (r *run) fold(e entry, sequence uint64) {
	r.note(e, sequence)
	r.state = r.state.Fold(e.Nodes, e.Links, e.Run)
	if e.Restart != nil {
		r.restart(*e.Restart)
	}
	if len(e.Nodes) > 0 || e.Restart != nil {
		r.plan = nil
	}
}

// note takes what an entry says beside the state.
func (r *run) note(e entry, sequence uint64) {
	if e.Spec != nil {
		r.spec = e.Spec
	}
	if e.Repository != nil {
		r.repo = e.Repository
	}
	if e.Object != nil {
		r.origin = *e.Object
	}
	if e.Order != "" {
		r.obeyed[e.Order] = true
	}
	for _, f := range e.Found {
		r.found[f.Need] = f.Answer
	}
	r.last = sequence
}

// restart forgets what was known of nodes that are done again.
func (r *run) restart(again flow.Restart) {
	r.state = r.state.Restarted(again)
	r.again++
	clear(r.held)
	r.stale, r.settled = true, false
	for _, id := range again.Drop {
		delete(r.asked, id)
		delete(r.seen, id)
		delete(r.refused, id)
		maps.DeleteFunc(r.found, func(n flow.Lookup, _ flow.Answer) bool { return n.Node == id })
	}
}

// entryNodes bounds the nodes of one entry: one that is not over the bus's limit for bodies needs no object beside it.
const entryNodes = 400

// pieces are the entries that record one decision. After any of them the run can go on: what the others say follows from
// the state again.
func (e entry) pieces() []entry {
	var out []entry
	for len(e.Nodes) > entryNodes {
		out = append(out, entry{At: e.At, Spec: e.Spec, Repository: e.Repository, Object: e.Object, Nodes: e.Nodes[:entryNodes], More: true})
		e.Nodes, e.Spec, e.Repository, e.Object = e.Nodes[entryNodes:], nil, nil, nil
	}
	return append(out, e)
}

// append records what did not come of a decision, and takes it into the state.
func (j *journals) append(ctx context.Context, uid string, r *run, e entry) error {
	sequence, err := j.write(ctx, uid, r, e)
	if err != nil {
		return err
	}
	r.fold(e, sequence)
	r.fresh, r.behind = &e, true
	return nil
}

// decided records a decision of the run's plan, which has taken it into the state already.
func (j *journals) decided(ctx context.Context, uid string, r *run, e entry) error {
	for _, piece := range e.pieces() {
		sequence, err := j.write(ctx, uid, r, piece)
		if err != nil {
			return err
		}
		r.note(piece, sequence)
	}
	r.state = r.plan.Run()
	r.fresh, r.behind = &e, true
	return nil
}

// write stores an entry. When another replica was faster the run is forgotten, so that the next look starts from its
// journal.
func (j *journals) write(ctx context.Context, uid string, r *run, e entry) (sequence uint64, err error) {
	// The id is random: two owners that race must not look like one that repeats
	// itself. The loser is found by the expected sequence.
	event, err := bus.NewEvent(rand.Text(), events.ServiceWorkflowRunner, events.RunType("recorded"), json.RawMessage(mustJSON(e)))
	if err == nil {
		sequence, err = j.bus.Append(ctx, r.subject, r.last, event)
	}
	if err != nil {
		j.forget(uid)
		return 0, fmt.Errorf("record run %s: %w", uid, err)
	}
	return sequence, nil
}

// tidy forgets what was kept for nodes that have ended.
func (r *run) tidy(nodes []v1alpha1.NodeStatus) {
	for i := range nodes {
		if nodes[i].Phase.Fulfilled() {
			delete(r.seen, nodes[i].ID)
			delete(r.asked, nodes[i].ID)
			delete(r.refused, nodes[i].ID)
		}
	}
}

// mustJSON encodes our own types, which cannot fail.
func mustJSON(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		return []byte("null")
	}
	return text
}
