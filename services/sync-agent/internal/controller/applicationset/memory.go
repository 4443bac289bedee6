package applicationset

import (
	"maps"
	"reflect"
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
	// output is what the answers and the spec of a generation gave; nil when they must be looked at again. A set is
	// reconciled for each change of each of its Applications, which changes nothing here.
	output     *appset.Output
	generation int64
}

type answered struct {
	appset.Answer
	query appset.Query
	at    time.Time
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

// fresh drops the answers that do not hold any more: errors, what is too old, and what another answer has become of
// that is asked each time.
func (k *known) fresh(now time.Time, ask func(appset.Query) appset.Answer) {
	before := len(k.answers)
	maps.DeleteFunc(k.answers, func(_ string, a answered) bool {
		if a.query.Every == 0 && a.Err == nil {
			again := ask(a.query)
			return again.Err != nil || !reflect.DeepEqual(again.Value, a.Value)
		}
		return a.Err != nil || !now.Before(a.at.Add(a.query.Every))
	})
	if len(k.answers) < before {
		k.output = nil
	}
}

// forget has everything asked again.
func (k *known) forget() {
	clear(k.answers)
	k.output = nil
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
		if end := a.at.Add(a.query.Every); a.query.Every > 0 && (next.IsZero() || end.Before(next)) {
			next = end
		}
	}
	return next
}
