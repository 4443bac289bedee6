package router

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core/traffic"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "rewrite what routers make of the samples")

// world is what a router works on in tests.
type world map[traffic.Ref]*unstructured.Unstructured

func (w world) load(ref traffic.Ref) (*unstructured.Unstructured, error) { return w[ref], nil }

// sample reads a file of testdata: a canary strategy, then the objects.
func sample(t testing.TB, file string) (*v1alpha1.Rollout, world) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	ro := &v1alpha1.Rollout{}
	ro.Namespace, ro.Name = "ns", "shop"
	ro.Spec.Strategy.Canary = &v1alpha1.CanaryStrategy{}
	w := world{}
	for i, doc := range strings.Split(string(text), "---\n") {
		if i == 0 {
			if err := yaml.UnmarshalStrict([]byte(doc), ro.Spec.Strategy.Canary); err != nil {
				t.Fatal(err)
			}
			continue
		}
		u := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(doc), &u.Object); err != nil {
			t.Fatal(err)
		}
		if u.Object == nil {
			continue
		}
		// Trees of a cluster hold int64, where YAML gives floats.
		u.Object, _ = plain(u.Object).(map[string]any)
		w[refOf(u)] = u
	}
	return ro, w
}

func refOf(u *unstructured.Unstructured) traffic.Ref {
	gvk := u.GroupVersionKind()
	return traffic.Ref{Group: gvk.Group, Kind: gvk.Kind, Namespace: u.GetNamespace(), Name: u.GetName()}
}

// routes binds all routers that a Rollout names.
func routes(t testing.TB, ro *v1alpha1.Rollout, w world) (out []*Bound) {
	t.Helper()
	got := Read(ro)
	if len(got.Problems) > 0 {
		t.Fatalf("%+v", got.Problems)
	}
	for _, r := range Routers {
		for _, ref := range got.Refs[r.Field] {
			b, err := Bind(r, InputOf(ro), ref, w.load)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, b)
		}
	}
	return out
}

// obey makes all objects say a split, as the controller does.
func obey(t testing.TB, ro *v1alpha1.Rollout, w world, split traffic.Split) {
	t.Helper()
	for _, b := range routes(t, ro, w) {
		for _, c := range b.Changes(split) {
			switch c.New {
			case nil:
				delete(w, c.Ref)
			default:
				if c.Old == nil {
					c.New.SetGroupVersionKind(
						schema.GroupVersionKind{Group: c.Ref.Group, Version: "v1", Kind: c.Ref.Kind},
					)
					c.New.SetOwnerReferences(
						[]metav1.OwnerReference{{Kind: "Rollout", Name: ro.Name, Controller: new(true)}},
					)
				}
				w[c.Ref] = c.New
			}
		}
	}
}

func samples(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no samples: %v", err)
	}
	return files
}

func splitOf(ro *v1alpha1.Rollout, weight int32) traffic.Split {
	canary, stable := InputOf(ro).services()
	total := int32(100)
	if m := ro.Spec.Strategy.Canary.TrafficRouting.MaxTrafficWeight; m != nil {
		total = *m
	}
	return traffic.Split{
		Canary:       canary,
		Stable:       stable,
		CanaryHash:   "newhash",
		StableHash:   "oldhash",
		CanaryWeight: weight,
		Total:        total,
		Names:        names(InputOf(ro)),
	}
}

// TestEveryRouterDoesWhatTheControllerCountsOn is the suite of the port: whatever the kind, weights are written and
// read back, a second time nothing is to do, and weight 0 brings back what was there before.
func TestEveryRouterDoesWhatTheControllerCountsOn(t *testing.T) {
	seen := map[string]bool{}
	for _, file := range samples(t) {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			ro, w := sample(t, file)
			for _, b := range routes(t, ro, w) {
				seen[b.router.Field] = true
				if o := b.Observed(); o.Missing || o.Problem != "" || o.CanaryWeight != 0 || o.Ref != b.ref {
					t.Fatalf("the sample: %+v", o)
				}
			}
			obey(t, ro, w, splitOf(ro, 0))
			rest := allText(t, w)
			for _, weight := range []int32{1, 40, 100, 0} {
				split := splitOf(ro, weight)
				obey(t, ro, w, split)
				for _, b := range routes(t, ro, w) {
					if o := b.Observed(); o.CanaryWeight != weight &&
						len(objectsOf(at(w[b.ref].Object, "spec", "subsets"))) == 0 {
						t.Errorf("at %d %s says %d", weight, b.ref.Kind, o.CanaryWeight)
					}
					if !b.Obeys(split) {
						t.Errorf("at %d %s would be written again: %+v", weight, b.ref.Kind, b.Changes(split))
					}
					if weight != 0 && b.Obeys(splitOf(ro, 0)) && b.ref.Kind != "DestinationRule" {
						t.Errorf("at %d %s obeys weight 0 too", weight, b.ref.Kind)
					}
				}
			}
			// What is made beside the named object and never taken away has a weight of its own.
			if got := allText(
				t,
				w,
			); got != rest && !strings.Contains(got, "-canary") &&
				!strings.HasSuffix(file, "smi.yaml") {
				t.Errorf("after all (-before +after):\n%s", cmp.Diff(rest, got))
			}
		})
	}
	for _, r := range Routers {
		if !seen[r.Field] {
			t.Errorf("%s has no sample in testdata", r.Field)
		}
	}
}

