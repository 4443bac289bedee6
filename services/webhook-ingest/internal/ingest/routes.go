package ingest

import (
	"cmp"
	"fmt"
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
	claims   map[string][]claim // by path or pattern: who asks for it, the older first
	patterns []pattern          // those with variables, the older first
}

// claim is an endpoint that an EventSource asks for.
type claim struct {
	order  string // the older first
	number int    // among those of its EventSource
	takes  eventsource.Endpoint
	endpoint
}

// claimant is who asks: the order of a claim, and its number.
type claimant struct {
	order  string
	number int
}

func (c claim) compare(other claim) int {
	return cmp.Or(strings.Compare(c.order, other.order), cmp.Compare(c.number, other.number))
}

// pattern is one that has variables and what it takes.
type pattern = claim

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
	return &routes{sources: map[string]declared{}, byPath: map[string][]endpoint{}, claims: map[string][]claim{}}
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
	fits := slices.DeleteFunc(
		slices.Clone(list),
		func(e endpoint) bool { return !strings.EqualFold(methodOf(e), a.method) },
	)
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
// words. Only the paths that it asks for, or did, are looked at: there may be thousands of others.
func (r *routes) set(key string, s declared) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.withdraw(key)
	r.sources[key] = s
	paths := map[string]bool{}
	for n, e := range s.routes {
		r.byPath[ownPath(e.route)] = []endpoint{e}
		read, err := eventsource.NewEndpoint(e.path)
		if err != nil || read.Path == "" {
			continue // it is broken, or has its own path only
		}
		c := claim{order: s.created + key, number: n, takes: read, endpoint: e}
		at, _ := slices.BinarySearchFunc(r.claims[read.Path], c, claim.compare)
		r.claims[read.Path] = slices.Insert(r.claims[read.Path], at, c)
		paths[read.Path] = true
	}
	var conflicts []string
	for n, e := range s.routes { // in the order of the manifest
		if read, err := eventsource.NewEndpoint(e.path); err == nil && paths[read.Path] {
			if text := r.settle(read.Path)[claimant{s.created + key, n}]; text != "" {
				conflicts = append(conflicts, text)
			}
		}
	}
	return conflicts
}

func (r *routes) remove(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.withdraw(key)
}

// withdraw takes back what an EventSource asked for; who stood behind it gets the paths.
func (r *routes) withdraw(key string) {
	s := r.sources[key]
	delete(r.sources, key)
	for _, e := range s.routes {
		delete(r.byPath, ownPath(e.route))
		read, err := eventsource.NewEndpoint(e.path)
		if err != nil || read.Path == "" {
			continue
		}
		r.claims[read.Path] = slices.DeleteFunc(
			r.claims[read.Path],
			func(c claim) bool { return c.order == s.created+key },
		)
		r.settle(read.Path)
	}
}

// settle says who has a path: who asked for it, the older first. It returns why the others have not.
func (r *routes) settle(path string) (conflicts map[claimant]string) {
	conflicts = map[claimant]string{}
	var taken []endpoint
	r.patterns = slices.DeleteFunc(r.patterns, func(p pattern) bool { return p.takes.Path == path })
	for _, c := range r.claims[path] {
		if text := clash(taken, c.endpoint, path); text != "" {
			conflicts[claimant{c.order, c.number}] = text
			continue
		}
		taken = append(taken, c.endpoint)
		if c.takes.Variable() {
			at, _ := slices.BinarySearchFunc(r.patterns, c, func(p pattern, c claim) int { return p.compare(c) })
			r.patterns = slices.Insert(r.patterns, at, c)
		}
	}
	switch {
	case len(r.claims[path]) == 0:
		delete(r.claims, path)
		delete(r.byPath, path)
	case !r.claims[path][0].takes.Variable():
		r.byPath[path] = taken
	}
	return conflicts
}

// clash says why an event cannot have a path that others have.
func clash(others []endpoint, e endpoint, path string) string {
	for _, o := range others {
		if methodOf(o) != methodOf(e) || o.port != e.port {
			continue
		}
		if o.route.Namespace == e.route.Namespace && o.route.EventSource == e.route.EventSource {
			return fmt.Sprintf(
				"%s: endpoint %s with method %s is that of %s already; give it another one, or use the path %s",
				e.route.Event, path, methodOf(e), o.route.Event, ownPath(e.route),
			)
		}
		return fmt.Sprintf(
			"%s: endpoint %s belongs to an older EventSource; use the path %s", e.route.Event, path, ownPath(e.route),
		)
	}
	return ""
}

func ownPath(r core.Route) string {
	return fmt.Sprintf("%s%s/%s/%s", eventsource.OwnPaths, r.Namespace, r.EventSource, r.Event)
}
