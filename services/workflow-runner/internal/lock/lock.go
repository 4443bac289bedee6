// Package lock keeps the mutexes and semaphores of workflows in a bucket that all replicas share.
package lock

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/object"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Retry is how often one who waits asks again. A queue that nobody asks from for three times as long is taken for
// deserted.
const Retry = 500 * time.Millisecond

// Locks keeps mutexes and semaphores in a bucket that all replicas share. Whoever holds or waits is named, and who is
// gone is found by asking for the workflow, so that no crash leaks a lock for good.
type Locks struct {
	KV     bus.KV
	Reader client.Reader
	Now    func() time.Time
}

// Holder is who holds or waits: a node of a workflow, or the workflow itself.
type Holder struct {
	Namespace string    `json:"namespace"`
	Workflow  string    `json:"workflow"`
	UID       string    `json:"uid"`
	Node      string    `json:"node"`
	Priority  int64     `json:"priority,omitempty"`
	Created   time.Time `json:"created"` // of the workflow
	Asked     time.Time `json:"asked"`   // when it asked last
}

func (h Holder) same(other Holder) bool { return h.UID == other.UID && h.Node == other.Node }

// HolderOf is a node of a workflow, or the workflow itself, as a holder.
func HolderOf(wf *v1alpha1.Workflow, node string) Holder {
	return Holder{Namespace: wf.Namespace, Workflow: wf.Name, UID: string(wf.UID), Node: node,
		Created: wf.CreationTimestamp.Time}
}

// queue is the state of one lock.
type queue struct {
	Holding []Holder `json:"holding,omitempty"`
	Waiting []Holder `json:"waiting,omitempty"`
}

// Acquire takes all locks or none. False means that the holder stands in the queues of those that are taken.
func (l *Locks) Acquire(ctx context.Context, h Holder, a flow.Acquire) (bool, error) {
	h.Priority, h.Asked = a.Priority, l.Now()
	wanted := slices.Clone(a.Locks)
	// The same order for everyone: two that want the same locks cannot hold one each.
	slices.SortFunc(wanted, func(x, y flow.Lock) int { return cmp.Compare(x.Name, y.Name) })
	for i, lock := range wanted {
		got := false
		err := l.change(ctx, lock.Name, func(q *queue) error {
			var err error
			got, err = l.take(ctx, q, lock, h)
			return err
		})
		if err != nil || !got {
			return false, errors.Join(err, l.giveBack(ctx, wanted[:i], h))
		}
	}
	return true, nil
}

func (l *Locks) giveBack(ctx context.Context, taken []flow.Lock, h Holder) error {
	var errs []error
	for _, lock := range taken {
		errs = append(errs, l.change(ctx, lock.Name, func(q *queue) error {
			q.Holding = slices.DeleteFunc(q.Holding, h.same)
			q.wait(h)
			return nil
		}))
	}
	return errors.Join(errs...)
}

// take lets h hold a lock that is free and whose queue it leads.
func (l *Locks) take(ctx context.Context, q *queue, lock flow.Lock, h Holder) (bool, error) {
	if slices.ContainsFunc(q.Holding, h.same) {
		return true, nil
	}
	q.wait(h)
	q.Waiting = slices.DeleteFunc(q.Waiting, func(w Holder) bool { return h.Asked.Sub(w.Asked) > 3*Retry })
	if len(q.Holding) >= lock.Limit {
		if err := l.evict(ctx, q); err != nil {
			return false, err
		}
	}
	if len(q.Holding) >= lock.Limit || !q.Waiting[0].same(h) {
		return false, nil
	}
	q.Holding, q.Waiting = append(q.Holding, h), q.Waiting[1:]
	return true, nil
}

// wait puts h in its place: higher priority first, then the older workflow. Source: Argo Workflows.
func (q *queue) wait(h Holder) {
	q.Waiting = append(slices.DeleteFunc(q.Waiting, h.same), h)
	slices.SortStableFunc(q.Waiting, func(a, b Holder) int {
		return cmp.Or(cmp.Compare(b.Priority, a.Priority), a.Created.Compare(b.Created), cmp.Compare(a.Node, b.Node))
	})
}

// drop removes those that hold or wait.
func (q *queue) drop(gone func(Holder) bool) {
	q.Holding, q.Waiting = slices.DeleteFunc(q.Holding, gone), slices.DeleteFunc(q.Waiting, gone)
}

// evict drops holders whose workflow is gone or over: their release was lost with a process.
func (l *Locks) evict(ctx context.Context, q *queue) error {
	kept := q.Holding[:0]
	for _, h := range q.Holding {
		u := object.Workflow()
		err := l.Reader.Get(ctx, types.NamespacedName{Namespace: h.Namespace, Name: h.Workflow}, u)
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("look for holder %s/%s: %w", h.Namespace, h.Workflow, err)
		}
		if err == nil && string(u.GetUID()) == h.UID && u.GetLabels()[object.LabelCompleted] != "true" {
			kept = append(kept, h)
		}
	}
	q.Holding = kept
	return nil
}

// Release gives back what h holds and waits for, wherever that is.
func (l *Locks) Release(ctx context.Context, h Holder) error {
	if err := l.drop(ctx, h.same); err != nil {
		return fmt.Errorf("release locks of %s: %w", h.Node, err)
	}
	return nil
}

// drop removes those that hold or wait, wherever that is. All queues are read at once, and only those are changed where
// there are such.
func (l *Locks) drop(ctx context.Context, gone func(Holder) bool) error {
	all, err := l.KV.Entries(ctx, Prefix)
	if err != nil {
		return err
	}
	var errs []error
	for key, raw := range all {
		var q queue
		if err := json.Unmarshal(raw, &q); err != nil {
			errs = append(errs, fault.Poisonf("lock %s: %w", key, err))
			continue
		}
		if !slices.ContainsFunc(q.Holding, gone) && !slices.ContainsFunc(q.Waiting, gone) {
			continue
		}
		errs = append(errs, l.changeKey(ctx, key, func(q *queue) error {
			q.drop(gone)
			return nil
		}))
	}
	return errors.Join(errs...)
}

// Prefix begins the keys of locks in their bucket.
const Prefix = "lock."

func (l *Locks) change(ctx context.Context, name string, edit func(*queue) error) error {
	return l.changeKey(ctx, Prefix+bus.Key(name), edit)
}

// changeKey edits one queue by compare-and-swap until nobody was faster.
func (l *Locks) changeKey(ctx context.Context, key string, edit func(*queue) error) error {
	for {
		var q queue
		raw, revision, err := l.KV.Get(ctx, key)
		if err != nil && !errors.Is(err, bus.ErrNotFound) {
			return err
		}
		if err == nil {
			if err := json.Unmarshal(raw, &q); err != nil {
				return fault.Poisonf("lock %s: %w", key, err)
			}
		}
		if err := edit(&q); err != nil {
			return err
		}
		next := object.JSON(q)
		if string(next) == string(raw) || err != nil && string(next) == "{}" {
			return nil
		}
		_, err = l.KV.CompareAndSwap(ctx, key, next, revision)
		if fault.Of(err) == fault.Stale {
			continue
		}
		return err
	}
}

// Sweep gives back what nodes of a workflow hold or wait for that are over.
func (l *Locks) Sweep(ctx context.Context, uid string, over func(node string) bool) error {
	if err := l.drop(ctx, func(h Holder) bool { return h.UID == uid && over(h.Node) }); err != nil {
		return fmt.Errorf("sweep the locks of %s: %w", uid, err)
	}
	return nil
}
