package ingest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/argosy-mesh/argosy/services/webhook-ingest/internal/core"
)

// routes is the table of what listens where. Each event has a path of its own,
// /hooks/<namespace>/<eventsource>/<event>, and the endpoint that its manifest
// names, unless an older EventSource has that one.
type routes struct {
	mu      sync.RWMutex
	sources map[string]declared // by namespace/name
	byPath  map[string]core.Route
}

// declared is what one EventSource asks for.
type declared struct {
	created string // RFC 3339, to find the older
	routes  []endpoint
}

// endpoint is a route with the path that its manifest names, which may be empty.
type endpoint struct {
	path  string
	route core.Route
}

func newRoutes() *routes {
	return &routes{sources: map[string]declared{}, byPath: map[string]core.Route{}}
}

// find returns the route of a path, and the path's last element when it is a
// secret that the route asks for.
func (r *routes) find(path string) (route core.Route, tail string, found bool) {
	path = strings.TrimSuffix(path, "/")
	r.mu.RLock()
	defer r.mu.RUnlock()
	if route, found = r.byPath[path]; found {
		return route, "", true
	}
	cut := strings.LastIndexByte(path, '/')
	if cut < 0 {
		return core.Route{}, "", false
	}
	route, found = r.byPath[path[:cut]]
	return route, path[cut+1:], found && route.PathSecret != ""
}

// set replaces what an EventSource asks for and returns the paths that an older
// one holds already.
func (r *routes) set(key string, s declared) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sources[key] = s
	return r.rebuild()[key]
}

func (r *routes) remove(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.sources, key)
	r.rebuild()
}

func (r *routes) rebuild() (conflicts map[string][]string) {
	conflicts = map[string][]string{}
	next := map[string]core.Route{}
	keys := slices.SortedFunc(maps.Keys(r.sources), func(a, b string) int {
		return strings.Compare(r.sources[a].created+a, r.sources[b].created+b)
	})
	for _, key := range keys {
		for _, e := range r.sources[key].routes {
			next[ownPath(e.route)] = e.route
			if e.path == "" {
				continue
			}
			if _, taken := next[e.path]; taken {
				conflicts[key] = append(conflicts[key], e.path)
				continue
			}
			next[e.path] = e.route
		}
	}
	r.byPath = next
	return conflicts
}

func ownPath(r core.Route) string {
	return fmt.Sprintf("/hooks/%s/%s/%s", r.Namespace, r.EventSource, r.Event)
}
