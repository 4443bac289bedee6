package pull

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	amqp1 "github.com/Azure/go-amqp"
	"github.com/argosy-mesh/argosy/libs/identity"
	"github.com/argosy-mesh/argosy/libs/identity/entra"
	"github.com/argosy-mesh/argosy/libs/identity/entra/entratest"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

func (a *azured) connection() string {
	return "Endpoint=sb://" + a.address + "/;SharedAccessKeyName=guest;SharedAccessKey=guest;UseDevelopmentEmulator=true"
}

// outcomes waits until the stand-in was told so much.
func (a *azured) told(want string) {
	a.t.Helper()
	eventually(a.t, "wait for "+want, func() error {
		if got := a.said(); got != want {
			return fmt.Errorf("the stand-in was told %q", got)
		}
		return nil
	})
}

func order(id, body string, sequence int64) *amqp1.Message {
	m := amqp1.NewMessage([]byte(body))
	m.Properties = &amqp1.MessageProperties{MessageID: id}
	m.Annotations = amqp1.Annotations{
		"x-opt-sequence-number": sequence,
		"x-opt-enqueued-time":   time.Unix(1700000000, 0).UTC(),
	}
	return m
}

func TestAServiceBusMessageIsCompletedWhenItIsDurable(t *testing.T) {
	a := newAzured(t)
	secretData["bus"] = a.connection()
	r := newRig(t)
	one := order("m1", `{"n":1}`, 7)
	one.Properties = &amqp1.MessageProperties{
		MessageID: "m1", Subject: new("s"), ContentType: new("application/json"), ReplyTo: new("r"), CorrelationID: "c",
	}
	one.ApplicationProperties = map[string]any{"k": "v", "size": int32(3), "odd": math.NaN(), "id": amqp1.UUID{1}}
	a.put("orders", one)
	a.put("orders", order("m2", "text", 8))
	a.put("orders", order("m3", "text", 9))
	c := v1alpha1.AzureServiceBusEventSource{
		QueueName: "orders", ConnectionString: ref("bus"), JSONBody: true, Metadata: map[string]string{"k": "v"},
	}
	var seen told
	r.refuse = func(e told) bool { seen = e; return e.get("messageID") == "m2" }
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := serviceBus(c).Run(ctx, r.env, r.emit); !errors.Is(err, context.Canceled) {
		t.Errorf("an event that is not durable: %v", err)
	}
	a.told("accepted:m1 abandoned:m2 abandoned:m3")
	first := r.next()
	for path, want := range map[string]string{
		"body.n": "1", "metadata.k": "v", "applicationProperties.k": "v", "applicationProperties.size": "3",
		"applicationProperties.odd": "NaN", "contentType": "application/json",
		"correlationID": "c", "enqueuedTime": "2023-11-14T22:13:20Z", "messageID": "m1", "replyTo": "r",
		"sequenceNumber": "7", "subject": "s",
	} {
		if got := first.get(path); got != want {
			t.Errorf("%s is %q, want %q", path, got, want)
		}
	}
	r.refuse = nil
	stop := r.start(serviceBus(c))
	if again := r.next(); again.get("body") != "text" || again.id != seen.id || again.id == first.id {
		t.Errorf("%+v, before %+v: the same message has the same id", again, seen)
	}
	if e := r.next(); e.get("messageID") != "m3" || e.id == seen.id {
		t.Errorf("%+v", e)
	}
	a.told("accepted:m1 abandoned:m2 abandoned:m3 accepted:m2 accepted:m3")
	if err := stop(); err != nil {
		t.Error(err)
	}
	r.quiet()
}

func TestServiceBusCreditDoesNotRunOut(t *testing.T) {
	a := newAzured(t)
	secretData["bus"] = a.connection()
	r := newRig(t)
	const messages = 3*serviceBusCredit + 1
	var want []string
	for i := range messages {
		id := fmt.Sprintf("m%d", i)
		a.put("orders", order(id, "text", int64(i)))
		want = append(want, "accepted:"+id)
	}
	stop := r.start(serviceBus(v1alpha1.AzureServiceBusEventSource{QueueName: "orders", ConnectionString: ref("bus")}))
	for i := range messages {
		if e := r.next(); e.get("sequenceNumber") != fmt.Sprint(i) {
			t.Errorf("message %d: %+v", i, e)
		}
	}
	a.told(strings.Join(want, " "))
	if err := stop(); err != nil {
		t.Error(err)
	}
	r.quiet()
}

