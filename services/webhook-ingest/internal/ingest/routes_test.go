package ingest

import (
	"fmt"
	controller "github.com/argosy-mesh/argosy/services/webhook-ingest/internal/controller/eventsource"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/argosy-mesh/argosy/libs/kube/secret"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/webhook-ingest/internal/core"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// table is the table of one EventSource, and what of it is not served.
func table(t *testing.T, hooks map[string]v1alpha1.WebhookEventSource) (*routes, []string, []controller.Endpoint) {
	t.Helper()
	es := &v1alpha1.EventSource{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "es"}, Spec: v1alpha1.EventSourceSpec{Webhook: hooks},
	}
	endpoints, err := (&controller.Reconciler{Secrets: secret.NewReader(nil, 0)}).Endpoints(t.Context(), es)
	if err != nil {
		t.Fatal(err)
	}
	r := newRoutes()
	return r, r.Set("ns/es", controller.Declared{Routes: endpoints}), endpoints
}

func listen(endpoint, method, port string) v1alpha1.WebhookEventSource {
	return v1alpha1.WebhookEventSource{Endpoint: endpoint, Method: method, Port: v1alpha1.AnyString(port)}
}

// Cases 07 and 08, and several events on one path.
func TestPathsLeadToTheirEvents(t *testing.T) {
	r, conflicts, _ := table(t, map[string]v1alpha1.WebhookEventSource{
		"root":  listen("/", "POST", "12000"),
		"user":  listen("/user/{name}", "POST", "12000"),
		"known": listen("/user/bob", "POST", "12000"),
		"rest":  listen("/files/{Path:.+}", "PUT", "12000"),
		"read":  listen("/both", "GET", "12000"),
		"write": listen("/both", "POST", "12000"),
		"blue":  listen("/port", "POST", "12000"),
		"green": listen("/port", "POST", "13000"),
	})
	if len(conflicts) > 0 {
		t.Errorf("%v", conflicts)
	}
	for a, want := range map[asked]string{
		{"POST", "h", "/"}: "root", {"POST", "h", ""}: "", {"POST", "h", "/user/ann"}: "user",
		{"POST", "h", "/user/ann/"}: "user", {"POST", "h", "/user/bob"}: "known", {"POST", "h", "/user/ann/x"}: "",
		{"PUT", "h", "/files/a/b"}: "rest", {"GET", "h", "/both"}: "read", {"POST", "h", "/both"}: "write",
		{"post", "h", "/both"}: "write",
		{"POST", "h", "/port"}: "blue", {"POST", "h:13000", "/port"}: "green", {"POST", "h:12000", "/port"}: "blue",
		{"POST", "h:80", "/port"}: "blue", {"POST", "[::1]:13000", "/port"}: "green",
		{"POST", "h", "/hooks/ns/es/green"}: "green", {"POST", "h", "/nowhere"}: "", {"DELETE", "h", "/both"}: "read",
	} {
		route, _, found := r.find(a)
		if found != (want != "") || route.Event != want {
			t.Errorf("%+v leads to %q, want %q", a, route.Event, want)
		}
	}
}

func TestWhatCannotBeServedIsSaid(t *testing.T) {
	_, conflicts, endpoints := table(t, map[string]v1alpha1.WebhookEventSource{
		"a": listen("/x", "POST", "12000"),
		"b": listen("x/", "", "12000"),
		"c": listen("/u/{a}", "POST", "12000"),
		"d": listen("/u/{a}", "POST", "12000"),
		"e": listen("/{", "POST", "12000"),
		"f": listen("/hooks/other/one/e", "POST", "12000"),
		"g": listen("/y", "POTS", "12000"),
	})
	text := strings.Join(conflicts, "\n")
	if len(conflicts) != 2 || !strings.Contains(text, "b: endpoint /x with method POST is that of a already") ||
		!strings.Contains(text, "d: endpoint /u/{a}") {
		t.Errorf("%s", text)
	}
	for _, e := range endpoints {
		if broken := e.Route.Broken != ""; broken != (e.Route.Event >= "e") {
			t.Errorf("%s: %q", e.Route.Event, e.Route.Broken)
		}
	}
}

func TestASecretAtTheEndOfTheRoot(t *testing.T) {
	r := newRoutes()
	r.Set(
		"ns/es",
		controller.Declared{
			Routes: []controller.Endpoint{
				{Path: "/", Route: core.Route{Namespace: "ns", EventSource: "es", Event: "e", PathSecret: "s"}},
			},
		},
	)
	if route, tail, found := r.find(asked{"POST", "", "/guess"}); !found || tail != "guess" || route.Event != "e" {
		t.Errorf("%+v %q %v", route, tail, found)
	}
}

