package analyzer

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/argosy-mesh/argosy/libs/kube/object"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core"
)

// rate is a Prometheus whose one answer can be changed.
type rate struct{ text atomic.Value }

func newRate(t *testing.T) (*rate, string) {
	r := &rate{}
	r.text.Store("1")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(
			w,
			`{"status":"success","data":{"resultType":"vector","result":[{"value":[1,%q]}]}}`,
			r.text.Load(),
		)
	}))
	t.Cleanup(server.Close)
	return r, server.URL
}

// TestOnARealCluster plays the stories of people against two replicas of the service at once.
func TestOnARealCluster(t *testing.T) {
	f := newField(t)
	prometheus, address := newRate(t)
	f.analyzer("one", address)
	f.analyzer("two", address)
	t.Run("a good version is promoted", func(t *testing.T) { f.in(t).promoted() })
	t.Run("a bad rate takes the traffic back", func(t *testing.T) {
		prometheus.text.Store("0.5")
		f.in(t).takenBack()
		prometheus.text.Store("1")
	})
	t.Run("a malformed rollout harms no other", func(t *testing.T) { f.in(t).harmless() })
	t.Run("an abort by a person", func(t *testing.T) { f.in(t).aborted() })
	t.Run("events decide", func(t *testing.T) { f.in(t).decided() })
	t.Run("jobs measure", func(t *testing.T) { f.in(t).measured() })
}

func (f *field) in(t *testing.T) *field {
	out := *f
	out.t = t
	return &out
}

func (f *field) promoted() {
	f.apply("promoted", "shop.yaml")
	first := f.await("promoted", "shop", v1alpha1.RolloutHealthy, nil)
	f.image("promoted", "v2")
	paused := f.await("promoted", "shop", v1alpha1.RolloutPaused, nil)
	f.wantTraffic("promoted", 25, paused.Status.CurrentPodHash, first.Status.StableRS)
	f.patch("promoted", "shop", `{"status":{"pauseConditions":null}}`, true)
	healthy := f.await(
		"promoted",
		"shop",
		v1alpha1.RolloutHealthy,
		func(ro *v1alpha1.Rollout) bool { return ro.Status.StableRS == paused.Status.CurrentPodHash },
	)
	f.wantTraffic("promoted", 0, healthy.Status.StableRS, healthy.Status.StableRS)
	f.eventually("the old pods to go", func(ctx context.Context) error {
		return f.sizes(ctx, "promoted", map[string]int32{"shop:v1": 0, "shop:v2": 4})
	})
	f.wantRuns("promoted", "shop-"+healthy.Status.StableRS+"-2-3")
	want := []string{
		"rollout.updated 1", "rollout.promoted 1", "rollout.updated 2", "rollout.weighted 2 25",
		"rollout.weighted 2 50", "analysis.started 2", "analysis.measured 2", "analysis.measured 2",
		"analysis.finished 2", "rollout.weighted 2 100", "rollout.promoted 2",
	}
	if diff := cmp.Diff(want, f.facts("promoted")); diff != "" {
		f.t.Errorf("facts (-want +got):\n%s", diff)
	}
}

func (f *field) takenBack() {
	f.apply("bad", "shop.yaml")
	first := f.await("bad", "shop", v1alpha1.RolloutHealthy, nil)
	f.image("bad", "v2")
	f.await("bad", "shop", v1alpha1.RolloutPaused, nil)
	f.patch("bad", "shop", `{"status":{"pauseConditions":null}}`, true)
	ro := f.await(
		"bad",
		"shop",
		v1alpha1.RolloutDegraded,
		func(ro *v1alpha1.Rollout) bool { return ro.Status.Canary.Weights.Canary.Weight == 0 },
	)
	if !strings.Contains(ro.Status.Message, `Metric "rate" assessed Failed`) {
		f.t.Errorf("message %q", ro.Status.Message)
	}
	f.eventually("all traffic at the stable pods", func(ctx context.Context) error {
		return f.traffic(ctx, "bad", 0, first.Status.StableRS, first.Status.StableRS)
	})
	f.eventually("the canary to go", func(ctx context.Context) error {
		return f.sizes(ctx, "bad", map[string]int32{"shop:v1": 4, "shop:v2": 0})
	})
}

