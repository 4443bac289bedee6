package pull

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/bus/bustest"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// publishNATS stores an event, which is a message on a subject of its stream.
func publishNATS(t *testing.T, b *bus.Bus, id string) {
	t.Helper()
	e, err := bus.NewEvent(id, "s", "t", map[string]string{"id": id})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Publish(t.Context(), "events.a.b.c", e); err != nil {
		t.Fatal(err)
	}
}

func TestNATS(t *testing.T) {
	server := bustest.Start(t)
	b := server.Connect("sender")
	for _, queue := range []string{"", "q"} {
		r := newRig(t)
		r.start(
			natsSubject(
				v1alpha1.NATSEventsSource{
					URL: server.URL(), Subject: "events.>", Queue: queue, JSONBody: true,
					Metadata: map[string]string{"k": "v"},
				},
			),
		)
		publishNATS(t, b, "1"+queue)
		if e := r.next(); e.get("subject") != "events.a.b.c" || e.get("body.id") != "1"+queue ||
			e.get("header.ce-id.0") != "1"+queue ||
			e.get("metadata.k") != "v" {
			t.Errorf("%+v", e)
		}
	}
	r := newRig(t)
	if err := natsSubject(
		v1alpha1.NATSEventsSource{URL: server.URL(), Subject: "x", Auth: &v1alpha1.NATSAuth{Nkey: ref("user")}},
	).Run(t.Context(), r.env, r.emit); err == nil {
		t.Error("a key that is none")
	}
	if err := natsSubject(v1alpha1.NATSEventsSource{URL: "nats://127.0.0.1:1", Subject: "x"}).Run(
		t.Context(), r.env, r.emit,
	); err == nil {
		t.Error("no server")
	}
}

func TestJetStreamGoesOnWhereItStopped(t *testing.T) {
	server := bustest.Start(t)
	b := server.Connect("sender")
	publishNATS(t, b, "1")
	r := newRig(t)
	c := v1alpha1.JetStreamEventSource{
		URL: server.URL(), Stream: bus.Events, Subjects: []string{"events.a.>"}, Oldest: true, JSONBody: true,
	}
	stop := r.start(jetStream(c))
	first := r.next()
	if first.get("body.id") != "1" || first.get("sequence") != "1" || first.id == "" {
		t.Errorf("%+v", first)
	}
	_ = stop() // it may have been about to acknowledge
	publishNATS(t, b, "2")
	r.refuse = func(told) bool { return true }
	// Longer than the server waits for an acknowledgement that was cut off.
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	if err := jetStream(c).Run(ctx, r.env, r.emit); !errors.Is(err, context.Canceled) {
		t.Errorf("an event that is not durable: %v", err)
	}
	c.Stream = "NONE"
	if err := jetStream(c).Run(ctx, r.env, r.emit); err == nil {
		t.Error("a stream that is not there")
	}
}

// brokers are those of a real cluster when KAFKA_BROKERS names them, else of one in
// this process.
func brokers(t *testing.T, topic string) string {
	t.Helper()
	if given := os.Getenv("KAFKA_BROKERS"); given != "" {
		return given
	}
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, topic))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return strings.Join(cluster.ListenAddrs(), ",")
}

