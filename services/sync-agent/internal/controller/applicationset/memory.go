package applicationset

import (
	"maps"
	"strconv"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/appset"
	"k8s.io/apimachinery/pkg/types"
)

// memory holds what generators were told, by the ApplicationSet that asked. Losing it costs questions.
type memory struct {
	mu    sync.Mutex
	known map[types.NamespacedName]*known
}

// known is what is remembered of one set. One goroutine works on it at a time.
type known struct {
	uid      types.UID
	refresh  string // id of the push that was followed last
	written  uint64 // resource version of the status that was written last
	failures int    // passes in a row
	answers  map[string]answered
}

type answered struct {
	appset.Answer
	at    time.Time
	every time.Duration
}

func (m *memory) of(name types.NamespacedName, uid types.UID) *known {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.known[name]
	if k == nil || k.uid != uid {
		if m.known == nil {
			m.known = map[types.NamespacedName]*known{}
		}
		k = &known{uid: uid, answers: map[string]answered{}}
		m.known[name] = k
	}
	return k
}

func (m *memory) forget(name types.NamespacedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.known, name)
}

// behind reports whether the cache does not have yet what was written last: a rolling sync that goes on from an older
// status would ask for a synchronisation twice.
func (k *known) behind(resourceVersion string) bool { return number(resourceVersion) < k.written }

// number is a resource version as a number, which API servers promise to count up.
func number(resourceVersion string) uint64 {
	n, _ := strconv.ParseUint(resourceVersion, 10, 64) // others are never behind
	return n
}

// fresh drops the answers that do not hold any more: errors, what has to be asked each time, and what is too old.
func (k *known) fresh(now time.Time) {
	maps.DeleteFunc(k.answers, func(_ string, a answered) bool {
		return a.Err != nil || a.every == 0 || !now.Before(a.at.Add(a.every))
	})
}

// plain are the answers alone.
func (k *known) plain() map[string]appset.Answer {
	out := make(map[string]appset.Answer, len(k.answers))
	for key, a := range k.answers {
		out[key] = a.Answer
	}
	return out
}

// keep drops the answers to questions that nobody asks any more, and says when the first of the rest is too old.
func (k *known) keep(used []appset.Query) (next time.Time) {
	asked := map[string]bool{}
	for _, q := range used {
		asked[q.Key] = true
	}
	maps.DeleteFunc(k.answers, func(key string, _ answered) bool { return !asked[key] })
	for _, a := range k.answers {
		if end := a.at.Add(a.every); a.every > 0 && (next.IsZero() || end.Before(next)) {
			next = end
		}
	}
	return next
}