func TestServiceBusSubscriptionsAndBadManifests(t *testing.T) {
	a := newAzured(t)
	secretData["bus"], secretData["locked"] = a.connection(), strings.Replace(
		a.connection(), "SharedAccessKey=guest", "SharedAccessKey=other", 1,
	)
	secretData["half"], secretData["nowhere"] = "Endpoint=sb://h/;SharedAccessKeyName=guest", "SharedAccessKeyName=guest;SharedAccessKey=guest"
	secretData["words"] = "not a connection string"
	r := newRig(t)
	a.put("news/Subscriptions/mine", &amqp1.Message{Value: "a value"})
	r.start(
		serviceBus(
			v1alpha1.AzureServiceBusEventSource{
				TopicName: "news", SubscriptionName: "mine", ConnectionString: ref("bus"),
			},
		),
	)
	if e := r.next(); e.get("body") != "YSB2YWx1ZQ==" || e.get("messageID") != "" || e.id == "" {
		t.Errorf("%+v", e)
	}
	for name, c := range map[string]v1alpha1.AzureServiceBusEventSource{
		"identity":  {FullyQualifiedNamespace: "x.servicebus.windows.net"},
		"wrong key": {ConnectionString: ref("locked")}, "half a rule": {ConnectionString: ref("half")},
		"no endpoint": {ConnectionString: ref("nowhere")}, "no pairs": {ConnectionString: ref("words")},
		"no secret":   {ConnectionString: ref("empty")},
		"half a pair": {ConnectionString: ref("bus"), TLS: &v1alpha1.EventTLSConfig{ClientKeySecret: ref("user")}},
	} {
		c.QueueName = "orders"
		err := serviceBus(c).Run(t.Context(), r.env, r.emit)
		if err == nil || strings.Contains(err.Error(), "guest") ||
			strings.Contains(err.Error(), "not a connection string") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := serviceBus(v1alpha1.AzureServiceBusEventSource{TopicName: "news", ConnectionString: ref("bus")}).Run(
		t.Context(), r.env, r.emit,
	); err == nil {
		t.Error("a topic without a subscription")
	}
}

// managed answers as the management node of a hub with two partitions, of which the
// first holds events.
func managed(t *testing.T) func(*amqp1.Message) *amqp1.Message {
	return func(q *amqp1.Message) *amqp1.Message {
		about := q.ApplicationProperties
		if about["operation"] != "READ" || about["name"] != "hub" ||
			!strings.HasPrefix(fmt.Sprint(about["security_token"]), "SharedAccessSignature sr=") {
			t.Errorf("asked %v", about)
		}
		answer := map[string]any{
			"name":                  "hub",
			"partition_ids":         []string{"0", "1"},
			"created_at":            time.Unix(1700000000, 0).UTC(),
			"georeplication_factor": int32(1),
		}
		if about["type"] == "com.microsoft:partition" {
			answer = map[string]any{
				"name":                          "hub",
				"partition":                     about["partition"],
				"begin_sequence_number":         int64(0),
				"last_enqueued_sequence_number": int64(3),
				"last_enqueued_time_utc":        time.Unix(1700000000, 0).UTC(),
				"is_partition_empty":            false,
				"last_enqueued_offset":          map[any]string{"0": "500", "1": "-1"}[about["partition"]],
			}
		}
		return &amqp1.Message{
			Properties:            &amqp1.MessageProperties{CorrelationID: q.Properties.MessageID},
			ApplicationProperties: map[string]any{"status-code": int32(200)}, Value: answer,
		}
	}
}

func TestAHubIsReadFromWhereItStopped(t *testing.T) {
	a := newAzured(t)
	a.keep = true
	a.answering(managed(t))
	event := order("m1", "text", 4)
	event.Annotations["x-opt-offset"], event.Annotations["x-opt-partition-key"] = "510", "pk"
	a.put("hub/ConsumerGroups/$Default/Partitions/0", event)
	bare := amqp1.NewMessage([]byte("x"))
	bare.Annotations = amqp1.Annotations{"x-opt-sequence-number": int64(4), "x-opt-offset": "20"}
	a.put("hub/ConsumerGroups/$Default/Partitions/1", bare)
	r := newRig(t)
	c := v1alpha1.AzureEventsHubEventSource{
		FQDN: "amqp://" + a.address, HubName: "hub", SharedAccessKeyName: ref("user"), SharedAccessKey: ref("password"),
		Metadata: map[string]string{"k": "v"},
	}
	var mu sync.Mutex // partitions are read side by side
	var refused told
	r.refuse = func(e told) bool {
		mu.Lock()
		defer mu.Unlock()
		refused = e
		return true
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := eventsHub(c).Run(ctx, r.env, r.emit); !errors.Is(err, context.Canceled) {
		t.Errorf("an event that is not durable: %v", err)
	}
	positions := func(want string) {
		t.Helper()
		eventually(t, "save "+want, func() error {
			if got, err := r.env.Positions.Load(t.Context(), r.env.Name()); err != nil || string(got) != want {
				return fmt.Errorf("%s, %w", got, err)
			}
			return nil
		})
	}
	positions(`{"made":"2023-11-14 22:13:20 +0000 UTC","at":{"0":"500","1":"-1"}}`) // where it began
	r.refuse = nil
	stop := r.start(eventsHub(c))
	events := []told{r.next(), r.next()}
	slices.SortFunc(events, func(a, b told) int { return strings.Compare(a.get("id"), b.get("id")) })
	if e := events[1]; e.get("id") != "m1" || e.get("partitionKey") != "pk" || e.get("body") != "dGV4dA==" ||
		e.get("metadata.k") != "v" {
		t.Errorf("%+v", e)
	}
	if events[0].get("id") != "" || events[0].id == events[1].id ||
		!slices.ContainsFunc(events, func(e told) bool { return e.id == refused.id }) {
		t.Errorf("%+v, before %+v", events, refused)
	}
	positions(`{"made":"2023-11-14 22:13:20 +0000 UTC","at":{"0":"510","1":"20"}}`)
	if err := stop(); err != nil {
		t.Error(err)
	}
	r.start(eventsHub(c))
	eventually(t, "go on", func() error {
		a.mu.Lock()
		defer a.mu.Unlock()
		all := strings.Join(a.filters, "; ")
		for _, want := range []string{
			"Partitions/0: amqp.annotation.x-opt-offset > '500'", "Partitions/1: amqp.annotation.x-opt-offset > '-1'",
			"Partitions/0: amqp.annotation.x-opt-offset > '510'", "Partitions/1: amqp.annotation.x-opt-offset > '20'",
		} {
			if !strings.Contains(all, want) {
				return fmt.Errorf("%s lacks %s", all, want)
			}
		}
		return nil
	})
}

func TestHubsThatCannotBeRead(t *testing.T) {
	a := newAzured(t)
	r := newRig(t)
	good := v1alpha1.AzureEventsHubEventSource{
		FQDN: "amqp://" + a.address, HubName: "hub", SharedAccessKeyName: ref("user"), SharedAccessKey: ref("password"),
	}
	answers := map[string]*amqp1.Message{
		"refused": {
			ApplicationProperties: map[string]any{"status-code": int32(404), "status-description": "no hub"},
			Value:                 "none",
		},
		"no answer": {ApplicationProperties: map[string]any{"status-code": int32(200)}, Value: "none"},
		"no partitions": {
			ApplicationProperties: map[string]any{"status-code": int32(200)},
			Value:                 map[string]any{"name": "hub"},
		},
	}
	for name, answer := range answers {
		a.answering(func(*amqp1.Message) *amqp1.Message { return answer })
		if err := eventsHub(good).Run(t.Context(), r.env, r.emit); err == nil ||
			name == "refused" && !strings.Contains(err.Error(), "no hub") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, c := range map[string]v1alpha1.AzureEventsHubEventSource{
		"no keys":   {FQDN: good.FQDN, HubName: "hub"},
		"wrong key": {FQDN: good.FQDN, HubName: "hub", SharedAccessKeyName: ref("user"), SharedAccessKey: ref("bus")},
		"no secret": {FQDN: good.FQDN, HubName: "hub", SharedAccessKeyName: ref("user"), SharedAccessKey: ref("empty")},
		"nobody": {
			FQDN: "127.0.0.1:1", HubName: "hub", SharedAccessKeyName: ref("user"), SharedAccessKey: ref("password"),
		},
	} {
		if err := eventsHub(c).Run(t.Context(), r.env, r.emit); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestServiceBusAndHubsAreReadByTheIdentityOfTheService(t *testing.T) {
	for name, environment := range map[string]func(*entratest.Services){
		"web identity": (*entratest.Services).WebIdentity, "machine": func(*entratest.Services) {},
	} {
		t.Run(name, func(t *testing.T) {
			services := entratest.Start(t)
			environment(services)
			a, rig := newSecureAzured(t, entratest.Token)
			rig.entra = func() (azcore.TokenCredential, error) { return entra.Credential(services.Client()) }
			a.put("orders", order("m1", "text", 7))
			r := newRig(t)
			r.env.azure, r.env.Own = rig, identity.For("ns")
			stop := r.start(
				serviceBus(
					v1alpha1.AzureServiceBusEventSource{
						QueueName: "orders", FullyQualifiedNamespace: "acme.servicebus.windows.net",
					},
				),
			)
			if e := r.next(); e.get("messageID") != "m1" ||
				!strings.HasPrefix(services.Asked(), name+" for https://servicebus.azure.net") {
				t.Errorf("%+v; asked %q", e, services.Asked())
			}
			a.told("accepted:m1")
			_ = stop()
			a, rig = newSecureAzured(t, entratest.Token)
			rig.entra = func() (azcore.TokenCredential, error) { return entra.Credential(services.Client()) }
			a.keep = true
			a.answering(func(q *amqp1.Message) *amqp1.Message {
				if q.ApplicationProperties["security_token"] != entratest.Token {
					t.Errorf("asked %v", q.ApplicationProperties)
				}
				q.ApplicationProperties["security_token"] = "SharedAccessSignature sr="
				return managed(t)(q)
			})
			event := order("e1", "text", 4)
			event.Annotations["x-opt-offset"] = "510"
			a.put("hub/ConsumerGroups/$Default/Partitions/0", event)
			r.env.azure, r.env.Event = rig, "hub"
			r.start(eventsHub(v1alpha1.AzureEventsHubEventSource{FQDN: "acme.servicebus.windows.net", HubName: "hub"}))
			if e := r.next(); e.get("id") != "e1" {
				t.Errorf("%+v", e)
			}
		})
	}
}

// The SDK takes some properties for text without looking: a message that has others must not end the process.
func TestAMessageThatTheSDKCannotReadEndsItsReaderOnly(t *testing.T) {
	a := newAzured(t)
	secretData["bus"] = a.connection()
	odd := order("m1", "text", 7)
	odd.ApplicationProperties = map[string]any{"DeadLetterReason": int32(1)}
	a.put("orders", odd)
	r := newRig(t)
	err := serviceBus(v1alpha1.AzureServiceBusEventSource{QueueName: "orders", ConnectionString: ref("bus")}).Run(
		t.Context(), r.env, r.emit,
	)
	if err == nil || !strings.Contains(err.Error(), "cannot read a message") {
		t.Errorf("%v", err)
	}
}

func FuzzAzureAddress(f *testing.F) {
	f.Add("Endpoint=sb://h:1/;SharedAccessKeyName=n;SharedAccessKey=k=;UseDevelopmentEmulator=true")
	f.Add("endpoint = sb://h;=;;Endpoint")
	f.Fuzz(func(t *testing.T, text string) {
		at, err := azureAddress(text)
		if host := strings.TrimPrefix(strings.TrimPrefix(at, "amqps://"), "amqp://"); (err == nil) != (host != "") {
			t.Errorf("%q, %v", at, err)
		}
	})
}
