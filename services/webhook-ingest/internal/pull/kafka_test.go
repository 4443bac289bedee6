package pull

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestTheViewOfKafka(t *testing.T) {
	c := v1alpha1.KafkaEventSource{JSONBody: true}
	view := func(r *kgo.Record) told {
		text, err := json.Marshal(kafkaView(c, r))
		if err != nil {
			t.Fatal(err)
		}
		return told{data: string(text)}
	}
	if e := view(&kgo.Record{Key: []byte("a")}); !strings.Contains(e.data, `"body":null`) || e.get("key") != "a" ||
		strings.Contains(e.data, "Encoding") {
		t.Errorf("a tombstone: %s", e.data)
	}
	e := view(
		&kgo.Record{
			Key:     []byte{0xff, 0},
			Value:   []byte(`{}`),
			Headers: []kgo.RecordHeader{{Key: "t", Value: []byte("v")}, {Key: "b", Value: []byte{0xff}}},
		},
	)
	if e.get("key") != "/wA=" || e.get("keyEncoding") != "base64" || e.get("headers.t") != "v" ||
		e.get("headers.b") != "/w==" ||
		e.get("headersEncoding.b") != "base64" ||
		e.get("headersEncoding.t") != "" {
		t.Errorf("%s", e.data)
	}
}

func kafkaAdmin(t *testing.T, url string, options ...kgo.Opt) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(
		append(options, kgo.SeedBrokers(strings.Split(url, ",")...), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func remake(t *testing.T, client *kgo.Client, topic string) {
	t.Helper()
	away := kmsg.NewPtrDeleteTopicsRequest()
	away.TopicNames = []string{topic}
	one := kmsg.NewDeleteTopicsRequestTopic()
	one.Topic = &topic
	away.Topics = append(away.Topics, one)
	if _, err := away.RequestWith(t.Context(), client); err != nil {
		t.Fatal(err)
	}
	again := kmsg.NewPtrCreateTopicsRequest()
	made := kmsg.NewCreateTopicsRequestTopic()
	made.Topic, made.NumPartitions, made.ReplicationFactor = topic, 2, 1
	again.Topics = append(again.Topics, made)
	if _, err := again.RequestWith(t.Context(), client); err != nil {
		t.Fatal(err)
	}
	client.PurgeTopicsFromClient(topic)
}

func TestATopicThatIsMadeAgainIsReadFromItsBeginning(t *testing.T) {
	topic := "argosy-remade-" + Key(time.Now())
	url := brokers(t, topic)
	admin := kafkaAdmin(t, url)
	put := func(text string) {
		t.Helper()
		if err := admin.ProduceSync(
			t.Context(), &kgo.Record{Topic: topic, Value: []byte(text)},
		).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]v1alpha1.KafkaEventSource{
		"partition": {Partition: "0"}, "group": {ConsumerGroup: &v1alpha1.KafkaConsumerGroup{GroupName: "g"}},
	} {
		c.URL, c.Topic, c.JSONBody = url, topic, true
		r := newRig(t)
		notes := make(chan string, 10)
		r.env.Note = func(text string) { notes <- text }
		stop := r.start(kafkaTopic(c))
		put(`"` + name + ` 1"`)
		put(`"` + name + ` 2"`)
		first, second := r.next(), r.next()
		if err := stop(); err != nil {
			t.Error(err)
		}
		remake(t, admin, topic)
		put(`"` + name + ` 3"`) // the new topic is longer than the old one was read
		put(`"` + name + ` 4"`)
		put(`"` + name + ` 5"`)
		stop = r.start(kafkaTopic(c))
		third, fourth, fifth := r.next(), r.next(), r.next()
		if third.get("body") != name+" 3" || fifth.get("body") != name+" 5" || third.id == first.id ||
			fourth.id == second.id {
			t.Errorf("%s: %+v, %+v, %+v", name, third, fourth, fifth)
		}
		select {
		case text := <-notes:
			if !strings.Contains(text, "made again") {
				t.Errorf("%s: %s", name, text)
			}
		default:
			t.Errorf("%s: the status says nothing of it", name)
		}
		r.quiet()
		_ = stop()
		remake(t, admin, topic)
	}
}

func TestAGroupThatWasAskedToReadLosesNothingBeforeItsFirstEvent(t *testing.T) {
	topic := "argosy-first-" + Key(time.Now())
	url := brokers(t, topic)
	admin := kafkaAdmin(t, url)
	put := func(text string) {
		t.Helper()
		if err := admin.ProduceSync(
			t.Context(), &kgo.Record{Topic: topic, Value: []byte(text)},
		).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	put(`"before"`)
	for name, c := range map[string]v1alpha1.KafkaEventSource{
		"partition": {Partition: "0"}, "group": {ConsumerGroup: &v1alpha1.KafkaConsumerGroup{GroupName: "first"}},
	} {
		c.URL, c.Topic, c.JSONBody = url, topic, true
		r := newRig(t)
		_ = r.start(kafkaTopic(c))()
		put(`"while away"`)
		stop := r.start(kafkaTopic(c))
		if e := r.next(); e.get("body") != "while away" {
			t.Errorf("%s: %+v", name, e)
		}
		r.quiet()
		_ = stop()
	}
	r := newRig(t)
	if err := kafkaTopic(v1alpha1.KafkaEventSource{URL: url, Topic: "nowhere", Partition: "0"}).Run(
		t.Context(), r.env, r.emit,
	); err == nil {
		t.Error("a topic that is not there")
	}
}

func TestWhatAKafkaProducerTookBackIsNoEvent(t *testing.T) {
	topic := "argosy-aborted-" + Key(time.Now())
	url := brokers(t, topic)
	r := newRig(t)
	r.start(kafkaTopic(v1alpha1.KafkaEventSource{URL: url, Topic: topic, Partition: "0", JSONBody: true}))
	producer := kafkaAdmin(t, url, kgo.TransactionalID("t"))
	put := func(text string, commit kgo.TransactionEndTry) {
		t.Helper()
		if err := producer.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := producer.ProduceSync(
			t.Context(), &kgo.Record{Topic: topic, Value: []byte(text)},
		).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if err := producer.EndTransaction(t.Context(), commit); err != nil {
			t.Fatal(err)
		}
	}
	put(`"taken back"`, kgo.TryAbort)
	put(`"good"`, kgo.TryCommit)
	if e := r.next(); e.get("body") != "good" {
		t.Errorf("%+v", e)
	}
	r.quiet()
}
