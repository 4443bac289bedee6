package pull

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// pubSub is the fake server of Google's own library.
func pubSub(t *testing.T) *pstest.Server {
	t.Helper()
	server := pstest.NewServer()
	t.Cleanup(func() { _ = server.Close() })
	t.Setenv("PUBSUB_EMULATOR_HOST", server.Addr)
	return server
}

func acknowledged(server *pstest.Server, id string) error {
	if m := server.Message(id); m == nil || m.Acks == 0 {
		return fmt.Errorf("message %s is not acknowledged", id)
	}
	return nil
}

func TestAPubSubMessageIsAcknowledgedWhenItIsDurable(t *testing.T) {
	server := pubSub(t)
	r := newRig(t)
	c := v1alpha1.PubSubEventSource{
		ProjectID: "p", Topic: "orders", SubscriptionID: "sub", JSONBody: true, Metadata: map[string]string{"k": "v"},
	}
	stop := r.start(pubSubTopic(c)) // makes topic and subscription
	one := server.Publish("projects/p/topics/orders", []byte(`{"n":1}`), map[string]string{"a": "b"})
	first := r.next()
	if first.get("id") != one || first.get("body.n") != "1" || first.get("attributes.a") != "b" ||
		first.get("metadata.k") != "v" ||
		first.get("publishTime") == "" ||
		first.id == "" {
		t.Errorf("%+v", first)
	}
	eventually(t, "acknowledge", func() error { return acknowledged(server, one) })
	if err := stop(); err != nil {
		t.Error(err)
	}
	two := server.Publish("projects/p/topics/orders", []byte("text"), nil)
	var seen told
	r.refuse = func(e told) bool { seen = e; return true }
	if err := pubSubTopic(c).Run(t.Context(), r.env, r.emit); err == nil || acknowledged(server, two) == nil {
		t.Errorf("%v: what is not durable was acknowledged", err)
	}
	r.refuse = nil
	c.Topic = "" // the subscription is there
	r.start(pubSubTopic(c))
	if again := r.next(); again.get("body") != "text" || again.id != seen.id || again.id == first.id {
		t.Errorf("%+v, before %+v: the same message has the same id", again, seen)
	}
	eventually(t, "acknowledge", func() error { return acknowledged(server, two) })
	r.quiet()
}

func TestPubSubSubscriptions(t *testing.T) {
	server := pubSub(t)
	if _, err := server.GServer.CreateTopic(
		t.Context(), &pubsubpb.Topic{Name: "projects/other/topics/there"},
	); err != nil {
		t.Fatal(err)
	}
	r := newRig(t)
	c := v1alpha1.PubSubEventSource{
		ProjectID: "p", TopicProjectID: "other", Topic: "there", DeleteSubscriptionOnFinish: true,
	}
	stop := r.start(pubSubTopic(c)) // with a name of its own
	id := server.Publish("projects/other/topics/there", []byte("x"), nil)
	if e := r.next(); e.get("id") != id || e.get("body") != "eA==" {
		t.Errorf("%+v", e)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	list := func() []*pubsubpb.Subscription {
		t.Helper()
		out, err := server.GServer.ListSubscriptions(
			t.Context(), &pubsubpb.ListSubscriptionsRequest{Project: "projects/p"},
		)
		if err != nil {
			t.Fatal(err)
		}
		return out.GetSubscriptions()
	}
	made := list()
	if len(made) != 1 || made[0].GetTopic() != "projects/other/topics/there" {
		t.Fatalf("%v", made)
	}
	wrong := v1alpha1.PubSubEventSource{
		ProjectID:      "p",
		Topic:          "other",
		SubscriptionID: made[0].GetName()[strings.LastIndex(made[0].GetName(), "/")+1:],
	}
	if err := pubSubTopic(wrong).Run(t.Context(), r.env, r.emit); err == nil ||
		!strings.Contains(err.Error(), "belongs to topic") {
		t.Errorf("the subscription of another topic: %v", err)
	}
	for range 2 { // it may have been interrupted after the first
		if err := pubSubTopic(c).Finish(t.Context(), r.env); err != nil {
			t.Error(err)
		}
	}
	if left := list(); len(left) != 0 {
		t.Errorf("%v is left", left)
	}
	c.DeleteSubscriptionOnFinish = false
	if pubSubTopic(c).Finish != nil {
		t.Error("nobody asked to remove the subscription")
	}
	if err := pubSubTopic(v1alpha1.PubSubEventSource{ProjectID: "p", SubscriptionID: "none"}).Run(
		t.Context(), r.env, r.emit,
	); err == nil ||
		!strings.Contains(err.Error(), "no topic is given") {
		t.Errorf("nothing to read: %v", err)
	}
	if err := pubSubTopic(v1alpha1.PubSubEventSource{Topic: "t"}).Run(t.Context(), r.env, r.emit); err == nil {
		t.Error("no project, no error")
	}
}

func TestPubSubCredentials(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	account, err := json.Marshal(map[string]string{
		"type":         "service_account",
		"project_id":   "mine",
		"client_email": "a@b",
		"token_uri":    "http://127.0.0.1:1",
		"private_key": string(
			pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}),
		),
	})
	if err != nil {
		t.Fatal(err)
	}
	secretData["account"] = string(account)
	secretData["federated"] = `{"type":"external_account","audience":"x"}`
	r := newRig(t)
	s, err := dialPubSub(
		t.Context(), r.env, v1alpha1.PubSubEventSource{CredentialSecret: ref("account"), SubscriptionID: "s"},
	)
	if err != nil || s.name != "projects/mine/subscriptions/s" || s.conn.Target() != pubSubAddress {
		t.Fatalf("%+v, %v", s, err)
	}
	_ = s.conn.Close()
	for _, name := range []string{"federated", "user", "empty"} {
		_, err := dialPubSub(
			t.Context(), r.env, v1alpha1.PubSubEventSource{CredentialSecret: ref(name), ProjectID: "p"},
		)
		if err == nil || strings.Contains(err.Error(), "guest") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// sought notes where a subscription was sent back to: the fake cannot replay.
type sought struct{ to chan time.Time }

// React answers a call.
func (s sought) React(request any) (handled bool, answer any, err error) {
	s.to <- request.(*pubsubpb.SeekRequest).GetTime().AsTime()
	return true, &pubsubpb.SeekResponse{}, nil
}

func TestAPubSubSubscriptionThatIsGoneGoesBackAndSaysSo(t *testing.T) {
	back := sought{make(chan time.Time, 1)}
	server := pstest.NewServer(pstest.ServerReactorOption{FuncName: "Seek", Reactor: back})
	t.Cleanup(func() { _ = server.Close() })
	t.Setenv("PUBSUB_EMULATOR_HOST", server.Addr)
	r := newRig(t)
	notes := make(chan string, 10)
	r.env.Note = func(text string) { notes <- text }
	c := v1alpha1.PubSubEventSource{
		ProjectID: "p", Topic: "orders", SubscriptionID: "gone", DeleteSubscriptionOnFinish: true,
	}
	began := time.Now()
	stop := r.start(pubSubTopic(c))
	_ = stop()
	if err := pubSubTopic(c).Finish(t.Context(), r.env); err != nil {
		t.Fatal(err)
	}
	r.start(pubSubTopic(c))
	if text := <-notes; !strings.Contains(text, "was gone") {
		t.Error(text)
	}
	if to := <-back.to; to.Before(began.Add(-time.Second)) {
		t.Errorf("it went back to %s, before it was ever read", to)
	}
}