// TestWhatRoutersWrite shows the objects of each sample at 30 of 100, with a header route, a mirror and an experiment
// where the router can do these. Run with -update after a wanted change.
func TestWhatRoutersWrite(t *testing.T) {
	for _, file := range samples(t) {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			ro, w := sample(t, file)
			can, split := Read(ro), splitOf(ro, 30)
			want := strings.TrimSuffix(file, ".yaml") + ".txt"
			if can.Headers {
				split.Managed = append(
					split.Managed,
					traffic.Managed{Name: "beta", Headers: []v1alpha1.HeaderRoutingMatch{
						{HeaderName: "X-Beta", HeaderValue: &v1alpha1.StringMatch{Exact: "yes"}},
					}},
				)
			}
			if can.Mirrors {
				split.Managed = append([]traffic.Managed{{
					Name: "copy", Mirror: true, Percentage: 35, Matches: []v1alpha1.RouteMatch{{
						Method: &v1alpha1.StringMatch{Exact: "GET"}, Path: &v1alpha1.StringMatch{Prefix: "/api"},
					}},
				}}, split.Managed...)
			}
			if can.Weights {
				split.Additional = []traffic.Destination{{Service: "trial", Hash: "trialhash", Weight: 10}}
			}
			before := allText(t, w)
			obey(t, ro, w, split)
			for _, b := range routes(t, ro, w) {
				if !b.Obeys(split) {
					t.Errorf("%s would be written again: %s", b.ref.Kind, show(t, b.Changes(split)))
				}
			}
			got := allText(t, w)
			if *update {
				if err := os.WriteFile(want, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			} else {
				text, err := os.ReadFile(want)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(string(text), got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			}
			obey(t, ro, w, splitOf(ro, 0))
			obey(t, ro, w, splitOf(ro, 0))
			after := allText(t, w)
			for _, gone := range []string{"trial", "beta", "copy", annotationRules, annotationConditions} {
				if strings.Contains(after, gone) && !strings.Contains(before, gone) {
					t.Errorf("%s is still there:\n%s", gone, after)
				}
			}
		})
	}
}

// allText is all objects as text, in order.
func allText(t testing.TB, w world) string {
	t.Helper()
	var docs []string
	for ref, u := range w {
		data, err := yaml.Marshal(u.Object)
		if err != nil {
			t.Fatal(err)
		}
		docs = append(docs, fmt.Sprintf("# %s %s\n%s", ref.Kind, ref.Name, data))
	}
	slices.Sort(docs)
	return strings.Join(docs, "---\n")
}

func show(t testing.TB, changes []Change) string {
	t.Helper()
	var b bytes.Buffer
	for _, c := range changes {
		fmt.Fprintf(&b, "%s\n%s\n", key(c.Ref), cmp.Diff(c.Old, c.New))
	}
	return b.String()
}

// FuzzRouters: whatever stands in an object, a router neither fails nor writes twice.
func FuzzRouters(f *testing.F) {
	for i := range Routers {
		f.Add(uint8(i), `{"spec":{"http":[{"route":[{"destination":{"host":"stable"}}]}]}}`)
		f.Add(uint8(i), `{"spec":{"rules":"no","routes":[1],"backends":{}},"metadata":{"annotations":{"a":"b"}}}`)
	}
	files := samples(f)
	f.Fuzz(func(t *testing.T, which uint8, text string) {
		ro, w := sample(t, files[int(which)%len(files)])
		var tree map[string]any
		if json.Unmarshal([]byte(text), &tree) != nil || tree == nil {
			return
		}
		for ref, u := range w {
			spec, _ := integers(tree["spec"]).(map[string]any)
			u.Object["spec"] = spec
			w[ref] = u
		}
		obey(t, ro, w, splitOf(ro, 30))
		obey(t, ro, w, splitOf(ro, 30))
		for _, b := range routes(t, ro, w) {
			if !b.Obeys(splitOf(ro, 30)) {
				t.Fatalf("%s would be written a third time: %s", b.ref.Kind, show(t, b.Changes(splitOf(ro, 30))))
			}
		}
	})
}

