package workflow

import (
	"context"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/flow/engine"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/journal"
)

// run is one workflow run as this replica knows it. It belongs to whoever
// reconciles the workflow; the work queue allows one at a time.
type run struct {
	*journal.Run
	plan    *engine.Plan         // decides event by event; nil: it is to be made from the state
	name    string               // namespace/name of the workflow
	fresh   *journal.Entry       // recorded and not yet told to the bus
	behind  bool                 // whether the object's status is older than the state
	shown   time.Time            // when the status was written last
	asked   map[string]time.Time // when the pod of a node was asked for, by node id
	seen    map[string]bool      // nodes at work whose pod was there once
	refused map[string]string    // why there can be no pod, by node id
	held    map[string]bool      // holders that have their locks, as far as this replica knows
	stale   bool                 // whether the object may show what a retry took back
	foreign bool                 // whether the object shows what others wrote and is not so
	noted   bool                 // whether it is noted that artifacts are to be taken away
	settled bool                 // whether the note of an ended run is complete
	mended  bool                 // whether what another replica left undone was done
}

func newRun(name string, recorded *journal.Run) *run {
	return &run{Run: recorded, name: name, asked: map[string]time.Time{}, seen: map[string]bool{},
		refused: map[string]string{}, held: map[string]bool{},
		stale: recorded.Again > 0}
}

// recorded takes what was recorded: it is to be told and shown.
func (r *run) recorded(e journal.Entry) {
	r.fresh, r.behind = &e, true
	if len(e.Nodes) > 0 || e.Restart != nil {
		r.plan = nil
	}
	if e.Restart == nil {
		return
	}
	clear(r.held)
	r.stale, r.settled = true, false
	for _, id := range e.Restart.Drop {
		delete(r.asked, id)
		delete(r.seen, id)
		delete(r.refused, id)
	}
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

// runs keeps runs in memory between reconciles.
type runs struct {
	bus *bus.Bus
	mu  sync.Mutex
	all map[string]*run // by uid
}

func newRuns(b *bus.Bus) *runs { return &runs{bus: b, all: map[string]*run{}} }

func (s *runs) forget(uid string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, uid)
}

// forgetName drops the runs of a workflow that is gone and says which; their journals stay.
func (s *runs) forgetName(name string) (uids []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for uid, r := range s.all {
		if r.name == name {
			delete(s.all, uid)
			uids = append(uids, uid)
		}
	}
	return uids
}

// load returns the run as remembered, or replays its journal. What a replica that
// died after recording did not get to tell and show is told and shown then.
func (s *runs) load(ctx context.Context, namespace, name, uid string) (*run, error) {
	s.mu.Lock()
	known := s.all[uid]
	s.mu.Unlock()
	if known != nil {
		return known, nil
	}
	recorded, latest, err := journal.Replay(ctx, s.bus, namespace, uid)
	if err != nil {
		return nil, err
	}
	r := newRun(namespace+"/"+name, recorded)
	r.fresh, r.behind = latest, latest != nil
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[uid] = r
	return r, nil
}

// append records what did not come of a decision. When another replica was faster the run is forgotten, so that the
// next look starts from its journal.
func (s *runs) append(ctx context.Context, uid string, r *run, e journal.Entry) error {
	if err := r.Append(ctx, s.bus, e); err != nil {
		s.forget(uid)
		return err
	}
	r.recorded(e)
	return nil
}

// decided records a decision of the run's plan, which has taken it into the state already.
func (s *runs) decided(ctx context.Context, uid string, r *run, e journal.Entry) error {
	if err := r.Decided(ctx, s.bus, e, r.plan.Run()); err != nil {
		s.forget(uid)
		return err
	}
	r.fresh, r.behind = &e, true
	return nil
}
