// Package memory knows which places of a run a decision must visit: those that something has happened to, what holds
// them, and what waits for room, an answer, a lock or a time. It does not know what a place is.
package memory

import (
	"container/heap"
	"iter"
	"maps"
	"time"
)

// Memory is what a plan knows of its earlier walks. Its keys are places: the ids of nodes, and those that a [State]
// names. A fresh memory makes a walk visit everything.
type Memory struct {
	holder             map[string]string          // the place that each place hangs in; "" is the run
	touched            map[string]bool            // to be visited, with all that hold them
	news               map[string][]string        // by holder: its touched places
	waitingBelow       map[string]map[string]bool // by holder: places where something waits for room
	waitingForCapacity map[string]bool            // places that wait for room themselves
	pending            map[string]bool            // places that wait for an answer or a lock
	// by boundary: the limit of children at work that kept one from starting
	refused map[string]int64
	wakes   alarms
	path    []string         // from the run to the place that is visited
	kept    map[string]State // what the types of templates keep, by the id of their nodes
}

// New is the memory of who has seen nothing.
func New() *Memory {
	return &Memory{
		holder: map[string]string{}, touched: map[string]bool{}, news: map[string][]string{},
		waitingBelow:       map[string]map[string]bool{},
		waitingForCapacity: map[string]bool{}, pending: map[string]bool{}, refused: map[string]int64{},
		wakes: alarms{at: map[string]time.Time{}},
		kept:  map[string]State{},
	}
}

// State is what the type of a template keeps of one of its nodes from visit to visit.
type State interface {
	Places() []string // those that hang in the node and have no node themselves
}

// Keep keeps a state for a node until that ends.
func (m *Memory) Keep(id string, s State) { m.kept[id] = s }

// Kept is the state of a node, nil when there is none.
func (m *Memory) Kept(id string) State { return m.kept[id] }

// top is the place that is visited, "" outside of all.
func (m *Memory) top() string {
	if len(m.path) == 0 {
		return ""
	}
	return m.path[len(m.path)-1]
}

// Enter begins the visit of a place: what was known of it is to be found out anew.
func (m *Memory) Enter(key string) {
	at := m.top()
	m.holder[key] = at
	delete(m.waitingBelow[at], key)
	delete(m.waitingForCapacity, key)
	delete(m.pending, key)
	delete(m.wakes.at, key)
	m.path = append(m.path, key)
}

// Leave ends the visit of a place. What has not begun is tried again whenever its holder is visited: the holder waits
// in its stead.
func (m *Memory) Leave(begun bool) {
	key := m.top()
	m.path = m.path[:len(m.path)-1]
	at, starves := m.top(), m.waitingForCapacity[key] || len(m.waitingBelow[key]) > 0
	switch {
	case !begun:
		m.waitingForCapacity[at] = m.waitingForCapacity[at] || starves
		m.pending[at] = m.pending[at] || m.pending[key]
		m.Drop(key)
	case starves:
		if m.waitingBelow[at] == nil {
			m.waitingBelow[at] = map[string]bool{}
		}
		m.waitingBelow[at][key] = true
	}
}

// Clean reports whether nothing has changed at a place since it was visited, but that there may be room for what waits
// there.
func (m *Memory) Clean(place string) (clean, waits bool) {
	at, known := m.holder[place]
	if !known || m.touched[place] {
		return false, false
	}
	return true, m.waitingBelow[at][place]
}

// Seen reports whether any walk has come by.
func (m *Memory) Seen() bool { return len(m.holder) > 0 }

// WaitForRoom marks the place that is visited: something there waits for room.
func (m *Memory) WaitForRoom() { m.waitingForCapacity[m.top()] = true }

// WaitForAnswer marks the place that is visited: something there waits for an answer or a lock.
func (m *Memory) WaitForAnswer() { m.pending[m.top()] = true }

// Refuse notes that a boundary has no room for another child at work, and what its limit is.
func (m *Memory) Refuse(boundary string, limit int64) { m.refused[boundary] = limit }

// Refused are the boundaries that had no room, with their limits.
func (m *Memory) Refused() map[string]int64 { return maps.Clone(m.refused) }