func rolloutOf(r v1alpha1.RolloutTrafficRouting) *v1alpha1.Rollout {
	ro := &v1alpha1.Rollout{}
	ro.Namespace = "ns"
	ro.Spec.Strategy.Canary = &v1alpha1.CanaryStrategy{TrafficRouting: &r}
	return ro
}

// Whatever names a router is served or refused by its name, and an empty block says what is missing.
func TestEachRouterOfAManifestIsServedOrRefused(t *testing.T) {
	blocks := 0
	for field := range reflect.TypeFor[v1alpha1.RolloutTrafficRouting]().Fields() {
		if field.Type.Kind() != reflect.Pointer || field.Type.Elem().Kind() != reflect.Struct {
			continue
		}
		blocks++
		cfg := v1alpha1.RolloutTrafficRouting{}
		reflect.ValueOf(&cfg).Elem().FieldByIndex(field.Index).Set(reflect.New(field.Type.Elem()))
		name := given(&cfg)
		got := Read(rolloutOf(cfg))
		if len(name) != 1 || (len(got.Refs) == 0) == (len(got.Problems) == 0) {
			t.Errorf("%s: %v %+v", field.Name, name, got)
		}
	}
	if blocks < 8 {
		t.Errorf("%d kinds of routers", blocks)
	}
	got := Read(rolloutOf(v1alpha1.RolloutTrafficRouting{Plugins: map[string]json.RawMessage{
		"acme/x": json.RawMessage("{}"), gatewayPlugin: json.RawMessage(`{"httpRoute":"web"}`),
	}}))
	if len(got.Problems) != 1 || got.Problems[0].Field != "plugins.acme/x" || len(got.Refs[gatewayAPI.Field]) != 1 {
		t.Errorf("one of two is served: %+v", got)
	}
	if got := Read(&v1alpha1.Rollout{}); len(got.Refs)+len(got.Problems) != 0 {
		t.Errorf("no routing at all: %+v", got)
	}
}

func TestWhatRoutersRefuse(t *testing.T) {
	for want, cfg := range map[string]string{
		"names no virtualService":                 `{"istio":{}}`,
		"needs canarySubsetName":                  `{"istio":{"virtualService":{"name":"a"},"destinationRule":{"name":"a"}}}`,
		"must be set, not both":                   `{"nginx":{"stableIngress":"a","stableIngresses":["b"]}}`,
		"names no stableIngress":                  `{"nginx":{}}`,
		"weightedTraefikServiceName must not":     `{"traefik":{}}`,
		"route.name must not be empty":            `{"apisix":{}}`,
		"mappings names none":                     `{"ambassador":{}}`,
		"virtualService.name must not be empty":   `{"appMesh":{}}`,
		"virtualNodeGroup needs":                  `{"appMesh":{"virtualService":{"name":"a"}}}`,
		"httpProxies names none":                  `{"plugins":{"argoproj-labs/contour":{}}}`,
		"names no HTTPRoute":                      `{"plugins":{"argoproj-labs/gatewayAPI":{}}}`,
		"name each HTTPRoute":                     `{"plugins":{"argoproj-labs/gatewayAPI":{"httpRouteSelector":{}}}}`,
		"takes no other maxTrafficWeight":         `{"maxTrafficWeight":50,"traefik":{"weightedTraefikServiceName":"a"}}`,
		"matches headers by exact values only":    `{"alb":{"ingress":"web","servicePort":80}}`,
		"only these have header and mirror":       `{"plugins":{"argoproj-labs/gatewayAPI":{"grpcRoute":"rpc"}}}`,
		"no router is named":                      `{}`,
		"plugins.acme/x: is not served":           `{"plugins":{"acme/x":{}}}`,
		"read the configuration: json: cannot un": `{"plugins":{"argoproj-labs/gatewayAPI":{"httpRoute":7}}}`,
	} {
		var r v1alpha1.RolloutTrafficRouting
		if err := json.Unmarshal([]byte(cfg), &r); err != nil {
			t.Fatal(err)
		}
		var said []string
		ro := rolloutOf(r)
		ro.Spec.Strategy.Canary.Steps = []v1alpha1.CanaryStep{{SetHeaderRoute: &v1alpha1.SetHeaderRoute{
			Name: "beta", Match: []v1alpha1.HeaderRoutingMatch{
				{HeaderName: "X", HeaderValue: &v1alpha1.StringMatch{Prefix: "y"}},
			},
		}}}
		for _, p := range Read(ro).Problems {
			said = append(said, p.Field+": "+p.Reason)
		}
		if !strings.Contains(strings.Join(said, "\n"), want) {
			t.Errorf("%s: %v, want %q", cfg, said, want)
		}
	}
}

