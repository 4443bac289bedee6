package eventsource

import (
	"fmt"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/libs/kube/secret"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/webhook-ingest/internal/core"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	kubeevents "k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
)

func TestSecretsReachTheirRoutes(t *testing.T) {
	ref := func(key string) *corev1.SecretKeySelector {
		return &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "s"}, Key: key}
	}
	stored := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "s"},
		Data:       map[string][]byte{"a": []byte("A\n"), "b": []byte("B")},
	}
	r := &Reconciler{Secrets: secret.NewReader(fake.NewClientBuilder().WithObjects(stored).Build(), 0)}
	hook := &v1alpha1.WebhookContext{Endpoint: "in/", AuthSecret: ref("a")}
	es := &v1alpha1.EventSource{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "es"},
		Spec: v1alpha1.EventSourceSpec{
			Github: map[string]v1alpha1.GithubEventSource{
				"good": {Webhook: hook, WebhookSecret: ref("b")},
				"lost": {WebhookSecret: ref("none")},
				"open": {},
			},
			Webhook: map[string]v1alpha1.WebhookEventSource{
				"bad filter": {Filter: &v1alpha1.EventSourceFilter{Expression: "("}},
			},
			Registry: map[string]v1alpha1.RegistryEventSource{
				"what": {Provider: "what"},
				"hub":  {PathSecret: ref("a")},
			},
			Slack: map[string]v1alpha1.SlackEventSource{"chat": {SigningSecret: ref("a"), Token: ref("b")}},
			EventSourceKinds: v1alpha1.EventSourceKinds{
				CloudEvents: map[string]v1alpha1.CloudEventsEventSource{
					"ce": {HMAC: &v1alpha1.WebhookHMAC{Header: "X-S", Secret: *ref("b")}},
				},
				RateLimit: &v1alpha1.TriggerRateLimit{Unit: "Minute", RequestsPerUnit: 120},
			},
		},
	}
	endpoints, err := r.Endpoints(t.Context(), es)
	if err != nil {
		t.Fatal(err)
	}
	routes := map[string]core.Route{}
	for _, e := range endpoints {
		routes[e.Route.Event] = e.Route
		if e.Route.Event == "good" && e.Path != "in/" {
			t.Errorf("path %q", e.Path)
		}
	}
	if g := routes["good"]; g.Secret != "B" || g.Bearer != "A" || g.Unsigned || g.Broken != "" || g.Rate != 2 ||
		g.Provider != "github" {
		t.Errorf("%+v", g)
	}
	if !routes["open"].Unsigned || routes["lost"].Broken == "" || routes["lost"].Unsigned ||
		routes["bad filter"].Broken == "" ||
		routes["what"].Broken == "" {
		t.Errorf("%+v", routes)
	}
	if routes["hub"].PathSecret != "A" || routes["chat"].Secret != "A" || routes["chat"].Token != "B" ||
		routes["ce"].Signature.Key != "B" {
		t.Errorf("%+v", routes)
	}
	conditions := verdict(endpoints, []string{"endpoint /x belongs to an older EventSource"}, []State{{Event: "good"}})
	if text := fmt.Sprint(
		conditions,
	); !strings.Contains(text, "two events have this name") || !strings.Contains(text, "/x belongs to an older") ||
		!strings.Contains(text, `no key "none"`) {
		t.Error(text)
	}
}

func TestAStatusThatTurnsIsAnEvent(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	raw := &unstructured.Unstructured{
		Object: map[string]any{
			"apiVersion": "argoproj.io/v1alpha1",
			"kind":       "EventSource",
			"metadata":   map[string]any{"namespace": "ns", "name": "es"},
		},
	}
	told := kubeevents.NewFakeRecorder(20)
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(raw).WithStatusSubresource(raw).Build()
	owner := true
	r := &Reconciler{Client: c, Tell: told, Owns: func(string) bool { return owner }}
	report := func(want string, conditions ...v1alpha1.EventCondition) {
		t.Helper()
		now := raw.DeepCopy()
		if err := c.Get(t.Context(), client.ObjectKeyFromObject(raw), now); err != nil {
			t.Fatal(err)
		}
		if err := r.report(t.Context(), now, conditions, nil); err != nil {
			t.Fatal(err)
		}
		got := ""
		for len(told.Events) > 0 {
			got += <-told.Events + "; "
		}
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	ready, reading := condition("Serving", "2 event(s) served"), State{Topic: AboutEvents, Event: "a"}
	ready.Status = "True"
	report("Normal Serving Ready: 2 event(s) served; ", ready, reading.Condition())
	reading.Up = true
	report("Normal Reading Event.a: ; ", ready, reading.Condition())
	report("", ready, reading.Condition())
	reading.Failure = "no route to host"
	report("Warning Broken Event.a: no route to host; ", ready, reading.Condition())
	owner = false
	report("", condition("NotServed", "x"))
}

func TestFieldsWithoutEffectAreSaid(t *testing.T) {
	es := &v1alpha1.EventSource{
		Spec: v1alpha1.EventSourceSpec{SQS: map[string]v1alpha1.SQSEventSource{"q": {Queue: "q", DLQ: true}}},
	}
	if got := withoutEffect(es); len(got) != 1 || got[0].Path != "spec.sqs.q.dlq" {
		t.Errorf("%v", got)
	}
}

func TestEventsSetAsideAreSaid(t *testing.T) {
	if len(setAside("")) != 0 || len(setAside("x")) != 1 {
		t.Error(setAside(""), setAside("x"))
	}
}
