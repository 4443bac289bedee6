package lock

import (
	"context"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/bus/bustest"
	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/object"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
)

// board is the locks of two replicas on a real bus, with a clock of its own. The workflows of the holders exist.
type board struct {
	t   *testing.T
	now time.Time
	*Locks
}

func newBoard(t *testing.T, alive ...string) *board {
	t.Helper()
	var objects []client.Object
	for _, name := range alive {
		u := object.Workflow()
		u.SetNamespace("ns")
		u.SetName(name)
		u.SetUID(types.UID("uid-of-" + name))
		objects = append(objects, u)
	}
	b := &board{t: t, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	kube := fake.NewClientBuilder().WithObjects(objects...).Build()
	b.Locks = &Locks{KV: bustest.Start(t).Connect("locks").KV(bus.LocksBucket), Reader: kube,
		Now: func() time.Time { return b.now }}
	return b
}

func who(name string, age time.Duration) Holder {
	return Holder{Namespace: "ns", Workflow: name, UID: "uid-of-" + name, Node: name,
		Created: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(-age)}
}

func (b *board) want(h Holder, priority int64, want bool, wanted ...flow.Lock) {
	b.t.Helper()
	got, err := b.Acquire(context.Background(), h, flow.Acquire{Holder: h.Node, Locks: wanted, Priority: priority})
	if err != nil || got != want {
		b.t.Fatalf("%s gets %v: %v, %v", h.Node, wanted, got, err)
	}
}

func (b *board) free(h Holder) {
	b.t.Helper()
	if err := b.Release(context.Background(), h); err != nil {
		b.t.Fatal(err)
	}
}

func TestAMutexGoesToOneAndThenToTheNextInLine(t *testing.T) {
	b := newBoard(t, "a", "b", "c", "d")
	m := flow.Lock{Name: "ns/Mutex/m", Limit: 1}
	b.want(who("a", 0), 0, true, m)
	b.want(who("a", 0), 0, true, m) // asking again changes nothing
	b.want(who("b", time.Minute), 0, false, m)
	b.want(who("c", time.Hour), 0, false, m)
	b.want(who("d", 0), 5, false, m)
	b.free(who("a", 0))
	b.want(who("b", time.Minute), 0, false, m) // not its turn
	b.want(who("c", time.Hour), 0, false, m)
	b.want(who("d", 0), 5, true, m) // higher priority first
	b.free(who("d", 0))
	b.want(who("c", time.Hour), 0, true, m) // then the older
}

func TestAllLocksOrNone(t *testing.T) {
	b := newBoard(t, "a", "b", "c")
	m, s := flow.Lock{Name: "ns/Mutex/m", Limit: 1}, flow.Lock{Name: "ns/ConfigMap/s/k", Limit: 2}
	b.want(who("a", 0), 0, true, m)
	b.want(who("b", 0), 0, false, s, m)
	b.now = b.now.Add(time.Hour) // b asks no more: its places in the queues are deserted
	b.want(who("c", 0), 0, true, s)
	b.free(who("a", 0))
	b.want(who("b", 0), 0, true, s, m)
}

func TestWhoIsGoneHoldsNothing(t *testing.T) {
	b := newBoard(t, "alive")
	m := flow.Lock{Name: "ns/Mutex/m", Limit: 1}
	b.want(who("gone", 0), 0, true, m)
	b.want(who("alive", 0), 0, true, m)
}