func (f *field) harmless() {
	f.apply("harm", "malformed.yaml")
	f.await("harm", "good", v1alpha1.RolloutHealthy, nil)
	ro := f.await("harm", "malformed", v1alpha1.RolloutDegraded, nil)
	if want := "spec.template.spec.containers[0].resources.limits.memory"; !strings.Contains(
		ro.Status.Message,
		want,
	) {
		f.t.Errorf("the field is not named: %q", ro.Status.Message)
	}
	f.patch(
		"harm",
		"malformed",
		`{"spec":{"template":{"spec":{"containers":[{"name":"main","image":"bad:v2"}]}}}}`,
		false,
	)
	f.await("harm", "malformed", v1alpha1.RolloutHealthy, nil)
}

func (f *field) aborted() {
	f.apply("abort", "shop.yaml")
	f.await("abort", "shop", v1alpha1.RolloutHealthy, nil)
	f.image("abort", "v2")
	f.await("abort", "shop", v1alpha1.RolloutPaused, nil)
	f.patch("abort", "shop", `{"status":{"abort":true}}`, true)
	f.await(
		"abort",
		"shop",
		v1alpha1.RolloutDegraded,
		func(ro *v1alpha1.Rollout) bool { return ro.Status.Canary.Weights.Canary.Weight == 0 },
	)
	f.patch("abort", "shop", `{"status":{"abort":false}}`, true)
	f.await("abort", "shop", v1alpha1.RolloutPaused, nil)
	f.image("abort", "v1")
	f.await("abort", "shop", v1alpha1.RolloutHealthy, nil)
}

// decided lets events promote, pause and abort. One that comes twice, or was stored before the try began, does
// nothing.
func (f *field) decided() {
	const ns = "decided"
	f.apply(ns, "shop.yaml")
	f.patch(ns, "shop", `{"metadata":{"annotations":{
		"argosy.dev/abort-on":"alerts/critical if result.data.status == \"firing\"","argosy.dev/promote-on":"checks/passed"}}}`, false)
	first := f.await(ns, "shop", v1alpha1.RolloutHealthy, nil)
	f.image(ns, "v2")
	f.await(ns, "shop", v1alpha1.RolloutPaused, nil)
	say := func(id, event, data string) {
		f.t.Helper()
		e, err := bus.NewEvent(id, "test", "alert", json.RawMessage(data))
		if err != nil {
			f.t.Fatal(err)
		}
		source, name, _ := strings.Cut(event, "/")
		if err := f.bus.Publish(f.t.Context(), events.EventSubject(ns, source, name), e); err != nil {
			f.t.Fatal(err)
		}
	}
	say("harmless", "alerts/critical", `{"status":"resolved"}`)
	say("bad", "alerts/critical", `{"status":"firing"}`)
	ro := f.await(ns, "shop", v1alpha1.RolloutDegraded, func(ro *v1alpha1.Rollout) bool {
		return ro.Status.Canary.Weights.Canary.Weight == 0
	})
	if !strings.Contains(ro.Status.Message, "event bad of alerts/critical") {
		f.t.Errorf("the event is not named: %q", ro.Status.Message)
	}
	if err := f.traffic(f.t.Context(), ns, 0, first.Status.StableRS, first.Status.StableRS); err != nil {
		f.eventually("all traffic at the stable pods", func(ctx context.Context) error {
			return f.traffic(ctx, ns, 0, first.Status.StableRS, first.Status.StableRS)
		})
	}
	f.patch(ns, "shop", `{"status":{"abort":false}}`, true)
	f.await(ns, "shop", v1alpha1.RolloutPaused, nil)
	say("good", "checks/passed", `{}`)
	f.await(ns, "shop", v1alpha1.RolloutHealthy, func(ro *v1alpha1.Rollout) bool {
		return ro.Status.StableRS != first.Status.StableRS
	})
}

