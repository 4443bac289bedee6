package ingest

import (
	"cmp"
	"fmt"
	controller "github.com/argosy-mesh/argosy/services/webhook-ingest/internal/controller/eventsource"
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
	sources  map[string]controller.Declared // by namespace/name
	byPath   map[string][]controller.Endpoint
	claims   map[string][]claim // by path or pattern: who asks for it, the older first
	patterns []pattern          // those with variables, the older first
}

// claim is an endpoint that an EventSource asks for.
type claim struct {
	order  string // the older first
	number int    // among those of its EventSource
	takes  eventsource.Endpoint
	controller.Endpoint
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

// asked is what is known of a request before its route is.
type asked struct{ method, host, path string }

func newRoutes() *routes {
	return &routes{
		sources: map[string]controller.Declared{}, byPath: map[string][]controller.Endpoint{},
		claims: map[string][]claim{},
	}
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
	var fits []controller.Endpoint
	for _, p := range r.patterns {
		if p.takes.Takes(path) {
			fits = append(fits, p.Endpoint)
		}
	}
	route, found = choose(fits, a)
	return route, "", found
}

// choose picks among those of one path: by the method, and by the port that the sender
// asked for. Where none fits, the first one answers.
func choose(list []controller.Endpoint, a asked) (core.Route, bool) {
	switch len(list) {
	case 0:
		return core.Route{}, false
	case 1:
		return list[0].Route, true
	}
	fits := slices.DeleteFunc(
		slices.Clone(list),
		func(e controller.Endpoint) bool { return !strings.EqualFold(methodOf(e), a.method) },
	)
	if len(fits) == 0 {
		fits = list
	}
	if _, port, err := net.SplitHostPort(a.host); err == nil {
		for _, e := range fits {
			if e.Port == port {
				return e.Route, true
			}
		}
	}
	return fits[0].Route, true
}

func methodOf(e controller.Endpoint) string {
	method, _ := eventsource.Method(e.Route.Method) // one that is none fits no request
	return method
}

// Set replaces what an EventSource asks for and returns what of it cannot be served, in
// words. Only the paths that it asks for, or did, are looked at: there may be thousands of others.
func (r *routes) Set(key string, s controller.Declared) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.withdraw(key)
	r.sources[key] = s
	paths := map[string]bool{}
	for n, e := range s.Routes {
		r.byPath[ownPath(e.Route)] = []controller.Endpoint{e}
		read, err := eventsource.NewEndpoint(e.Path)
		if err != nil || read.Path == "" {
			continue // it is broken, or has its own path only
		}
		c := claim{order: s.Created + key, number: n, takes: read, Endpoint: e}
		at, _ := slices.BinarySearchFunc(r.claims[read.Path], c, claim.compare)
		r.claims[read.Path] = slices.Insert(r.claims[read.Path], at, c)
		paths[read.Path] = true
	}
	var conflicts []string
	for n, e := range s.Routes { // in the order of the manifest
		if read, err := eventsource.NewEndpoint(e.Path); err == nil && paths[read.Path] {
			if text := r.settle(read.Path)[claimant{s.Created + key, n}]; text != "" {
				conflicts = append(conflicts, text)
			}
		}
	}
	return conflicts
}

// Remove takes back what an EventSource asked for.
func (r *routes) Remove(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.withdraw(key)
}

// withdraw takes back what an EventSource asked for; who stood behind it gets the paths.
func (r *routes) withdraw(key string) {
	s := r.sources[key]
	delete(r.sources, key)
	for _, e := range s.Routes {
		delete(r.byPath, ownPath(e.Route))
		read, err := eventsource.NewEndpoint(e.Path)
		if err != nil || read.Path == "" {
			continue
		}
		r.claims[read.Path] = slices.DeleteFunc(
			r.claims[read.Path],
			func(c claim) bool { return c.order == s.Created+key },
		)
		r.settle(read.Path)
	}
}

// settle says who has a path: who asked for it, the older first. It returns why the others have not.
func (r *routes) settle(path string) (conflicts map[claimant]string) {
	conflicts = map[claimant]string{}
	var taken []controller.Endpoint
	r.patterns = slices.DeleteFunc(r.patterns, func(p pattern) bool { return p.takes.Path == path })
	for _, c := range r.claims[path] {
		if text := clash(taken, c.Endpoint, path); text != "" {
			conflicts[claimant{c.order, c.number}] = text
			continue
		}
		taken = append(taken, c.Endpoint)
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
func clash(others []controller.Endpoint, e controller.Endpoint, path string) string {
	for _, o := range others {
		if methodOf(o) != methodOf(e) || o.Port != e.Port {
			continue
		}
		if o.Route.Namespace == e.Route.Namespace && o.Route.EventSource == e.Route.EventSource {
			return fmt.Sprintf(
				"%s: endpoint %s with method %s is that of %s already; give it another one, or use the path %s",
				e.Route.Event, path, methodOf(e), o.Route.Event, ownPath(e.Route),
			)
		}
		return fmt.Sprintf(
			"%s: endpoint %s belongs to an older EventSource; use the path %s", e.Route.Event, path, ownPath(e.Route),
		)
	}
	return ""
}

func ownPath(r core.Route) string {
	return fmt.Sprintf("%s%s/%s/%s", eventsource.OwnPaths, r.Namespace, r.EventSource, r.Event)
}
