package flow

import (
	"container/heap"
	"time"
)

// memory is what a plan knows of its earlier walks. Its keys are the ids of nodes, and those of [loopKey]: the places of
// calls. A fresh memory makes a walk visit everything.
type memory struct {
	holder             map[string]string          // the place that each place hangs in; "" is the run
	touched            map[string]bool            // to be visited, with all that hold them
	news               map[string][]string        // by holder: its touched places
	waitingBelow       map[string]map[string]bool // by holder: places where something waits for room
	waitingForCapacity map[string]bool            // places that wait for room themselves
	pending            map[string]bool            // places that wait for an answer or a lock
	refused            map[string]int64           // by boundary: the limit of children at work that kept one from starting
	wakes              alarms
	path               []string // from the run to the place that is visited

	sequences map[string]*groupwise            // by the id of a steps node
	graphs    map[string]*graph                // by the id of a dag node
	loops     map[string]map[string]*loopState // by the id of what encloses it, and the name of its unit
}

func newMemory() *memory {
	return &memory{
		holder: map[string]string{}, touched: map[string]bool{}, news: map[string][]string{}, waitingBelow: map[string]map[string]bool{},
		waitingForCapacity: map[string]bool{}, pending: map[string]bool{}, refused: map[string]int64{}, wakes: alarms{at: map[string]time.Time{}},
		sequences: map[string]*groupwise{}, graphs: map[string]*graph{}, loops: map[string]map[string]*loopState{},
	}
}

// loopKey is the place of the loop of a unit: in steps it has no node.
func loopKey(unit string) string { return "loop " + unit }

// top is the place that is visited, "" outside of all.
func (m *memory) top() string {
	if len(m.path) == 0 {
		return ""
	}
	return m.path[len(m.path)-1]
}

// enter begins the visit of a place: what was known of it is to be found out anew.
func (m *memory) enter(key string) {
	at := m.top()
	m.holder[key] = at
	delete(m.waitingBelow[at], key)
	delete(m.waitingForCapacity, key)
	delete(m.pending, key)
	delete(m.wakes.at, key)
	m.path = append(m.path, key)
}

// leave ends the visit of a place. What has not begun is tried again whenever its holder is visited: the holder waits in
// its stead.
func (m *memory) leave(begun bool) {
	key := m.top()
	m.path = m.path[:len(m.path)-1]
	at, starves := m.top(), m.waitingForCapacity[key] || len(m.waitingBelow[key]) > 0
	switch {
	case !begun:
		m.waitingForCapacity[at] = m.waitingForCapacity[at] || starves
		m.pending[at] = m.pending[at] || m.pending[key]
		m.drop(key)
	case starves:
		if m.waitingBelow[at] == nil {
			m.waitingBelow[at] = map[string]bool{}
		}
		m.waitingBelow[at][key] = true
	}
}

// waits reports whether anything waits for room.
func (m *memory) waits() bool { return m.waitingForCapacity[""] || len(m.waitingBelow[""]) > 0 }

// touch marks a place and all that hold it. False means that no walk has come by it yet.
func (m *memory) touch(key string) bool {
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

// clearDirty forgets what was touched.
func (m *memory) clearDirty() {
	clear(m.touched)
	clear(m.news)
	clear(m.refused)
}

// wakeDue touches what waits for an answer, a lock, or a time that has come.
func (m *memory) wakeDue(now time.Time) {
	for key, is := range m.pending {
		if is {
			m.touch(key)
		}
	}
	for {
		key, at, set := m.wakes.next()
		if !set || at.After(now) {
			return
		}
		delete(m.wakes.at, key)
		m.touch(key)
	}
}

// drop forgets a place whose node has ended.
func (m *memory) drop(key string) {
	for _, l := range m.loops[key] {
		delete(m.holder, l.key)
		delete(m.waitingBelow, l.key)
	}
	delete(m.waitingBelow[m.holder[key]], key)
	delete(m.waitingBelow, key)
	delete(m.waitingForCapacity, key)
	delete(m.pending, key)
	delete(m.wakes.at, key)
	delete(m.holder, key)
	delete(m.sequences, key)
	delete(m.graphs, key)
	delete(m.loops, key)
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