func (f *field) image(namespace, tag string) {
	f.patch(
		namespace, "shop",
		fmt.Sprintf(`{"spec":{"template":{"spec":{"containers":[{"name":"main","image":"shop:%s"}]}}}}`, tag), false,
	)
}

func (f *field) wantTraffic(namespace string, weight int32, canary, stable string) {
	f.t.Helper()
	if err := f.traffic(f.t.Context(), namespace, weight, canary, stable); err != nil {
		f.t.Error(err)
	}
}

// traffic compares the weight and what the services select.
func (f *field) traffic(ctx context.Context, namespace string, weight int32, canary, stable string) error {
	route := &unstructured.Unstructured{}
	route.SetGroupVersionKind(schema.GroupVersionKind{
		Group: "gateway.networking.k8s.io", Version: "v1", Kind: "HTTPRoute",
	})
	if err := f.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "web"}, route); err != nil {
		return err
	}
	rules, _, _ := unstructured.NestedSlice(route.Object, "spec", "rules")
	backends, _, _ := unstructured.NestedSlice(rules[0].(map[string]any), "backendRefs")
	for _, b := range backends {
		backend := b.(map[string]any)
		if backend["name"] == "canary" && backend["weight"] != int64(weight) {
			return fmt.Errorf("route: %v, want weight %d", backends, weight)
		}
	}
	if marked := len(route.GetLabels()) > 0; marked != (weight > 0) {
		return fmt.Errorf("labels of the route: %v at weight %d", route.GetLabels(), weight)
	}
	for name, want := range map[string]string{"canary": canary, "stable": stable} {
		svc := &corev1.Service{}
		if err := f.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, svc); err != nil {
			return err
		}
		if got := svc.Spec.Selector[core.HashLabel]; got != want {
			return fmt.Errorf("service %s selects %s, want %s", name, got, want)
		}
	}
	return nil
}

// sizes compares the ReplicaSets, by image.
func (f *field) sizes(ctx context.Context, namespace string, want map[string]int32) error {
	list := &appsv1.ReplicaSetList{}
	if err := f.client.List(ctx, list, client.InNamespace(namespace)); err != nil {
		return err
	}
	got := map[string]int32{}
	for _, rs := range list.Items {
		got[rs.Spec.Template.Spec.Containers[0].Image] = *rs.Spec.Replicas
		if rs.Annotations[events.AnnotationCorrelationID] != "chain-1" {
			return fmt.Errorf("%s lost the chain: %v", rs.Name, rs.Annotations)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		return fmt.Errorf("sizes: %s", diff)
	}
	return nil
}

func (f *field) wantRuns(namespace string, want ...string) {
	f.t.Helper()
	list := object.NewList("AnalysisRun")
	if err := f.client.List(f.t.Context(), list, client.InNamespace(namespace)); err != nil {
		f.t.Fatal(err)
	}
	var got []string
	for _, run := range list.Items {
		got = append(got, run.GetName())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		f.t.Errorf("analysis runs (-want +got):\n%s", diff)
	}
}

// facts returns what the mesh was told about a namespace, in order and each once.
func (f *field) facts(namespace string) (out []string) {
	f.t.Helper()
	all, err := f.bus.Read(f.t.Context(), "FACTS", "facts.rollout-analyzer.*.*."+namespace+".*")
	if err != nil {
		f.t.Fatal(err)
	}
	for _, d := range all {
		var fact events.Fact
		if err := d.DataAs(&fact); err != nil {
			f.t.Fatal(err)
		}
		if l := bus.LineageOf(d.Event); l.Correlation != "chain-1" || l.Causation != "cause-1" || l.Trace == "" {
			f.t.Errorf("%s lost the chain: %+v", d.Subject, l)
		}
		name := strings.TrimSuffix(strings.TrimPrefix(d.Type(), "dev.argosy."), ".v1")
		out = append(out, strings.TrimSpace(name+" "+fact.Attributes["revision"]+" "+fact.Attributes["weight"]))
	}
	return out
}