// Restart begins a walk: whether the run itself waits for room is to be found out anew.
func (m *Memory) Restart() { delete(m.waitingForCapacity, "") }

// Turn begins a decision: when the run itself is to be looked at is to be found out anew.
func (m *Memory) Turn() { delete(m.wakes.at, "") }

// WakeAt asks for another look at the place that is visited.
func (m *Memory) WakeAt(t time.Time) { m.wakes.set(m.top(), t) }

// Wake is when to look again although nothing happens.
func (m *Memory) Wake() (at time.Time, set bool) {
	_, at, set = m.wakes.next()
	return at, set
}

// Silence takes back what [Memory.WakeAt] asked for a place.
func (m *Memory) Silence(place string) { delete(m.wakes.at, place) }

// TakeTouched are the touched places that hang in one. It forgets them.
func (m *Memory) TakeTouched(place string) []string {
	touched := m.news[place]
	delete(m.news, place)
	return touched
}

// Waiting are the places that hang in one where something waits for room.
func (m *Memory) Waiting(place string) iter.Seq[string] { return maps.Keys(m.waitingBelow[place]) }

// Waits reports whether anything waits for room.
func (m *Memory) Waits() bool { return m.waitingForCapacity[""] || len(m.waitingBelow[""]) > 0 }

// Touch marks a place and all that hold it. False means that no walk has come by it yet.
func (m *Memory) Touch(key string) bool {
	if _, known := m.holder[key]; !known {
		return false
	}
	for key != "" && !m.touched[key] {
		m.touched[key] = true
		at := m.holder[key]
		m.news[at] = append(m.news[at], key)
		key = at
	}
	return true
}

// ClearDirty forgets what was touched.
func (m *Memory) ClearDirty() {
	clear(m.touched)
	clear(m.news)
	clear(m.refused)
}

// WakeDue touches what waits for an answer, a lock, or a time that has come.
func (m *Memory) WakeDue(now time.Time) {
	for key, is := range m.pending {
		if is {
			m.Touch(key)
		}
	}
	for {
		key, at, set := m.wakes.next()
		if !set || at.After(now) {
			return
		}
		delete(m.wakes.at, key)
		m.Touch(key)
	}
}

// Drop forgets a place whose node has ended.
func (m *Memory) Drop(key string) {
	if state := m.kept[key]; state != nil {
		for _, inner := range state.Places() {
			delete(m.holder, inner)
			delete(m.waitingBelow, inner)
		}
	}
	delete(m.waitingBelow[m.holder[key]], key)
	delete(m.waitingBelow, key)
	delete(m.waitingForCapacity, key)
	delete(m.pending, key)
	delete(m.wakes.at, key)
	delete(m.holder, key)
	delete(m.kept, key)
}

// alarms are the times at which places are to be looked at although nothing happened. An entry of the queue counts only
// if its place still has that time.
type alarms struct {
	at    map[string]time.Time
	queue alarmQueue
}

func (a *alarms) set(key string, t time.Time) {
	if before, has := a.at[key]; has && !t.Before(before) {
		return
	}
	a.at[key] = t
	heap.Push(&a.queue, alarm{key, t})
}

// next is the earliest alarm.
func (a *alarms) next() (key string, t time.Time, found bool) {
	for len(a.queue) > 0 {
		first := a.queue[0]
		if at, has := a.at[first.key]; has && at.Equal(first.at) {
			return first.key, first.at, true
		}
		heap.Pop(&a.queue)
	}
	return "", time.Time{}, false
}

type alarm struct {
	key string
	at  time.Time
}

// alarmQueue is a heap; see [heap.Interface].
type alarmQueue []alarm

func (q alarmQueue) Len() int           { return len(q) }
func (q alarmQueue) Less(i, j int) bool { return q[i].at.Before(q[j].at) }
func (q alarmQueue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }

// Push adds an alarm.
func (q *alarmQueue) Push(x any) { *q = append(*q, x.(alarm)) }

// Pop takes the last one.
func (q *alarmQueue) Pop() any {
	last := len(*q) - 1
	x := (*q)[last]
	*q = (*q)[:last]
	return x
}
