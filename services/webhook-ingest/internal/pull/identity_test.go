package pull

import (
	"encoding/base64"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/identity"
	"github.com/argosy-mesh/argosy/libs/identity/alibaba/alibabatest"
	"github.com/argosy-mesh/argosy/libs/identity/amazon/amazontest"
	"github.com/argosy-mesh/argosy/libs/identity/google/googletest"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

func TestAQueueOfSQSIsReadByTheIdentityOfTheService(t *testing.T) {
	guest := amazontest.Keys{ID: "guest", Secret: "guest", Token: "session"}
	for name, c := range map[string]struct {
		environment func(*amazontest.Services)
		role, asked string
	}{
		"web identity": {(*amazontest.Services).WebIdentity, "", "web identity"},
		"container":    {(*amazontest.Services).Container, "", "container"},
		"machine":      {(*amazontest.Services).Machine, "", "machine"},
		"a role": {
			(*amazontest.Services).WebIdentity, "arn:r", "web identity, role arn:r as argosy by guest session",
		},
	} {
		t.Run(name, func(t *testing.T) {
			services := amazontest.Start(t, guest, guest)
			c.environment(services)
			q := &queue{messages: []map[string]any{{"MessageId": "m1", "ReceiptHandle": "r1", "Body": "text"}}}
			server := httptest.NewServer(q)
			t.Cleanup(server.Close)
			r := newRig(t)
			r.env.Own = identity.For("ns")
			r.start(
				sqsQueue(
					v1alpha1.SQSEventSource{
						Queue: "orders", QueueAccountID: "42", Region: "eu-west-1", Endpoint: server.URL,
						RoleARN: c.role,
					},
				),
			)
			if e := r.next(); e.get("messageId") != "m1" {
				t.Errorf("%+v", e)
			}
			q.mu.Lock()
			defer q.mu.Unlock()
			if q.session != "session" || services.Asked() != c.asked {
				t.Errorf("signed with token %q; asked %q", q.session, services.Asked())
			}
		})
	}
}

// A tenant must not get at what the service may: see docs/identities.md.
func TestOnlyNamedNamespacesReadByTheIdentityOfTheService(t *testing.T) {
	services := amazontest.Start(t, amazontest.Keys{ID: "guest"}, amazontest.Keys{ID: "guest"})
	services.WebIdentity()
	asked := googletest.Start(t)
	r := newRig(t)
	r.env.Own = identity.For("argosy", "ns-2")
	for name, reader := range map[string]Reader{
		"sqs":             sqsQueue(v1alpha1.SQSEventSource{Queue: "q", Region: "eu-west-1"}),
		"sqs with a role": sqsQueue(v1alpha1.SQSEventSource{Queue: "q", Region: "eu-west-1", RoleARN: "arn:r"}),
		"pubSub":          pubSubTopic(v1alpha1.PubSubEventSource{Topic: "t", ProjectID: "p"}),
		"mns":             mnsQueue(v1alpha1.MNSEventSource{Queue: "q", Endpoint: "http://127.0.0.1:1"}),
		"kafka.awsMskIamAuth": kafkaTopic(v1alpha1.KafkaEventSource{
			URL: "127.0.0.1:1", Topic: "t", AWSMSKIAMAuth: &v1alpha1.AWSMSKIAMConfig{Region: "eu-west-1"},
		}),
		"azureServiceBus": serviceBus(v1alpha1.AzureServiceBusEventSource{
			QueueName: "q", FullyQualifiedNamespace: "acme.servicebus.windows.net",
		}),
		"azureEventsHub": eventsHub(v1alpha1.AzureEventsHubEventSource{
			FQDN: "acme.servicebus.windows.net", HubName: "h",
		}),
		"azureQueueStorage": storageQueue(v1alpha1.AzureQueueStorageEventSource{
			QueueName: "q", StorageAccountName: "acme",
		}),
	} {
		err := reader.Run(t.Context(), r.env, r.emit)
		if fault.Of(err) != fault.Poison || !strings.Contains(err.Error(), "--"+identity.Flag) ||
			!strings.Contains(err.Error(), `"ns"`) ||
			!strings.Contains(err.Error(), strings.Fields(name)[0]) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if services.Asked() != "" || asked.Asked() != "" {
		t.Errorf("%q, %q were asked for a tenant", services.Asked(), asked.Asked())
	}
}

func TestPubSubIsReadByTheIdentityOfTheService(t *testing.T) {
	for name, c := range map[string]struct {
		environment func(*googletest.Services)
		asked       string
	}{
		"a machine": {func(*googletest.Services) {}, "machine for " + pubSubScope},
		"federated": {func(s *googletest.Services) { s.Federated(true) }, "federation, as " + googletest.Email},
	} {
		t.Run(name, func(t *testing.T) {
			services := googletest.Start(t)
			c.environment(services)
			r := newRig(t)
			r.env.Own = identity.For("ns")
			account, err := googleAccount(t.Context(), r.env, v1alpha1.PubSubEventSource{})
			if err != nil {
				t.Fatal(err)
			}
			token, err := account.TokenSource.Token()
			if err != nil || token.AccessToken != googletest.Token || services.Asked() != c.asked {
				t.Errorf("%v, %v; asked %q", token, err, services.Asked())
			}
		})
	}
}

func TestMSKGetsASignedRequestAsToken(t *testing.T) {
	services := amazontest.Start(t, amazontest.Keys{ID: "POD", Secret: "secret", Token: "session"}, amazontest.Keys{})
	services.Container()
	r := newRig(t)
	r.env.Own = identity.For("ns")
	mechanism, err := kafkaIAM(t.Context(), r.env, "eu-west-1")
	if err != nil {
		t.Fatal(err)
	}
	_, first, err := mechanism.Authenticate(t.Context(), "b-1.example.com:9098")
	if err != nil || mechanism.Name() != "OAUTHBEARER" {
		t.Fatal(mechanism.Name(), err)
	}
	_, token, _ := strings.Cut(string(first), "auth=Bearer ")
	text, err := base64.RawURLEncoding.DecodeString(strings.Trim(token, "\x01"))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := url.Parse(string(text))
	if err != nil {
		t.Fatal(err)
	}
	q := signed.Query()
	if signed.Host != "kafka.eu-west-1.amazonaws.com" || q.Get("Action") != "kafka-cluster:Connect" ||
		!strings.HasPrefix(q.Get("X-Amz-Credential"), "POD/") ||
		q.Get("X-Amz-Security-Token") != "session" ||
		len(q.Get("X-Amz-Signature")) != 64 ||
		services.Asked() != "container" {
		t.Errorf("%s; asked %q", signed, services.Asked())
	}
	if _, err := kafkaServer(
		t.Context(), r.env,
		v1alpha1.KafkaEventSource{AWSMSKIAMAuth: &v1alpha1.AWSMSKIAMConfig{Region: "r"}, SASL: &v1alpha1.SASLConfig{}},
	); err == nil {
		t.Error("two ways to be let in")
	}
	if _, err := kafkaIAM(t.Context(), r.env, ""); err == nil {
		t.Error("no region")
	}
}

func TestMNSIsReadByTheIdentityOfTheService(t *testing.T) {
	for want, environment := range map[string]func(*alibabatest.Services){
		"web identity": (*alibabatest.Services).WebIdentity, "machine": func(*alibabatest.Services) {},
	} {
		t.Run(want, func(t *testing.T) {
			m := &mnsd{token: "session"}
			server := httptest.NewServer(m)
			t.Cleanup(server.Close)
			services := alibabatest.Start(t, "guest", "guest", "session")
			environment(services)
			r := newRig(t)
			r.env.Own = identity.For("ns")
			reader := mnsQueue(v1alpha1.MNSEventSource{Queue: "orders", Endpoint: server.URL})
			r.start(reader)
			if e := r.next(); e.get("messageId") != "m1" || services.Asked() != want {
				t.Errorf("%+v; asked %q", e, services.Asked())
			}
		})
	}
}