func TestKafkaGoesOnWhereItStopped(t *testing.T) {
	topic := "argosy-" + Key(time.Now())
	url := brokers(t, topic)
	producer, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(url, ",")...), kgo.AllowAutoTopicCreation(),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
	)
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	put := func(text string) {
		t.Helper()
		r := &kgo.Record{
			Topic: topic, Key: []byte("k"), Value: []byte(text),
			Headers: []kgo.RecordHeader{{Key: "h", Value: []byte("v")}},
		}
		if err := producer.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	put(`{"n":1}`)
	for name, c := range map[string]v1alpha1.KafkaEventSource{
		"group": {
			ConsumerGroup: &v1alpha1.KafkaConsumerGroup{GroupName: "g", Oldest: true, RebalanceStrategy: "sticky"},
		},
		"partition": {Partition: "0"},
	} {
		c.URL, c.Topic, c.JSONBody = url, topic, true
		r := newRig(t)
		if name == "partition" {
			if err := r.env.Positions.Save(t.Context(), r.env.Name(), []byte(`{"0":0}`)); err != nil {
				t.Fatal(err)
			}
		}
		stop := r.start(kafkaTopic(c))
		first := r.next()
		if first.get("body.n") != "1" || first.get("headers.h") != "v" || first.get("key") != "k" ||
			first.get("topic") != topic ||
			first.id == "" {
			t.Errorf("%s: %+v", name, first)
		}
		for len(r.events) > 0 {
			<-r.events
		}
		_ = stop() // it may have been about to commit
		put(`{"n":2}`)
		r.refuse = func(e told) bool { return e.get("body.n") == "2" }
		ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
		if err := kafkaTopic(c).Run(ctx, r.env, r.emit); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: an event that is not durable: %v", name, err)
		}
		cancel()
		for len(r.events) > 0 {
			<-r.events
		}
		r.refuse = nil
		r.start(kafkaTopic(c))
		// The commit of the first may have been cut off with its reader: then it comes again, under its id.
		e := r.next()
		for e.id == first.id {
			e = r.next()
		}
		if e.get("body.n") != "2" {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

func TestKafkaSaysWhatItCannotDo(t *testing.T) {
	r := newRig(t)
	for name, c := range map[string]v1alpha1.KafkaEventSource{
		"no position": {}, "partition": {Partition: "x"},
		"schemas":   {Partition: "0", SchemaRegistry: &v1alpha1.SchemaRegistryConfig{}},
		"mechanism": {Partition: "0", SASL: &v1alpha1.SASLConfig{Mechanism: "GSSAPI"}},
		"no secret": {Partition: "0", SASL: &v1alpha1.SASLConfig{UserSecret: ref("empty")}},
	} {
		c.URL, c.Topic = "127.0.0.1:1", "t"
		if err := kafkaTopic(c).Run(t.Context(), r.env, r.emit); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for _, name := range []string{"PLAIN", "scram-sha-256", "SCRAM-SHA-512"} {
		if _, err := kafkaSASL(
			t.Context(), r.env,
			&v1alpha1.SASLConfig{Mechanism: name, UserSecret: ref("user"), PasswordSecret: ref("password")},
		); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestBucketSpeaksTheProtocolOfMinIO is against what MinIO sends, not MinIO.
func TestBucketSpeaksTheProtocolOfMinIO(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodHead || r.URL.Query().Has("location"):
			w.WriteHeader(http.StatusOK)
		case r.URL.Query().Get("prefix") == "in/" && r.URL.Query().Get("events") == "s3:ObjectCreated:*":
			_, _ = w.Write(
				[]byte(
					`{"Records":[{"eventName":"s3:ObjectCreated:Put","s3":{"bucket":{"name":"b"},"object":{"key":"in/a","sequencer":"17"}}}]}` + "\n",
				),
			)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		default:
			http.Error(w, r.URL.String(), http.StatusBadRequest)
		}
	}))
	defer server.Close()
	r := newRig(t)
	c := v1alpha1.EventS3Artifact{
		Endpoint:  server.URL,
		Insecure:  true,
		Region:    "us-east-1",
		AccessKey: *ref("user"),
		SecretKey: *ref("password"),
		Bucket:    v1alpha1.EventS3Bucket{Name: "b12"},
		Events:    []string{"s3:ObjectCreated:*"},
		Filter:    &v1alpha1.EventS3Filter{Prefix: "in/"},
	}
	stop := r.start(bucket(c))
	if e := r.next(); e.get("notification.0.s3.object.key") != "in/a" || e.id == "" {
		t.Errorf("%+v", e)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	c.AccessKey = *ref("empty")
	if err := bucket(c).Run(t.Context(), r.env, r.emit); err == nil {
		t.Error("no secret, no error")
	}
}