// Case 09: a limit of N a unit lets N come at once, of hooks and of sources that are read.
func TestALimitLetsAllOfAUnitComeAtOnce(t *testing.T) {
	for _, c := range []struct {
		limit     v1alpha1.TriggerRateLimit
		atOnce    int
		perSecond float64
	}{
		{v1alpha1.TriggerRateLimit{RequestsPerUnit: 100, Unit: "Minute"}, 100, 100.0 / 60},
		{v1alpha1.TriggerRateLimit{RequestsPerUnit: 4, Unit: "Hour"}, 4, 4.0 / 3600},
		{v1alpha1.TriggerRateLimit{RequestsPerUnit: 7, Unit: "Second"}, 7, 7},
		{v1alpha1.TriggerRateLimit{RequestsPerUnit: 1, Unit: "Minute"}, 1, 1.0 / 60},
		{v1alpha1.TriggerRateLimit{RequestsPerUnit: 3}, 3, 3},
	} {
		route := core.Route{Namespace: "ns", EventSource: "es", Event: c.limit.Unit}
		route.Rate, route.Burst = core.RateOf(&c.limit)
		if route.Rate != c.perSecond {
			t.Errorf("%+v: %g a second", c.limit, route.Rate)
		}
		limits := newLimiter()
		synctest.Test(t, func(t *testing.T) {
			for i := range c.atOnce {
				if i%2 == 0 && !limits.allow(route) || i%2 == 1 && limits.wait(t.Context(), route) != nil {
					t.Errorf("%+v: number %d must wait", c.limit, i+1)
				}
			}
			if limits.allow(route) {
				t.Errorf("%+v: one more came", c.limit)
			}
			began := time.Now()
			if err := limits.wait(t.Context(), route); err != nil || time.Since(began) == 0 {
				t.Errorf("%+v: who is read goes on after a while: %v", c.limit, err)
			}
		})
	}
	for _, c := range []struct {
		rate  float64
		burst int
		limit float64
		want  string
	}{{0, 0, 0, "0 1"}, {2, 120, 0, "2 120"}, {0, 0, 5, "5 5"}, {2, 120, 1, "1 1"}, {2, 120, 50, "2 120"}} {
		if rate, burst := slower(c.rate, c.burst, c.limit); fmt.Sprint(rate, burst) != c.want {
			t.Errorf("%+v: %g %d", c, rate, burst)
		}
	}
}

// Whatever order EventSources come, change and go in, the table is that of those that are there.
func TestTheTableIsThatOfThoseThatAreThere(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2)) // the same each time
	paths := []string{"/a", "/b", "/{x}", "/b/{y}", "", "/hooks/no", "/{"}
	r, there := newRoutes(), map[string]controller.Declared{}
	for range 2000 {
		name := fmt.Sprint(rng.IntN(6))
		if rng.IntN(3) == 0 {
			r.Remove("ns/" + name)
			delete(there, "ns/"+name)
		} else {
			d := controller.Declared{Created: fmt.Sprint(rng.IntN(3))}
			for event := range rng.IntN(4) {
				d.Routes = append(d.Routes, controller.Endpoint{
					Path: paths[rng.IntN(len(paths))],
					Port: fmt.Sprint(rng.IntN(2)),
					Route: core.Route{
						Namespace: "ns", EventSource: name, Event: fmt.Sprint(event),
						Method: []string{"GET", "POST"}[rng.IntN(2)],
					},
				})
			}
			r.Set("ns/"+name, d)
			there["ns/"+name] = d
		}
		fresh := newRoutes()
		for key, d := range there {
			fresh.Set(key, d)
		}
		for key, d := range there {
			if got, want := r.Set(key, d), fresh.Set(key, d); !slices.Equal(got, want) {
				t.Fatalf("%s: %q, want %q", key, got, want)
			}
		}
		for _, path := range []string{"/a", "/b", "/c", "/b/c", "/hooks/ns/1/0", "/hooks/ns/2/3"} {
			for _, host := range []string{"h", "h:0", "h:1"} {
				for _, method := range []string{"GET", "POST"} {
					got, _, found := r.find(asked{method, host, path})
					want, _, there := fresh.find(asked{method, host, path})
					if found != there || got.EventSource != want.EventSource || got.Event != want.Event {
						t.Fatalf(
							"%s %s%s leads to %s/%s, want %s/%s", method, host, path, got.EventSource, got.Event,
							want.EventSource, want.Event,
						)
					}
				}
			}
		}
		if len(r.byPath) != len(fresh.byPath) || len(r.claims) != len(fresh.claims) ||
			len(r.patterns) != len(fresh.patterns) {
			t.Fatal("something stays of those that are gone")
		}
	}
}
