package ingest

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"

	"github.com/argosy-mesh/argosy/libs/eventsource"
	"github.com/argosy-mesh/argosy/services/webhook-ingest/internal/core"
)

// routes is the table of what listens where. Each event has a path of its own,
// /hooks/<namespace>/<eventsource>/<event>, and the endpoint that its manifest
// names, unless another event has that one for the same method and port.
type routes struct {
	mu       sync.RWMutex
	sources  map[string]declared // by namespace/name
	byPath   map[string][]endpoint
	patterns []pattern // those with variables, the older first
}

// pattern is an endpoint with variables.
type pattern struct {
	takes eventsource.Endpoint
	endpoint
}

// declared is what one EventSource asks for.
type declared struct {
	created string // RFC 3339, to find the older
	routes  []endpoint
}

// endpoint is a route with the path that its manifest names, which may be empty, and
// the port that upstream would listen on. All ports are one here; it tells apart what
// is sent to one path.
type endpoint struct {
	path  string
	route core.Route
	port  string
}

// asked is what is known of a request before its route is.
type asked struct{ method, host, path string }

func newRoutes() *routes {
	return &routes{sources: map[string]declared{}, byPath: map[string][]endpoint{}}
}

// find returns the route of a request, and the path's last element when it is a
// secret that the route asks for.
func (r *routes) find(a asked) (route core.Route, tail string, found bool) {
	path := eventsource.CleanPath(a.path)
	r.mu.RLock()
	defer r.mu.RUnlock()
	if route, found = choose(r.byPath[path], a); found {
		return route, "", true
	}
	if cut := strings.LastIndexByte(path, '/'); cut >= 0 {
		parent := path[:cut]
		if parent == "" {
			parent = "/"
		}
		route, found = choose(r.byPath[parent], a)
		if found && route.PathSecret != "" {
			return route, path[cut+1:], true
		}
	}
	var fits []endpoint
	for _, p := range r.patterns {
		if p.takes.Takes(path) {
			fits = append(fits, p.endpoint)
		}
	}
	route, found = choose(fits, a)
	return route, "", found
}

// choose picks among those of one path: by the method, and by the port that the sender
// asked for. Where none fits, the first one answers.
func choose(list []endpoint, a asked) (core.Route, bool) {
	switch len(list) {
	case 0:
		return core.Route{}, false
	case 1:
		return list[0].route, true
	}
	fits := slices.DeleteFunc(slices.Clone(list), func(e endpoint) bool { return !strings.EqualFold(methodOf(e), a.method) })
	if len(fits) == 0 {
		fits = list
	}
	if _, port, err := net.SplitHostPort(a.host); err == nil {
		for _, e := range fits {
			if e.port == port {
				return e.route, true
			}
		}
	}
	return fits[0].route, true
}

func methodOf(e endpoint) string {
	method, _ := eventsource.Method(e.route.Method) // one that is none fits no request
	return method
}

// set replaces what an EventSource asks for and returns what of it cannot be served, in
// words.
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
	next, patterns := map[string][]endpoint{}, []pattern{}
	at := map[string][]endpoint{} // by path or pattern, those that listen on it
	keys := slices.SortedFunc(maps.Keys(r.sources), func(a, b string) int {
		return strings.Compare(r.sources[a].created+a, r.sources[b].created+b)
	})
	for _, key := range keys {
		for _, e := range r.sources[key].routes {
			next[ownPath(e.route)] = []endpoint{e}
			read, err := eventsource.NewEndpoint(e.path)
			if err != nil || read.Path == "" {
				continue // it is broken, or has its own path only
			}
			if text := clash(at[read.Path], e, read.Path); text != "" {
				conflicts[key] = append(conflicts[key], text)
				continue
			}
			at[read.Path] = append(at[read.Path], e)
			if read.Variable() {
				patterns = append(patterns, pattern{read, e})
			} else {
				next[read.Path] = append(next[read.Path], e)
			}
		}
	}
	r.byPath, r.patterns = next, patterns
	return conflicts
}

// clash says why an event cannot have a path that others have.
func clash(others []endpoint, e endpoint, path string) string {
	for _, o := range others {
		if methodOf(o) != methodOf(e) || o.port != e.port {
			continue
		}
		if o.route.Namespace == e.route.Namespace && o.route.EventSource == e.route.EventSource {
			return fmt.Sprintf("%s: endpoint %s with method %s is that of %s already; give it another one, or use the path %s", e.route.Event, path, methodOf(e), o.route.Event, ownPath(e.route))
		}
		return fmt.Sprintf("%s: endpoint %s belongs to an older EventSource; use the path %s", e.route.Event, path, ownPath(e.route))
	}
	return ""
}

func ownPath(r core.Route) string {
	return fmt.Sprintf("%s%s/%s/%s", eventsource.OwnPaths, r.Namespace, r.EventSource, r.Event)
}
