package workflow

import (
	"context"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/status"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// showEvery bounds how often the status of one workflow is written: a fan-out moves
// many nodes at once, and each writing carries all of them.
const showEvery = 250 * time.Millisecond

// showManyEvery is the same for a workflow with more than showMany nodes.
const showManyEvery = time.Second

// every is how often the status of a run may be written.
func (r *run) every() time.Duration {
	if len(r.State.Nodes) > status.Many {
		return showManyEvery
	}
	return showEvery
}

// showPatience bounds the writing of one status.
const showPatience = 30 * time.Second

// statusWriter are the statuses that are being written, by uid. They outlive what is known of a run: two of one object at once
// could come in either order.
type statusWriter struct {
	mu    sync.Mutex
	under map[string]chan error
}

func newShows() *statusWriter { return &statusWriter{under: map[string]chan error{}} }

func (s *statusWriter) busy(uid string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.under[uid] != nil
}

func (s *statusWriter) drop(uid string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.under, uid)
}

// begin lets a status be written beside. There must be none of the object under way.
func (s *statusWriter) begin(ctx context.Context, uid string, write func(context.Context) error, failed func()) {
	done := make(chan error, 1)
	s.mu.Lock()
	s.under[uid] = done
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), showPatience)
	go func() {
		defer cancel()
		err := write(ctx)
		if err == nil {
			s.drop(uid)
		}
		done <- err
		if err != nil {
			failed()
		}
	}()
}

// end says what became of the status under way, if there is one and it is through; wait waits for that.
func (s *statusWriter) end(ctx context.Context, uid string, wait bool) error {
	s.mu.Lock()
	done := s.under[uid]
	s.mu.Unlock()
	if done == nil || !wait && len(done) == 0 {
		return nil
	}
	select {
	case err := <-done:
		s.drop(uid)
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// show writes the status when it is behind. Between two writings it waits, unless the run has ended; wake then becomes the
// end of the wait. A run that goes on does not wait for the API server, which takes its time with many nodes.
func (r *Reconciler) show(ctx context.Context, raw *unstructured.Unstructured, known *run, warnings []v1alpha1.FieldWarning, wake time.Time) (time.Time, error) {
	uid, ended := string(raw.GetUID()), known.State.Phase.Completed()
	if err := r.shows.end(ctx, uid, ended); err != nil {
		known.behind = true
		return time.Time{}, overtaken(err)
	}
	if !known.behind {
		return wake, nil
	}
	now := time.Now()
	next := known.shown.Add(known.every())
	if r.shows.busy(uid) && next.Before(now) {
		next = now.Add(showEvery)
	}
	if now.Before(next) && !ended {
		if wake.IsZero() || next.Before(wake) {
			wake = next
		}
		return wake, nil
	}
	if known.stale || known.foreign {
		if err := r.wipe(ctx, raw, known); err != nil {
			return time.Time{}, overtaken(err)
		}
		known.stale, known.foreign = false, false
	}
	body, err := known.picture(known.lookedAt(raw), warnings)
	if err != nil {
		return time.Time{}, err
	}
	known.behind, known.shown = false, now
	r.shows.begin(ctx, uid, func(ctx context.Context) error { return r.patch(ctx, raw, body) },
		func() { r.Nudge(ctx, raw.GetNamespace(), raw.GetName()) })
	if !ended {
		return wake, nil
	}
	if err := r.shows.end(ctx, uid, true); err != nil {
		known.behind = true
		return time.Time{}, overtaken(err)
	}
	return wake, nil
}

// lookedAt is the version of an object that may be written over. While a node waits for a person that is the one whose
// status was looked through for edits: what was written since then must not be lost. "" is any.
func (r *run) lookedAt(raw *unstructured.Unstructured) string {
	for _, n := range r.State.Nodes {
		if n.Type == v1alpha1.NodeTypeSuspend && n.Phase == v1alpha1.NodeRunning {
			return raw.GetResourceVersion()
		}
	}
	return ""
}

// overtaken is the error of a writing that came second: the object is looked at again first.
func overtaken(err error) error {
	if apierrors.IsConflict(err) {
		return fault.AsStale(err)
	}
	return err
}
