package ingest

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/argosy-mesh/argosy/services/webhook-ingest/internal/core"
)

// refusals remembers what was refused since the status was last looked at, so that
// whoever reads the EventSource learns that a sender is sent away.
type refusals struct {
	mu      sync.Mutex
	classes map[string]map[string]bool // by namespace/name of the EventSource: "event: class"
}

func newRefusals() *refusals { return &refusals{classes: map[string]map[string]bool{}} }

func (r *refusals) note(route core.Route, class string) {
	key := route.Namespace + "/" + route.EventSource
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.classes[key] == nil {
		r.classes[key] = map[string]bool{}
	}
	r.classes[key][route.Event+": "+class] = true
}

// take returns what was refused of an EventSource, and forgets it.
func (r *refusals) take(key string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := slices.Sorted(maps.Keys(r.classes[key]))
	delete(r.classes, key)
	return strings.Join(list, "; ")
}