// What an object must have is missing: the router says so and leaves it alone.
func TestObjectsThatCannotBeUsed(t *testing.T) {
	for name, c := range map[string]struct{ file, kind, spec, want string }{
		"route without pair": {"gateway", "HTTPRoute", `{"rules":[{"backendRefs":[{"name":"stable"}]}]}`, "no rule with both canary and stable"},
		"many http routes": {
			"istio-subsets", "VirtualService", `{"http":[{"route":[]},{"route":[]}]}`,
			"name those that share the traffic",
		},
		"no such http route":  {"istio", "VirtualService", `{"http":[{"name":"else"}]}`, `has no http route "primary"`},
		"ingress without it":  {"nginx", "Ingress", `{"rules":[]}`, "no rule with the stable service stable"},
		"action without port": {"alb", "Ingress", `{"rules":[]}`, "port name use-annotation"},
		"mapping with weight": {"ambassador", "Mapping", `{"weight":3}`, "a weight of its own"},
		"no router":           {"appmesh", "VirtualService", `{}`, "not provided by a VirtualRouter"},
		"router of another namespace": {
			"appmesh", "VirtualService",
			`{"provider":{"virtualRouter":{"virtualRouterRef":{"name":"router","namespace":"other"}}}}`,
			"leads to a VirtualRouter of another namespace, other",
		},
		"no rule of the name": {"apisix", "ApisixRoute", `{"http":[]}`, `no http rule "primary"`},
	} {
		t.Run(name, func(t *testing.T) {
			ro, w := sample(t, "testdata/"+c.file+".yaml")
			var spec map[string]any
			if err := json.Unmarshal([]byte(c.spec), &spec); err != nil {
				t.Fatal(err)
			}
			for ref, u := range w {
				if ref.Kind == c.kind {
					u.Object["spec"] = integers(spec)
				}
			}
			var said []string
			for _, b := range routes(t, ro, w) {
				said = append(said, b.Observed().Problem)
				if b.Observed().Problem != "" && len(b.Changes(splitOf(ro, 30))) > 0 {
					t.Error("it is written all the same")
				}
			}
			if !strings.Contains(strings.Join(said, "\n"), c.want) {
				t.Errorf("%q, want %q", said, c.want)
			}
		})
	}
}

func TestAKindThatTheClusterDoesNotKnowIsAProblem(t *testing.T) {
	ro, _ := sample(t, "testdata/smi.yaml")
	unknown := func(traffic.Ref) (*unstructured.Unstructured, error) { return nil, ErrUnknownKind }
	b, err := Bind(smi, InputOf(ro), Read(ro).Refs["smi"][0], unknown)
	if err != nil || b.Observed().Problem != ErrUnknownKind.Error() || len(b.Changes(splitOf(ro, 30))) > 0 {
		t.Errorf("%+v %v", b.Observed(), err)
	}
}

// What a router would make beside the named object is another one's: it says so.
func TestWhatIsOfAnotherIsLeftAlone(t *testing.T) {
	for _, file := range []string{"nginx", "ambassador", "smi", "apisix"} {
		ro, w := sample(t, "testdata/"+file+".yaml")
		split := splitOf(ro, 30)
		split.Managed = []traffic.Managed{{Name: "beta", Headers: []v1alpha1.HeaderRoutingMatch{{HeaderName: "X"}}}}
		obey(t, ro, w, split)
		for _, u := range w {
			if metav1.GetControllerOf(u) != nil {
				u.SetOwnerReferences([]metav1.OwnerReference{{Kind: "Rollout", Name: "other", Controller: new(true)}})
			}
		}
		b := routes(t, ro, w)[0]
		if !strings.Contains(b.Observed().Problem, "belongs to Rollout other") ||
			len(b.Changes(splitOf(ro, 60))) > 0 {
			t.Errorf("%s: %+v", file, b.Observed())
		}
	}
}

// A route whose controller has not read the newest version is not live yet; one that no controller wrote to is.
func TestARouteIsLiveWhenItsControllerHasReadIt(t *testing.T) {
	for status, want := range map[string]bool{
		``: false,
		`{"parents":[{"conditions":[{"type":"Accepted","observedGeneration":1}]}]}`: true,
		`{"parents":[{"conditions":[{"type":"Accepted","observedGeneration":2}]}]}`: false,
		`{"parents":[{"conditions":[{"type":"Accepted","observedGeneration":1}]},` +
			`{"conditions":[{"type":"Accepted","observedGeneration":2}]}]}`: false,
	} {
		ro, w := sample(t, "testdata/gateway.yaml")
		ref := traffic.Ref{Group: gatewayGroup, Kind: "HTTPRoute", Namespace: "ns", Name: "web"}
		if status != "" {
			var tree any
			if err := json.Unmarshal([]byte(status), &tree); err != nil {
				t.Fatal(err)
			}
			w[ref].Object["status"] = integers(tree)
		}
		for _, b := range routes(t, ro, w) {
			if b.ref == ref && b.Observed().Pending != want {
				t.Errorf("%s: pending=%v", status, !want)
			}
		}
	}
}
