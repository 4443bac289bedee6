package pull

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	mqtt "github.com/eclipse/paho.mqtt.golang"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestBodies(t *testing.T) {
	for name, c := range map[string]struct {
		asJSON bool
		raw    []byte
		want   string
	}{
		"JSON":                 {true, []byte(`{"a":1.50}`), `{"body":{"a":1.50}}`},
		"JSON with a mark":     {true, []byte("\ufeff{\"order\":1}"), `{"body":{"order":1}}`},
		"text":                 {true, []byte("hello"), `{"body":"hello"}`},
		"text with a mark":     {true, []byte("\ufeffhello"), `{"body":"hello"}`},
		"bytes":                {true, []byte("\xff\x00"), `{"body":"/wA=","bodyEncoding":"base64"}`},
		"bytes in JSON":        {true, []byte("\"\xff\""), `{"body":"Iv8i","bodyEncoding":"base64"}`},
		"nothing":              {true, nil, `{"body":null}`},
		"empty":                {true, []byte{}, `{"body":null}`},
		"a mark alone":         {true, []byte("\ufeff"), `{"body":null}`},
		"base64":               {false, []byte("hello"), `{"body":"aGVsbG8="}`},
		"nothing in base64":    {false, nil, `{"body":null}`},
		"empty in base64":      {false, []byte{}, `{"body":""}`},
		"numbers keep digits":  {true, []byte(`12345678901234567890`), `{"body":12345678901234567890}`},
		"null":                 {true, []byte(`null`), `{"body":null}`},
		"a body with two ends": {true, []byte(`{}{}`), `{"body":"{}{}"}`},
	} {
		text, err := json.Marshal(content(c.asJSON, c.raw))
		if err != nil || string(text) != c.want {
			t.Errorf("%s: %s, %v, want %s", name, text, err, c.want)
		}
	}
	for name, c := range map[string]struct {
		asJSON    bool
		raw, want string
	}{
		"text": {false, "hello", `{"body":"hello"}`}, "JSON as text": {false, `{"a":1}`, `{"body":"{\"a\":1}"}`}, "JSON": {true, `{"a":1}`, `{"body":{"a":1}}`},
		"empty": {false, "", `{"body":""}`}, "bytes": {false, "\xff", `{"body":"/w==","bodyEncoding":"base64"}`},
	} {
		if text, err := json.Marshal(textContent(c.asJSON, []byte(c.raw))); err != nil || string(text) != c.want {
			t.Errorf("%s: %s, %v, want %s", name, text, err, c.want)
		}
	}
}

func FuzzContent(f *testing.F) {
	f.Add(true, []byte(`{"a":1}`))
	f.Add(true, []byte("\xff\xfe{\x00}\x00"))
	f.Fuzz(func(t *testing.T, asJSON bool, raw []byte) {
		if text, err := json.Marshal(content(asJSON, raw)); err != nil || !json.Valid(text) {
			t.Errorf("%q: %s, %v", raw, text, err)
		}
	})
}

// Case 21, and keys and headers that are no text.
func TestTheViewOfKafka(t *testing.T) {
	c := v1alpha1.KafkaEventSource{JSONBody: true}
	view := func(r *kgo.Record) told {
		text, err := json.Marshal(kafkaView(c, r))
		if err != nil {
			t.Fatal(err)
		}
		return told{data: string(text)}
	}
	if e := view(&kgo.Record{Key: []byte("a")}); !strings.Contains(e.data, `"body":null`) || e.get("key") != "a" || strings.Contains(e.data, "Encoding") {
		t.Errorf("a tombstone: %s", e.data)
	}
	e := view(&kgo.Record{Key: []byte{0xff, 0}, Value: []byte(`{}`), Headers: []kgo.RecordHeader{{Key: "t", Value: []byte("v")}, {Key: "b", Value: []byte{0xff}}}})
	if e.get("key") != "/wA=" || e.get("keyEncoding") != "base64" || e.get("headers.t") != "v" || e.get("headers.b") != "/w==" || e.get("headersEncoding.b") != "base64" || e.get("headersEncoding.t") != "" {
		t.Errorf("%s", e.data)
	}
}

// kafka is a producer, and what makes and deletes topics.
func kafkaAdmin(t *testing.T, url string, options ...kgo.Opt) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(append(options, kgo.SeedBrokers(strings.Split(url, ",")...), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
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
		if err := admin.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte(text)}).FirstErr(); err != nil {
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
		if third.get("body") != name+" 3" || fifth.get("body") != name+" 5" || third.id == first.id || fourth.id == second.id {
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
		if err := admin.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte(text)}).FirstErr(); err != nil {
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
	if err := kafkaTopic(v1alpha1.KafkaEventSource{URL: url, Topic: "nowhere", Partition: "0"}).Run(t.Context(), r.env, r.emit); err == nil {
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
		if err := producer.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte(text)}).FirstErr(); err != nil {
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

func TestTextOfRedisIsText(t *testing.T) {
	address, client := redisd(t)
	r := newRig(t)
	r.start(redisChannels(v1alpha1.RedisEventSource{HostAddress: address, Password: ref("password"), Channels: []string{"orders[eu]", "a*"}}))
	for _, m := range [][2]string{{"orderse", "no"}, {"ab", "no"}, {"orders[eu]", "hello"}, {"a*", "\xff"}} {
		if err := client.Publish(t.Context(), m[0], m[1]).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if e := r.next(); e.get("channel") != "orders[eu]" || e.get("body") != "hello" || e.get("pattern") != "" {
		t.Errorf("%+v", e)
	}
	if e := r.next(); e.get("channel") != "a*" || e.get("body") != "/w==" || e.get("bodyEncoding") != "base64" {
		t.Errorf("%+v", e)
	}
	r.quiet()
	if err := redisChannels(v1alpha1.RedisEventSource{HostAddress: address, Password: ref("password")}).Run(t.Context(), r.env, r.emit); err == nil {
		t.Error("nothing is asked for")
	}
}

// Case 17: redis-server that does not know XAUTOCLAIM behaves as 6.0 does to the source.
func TestStreamsOfAnOlderRedis(t *testing.T) {
	p := port(t)
	program(t, "redis-server", "--port", p, "--bind", "127.0.0.1", "--save", "", "--requirepass", "guest", "--rename-command", "XAUTOCLAIM", "")
	address := "127.0.0.1:" + p
	answering(t, address)
	client := redis.NewClient(&redis.Options{Addr: address, Password: "guest"})
	t.Cleanup(func() { _ = client.Close() })
	streamsAreReadAndTakenOver(t, address, client)
}

func streamsAreReadAndTakenOver(t *testing.T, address string, client *redis.Client) {
	t.Helper()
	r := newRig(t)
	c := v1alpha1.RedisStreamEventSource{HostAddress: address, Password: ref("password"), Streams: []string{"old"}}
	stop := r.start(redisStreams(c))
	add := func(values map[string]any) string {
		t.Helper()
		id, err := client.XAdd(t.Context(), &redis.XAddArgs{Stream: "old", Values: values}).Result()
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	add(map[string]any{"k": "\xff", "t": "text"})
	if e := r.next(); e.get("values.k") != "/w==" || e.get("valuesEncoding.k") != "base64" || e.get("values.t") != "text" || e.get("valuesEncoding.t") != "" {
		t.Errorf("%+v", e)
	}
	_ = stop()
	// What another consumer holds for long is taken over; what is gone from the stream is not told.
	var ids []string
	for i := range 3 {
		ids = append(ids, add(map[string]any{"n": i}))
	}
	if _, err := client.XReadGroup(t.Context(), &redis.XReadGroupArgs{Group: defaultGroup, Consumer: "dead", Streams: []string{"old", ">"}}).Result(); err != nil {
		t.Fatal(err)
	}
	if err := client.Do(t.Context(), "XCLAIM", "old", defaultGroup, "dead", "0", ids[0], ids[1], ids[2], "IDLE", "60000").Err(); err != nil {
		t.Fatal(err)
	}
	if err := client.XDel(t.Context(), "old", ids[1]).Err(); err != nil {
		t.Fatal(err)
	}
	r.start(redisStreams(c))
	if a, b := r.next(), r.next(); a.get("values.n") != "0" || b.get("values.n") != "2" {
		t.Errorf("%+v, %+v", a, b)
	}
	r.quiet()
	eventually(t, "acknowledge", func() error {
		left, err := client.XPending(t.Context(), "old", defaultGroup).Result()
		if err == nil && left.Count != 0 {
			err = fmt.Errorf("%d are held", left.Count)
		}
		return err
	})
}

func TestARedisGroupThatIsGoneGoesOnWhereItWas(t *testing.T) {
	address, client := redisd(t)
	for name, lose := range map[string]func(stream string) error{
		"the group":  func(stream string) error { return client.XGroupDestroy(t.Context(), stream, defaultGroup).Err() },
		"the stream": func(stream string) error { return client.Del(t.Context(), stream).Err() },
	} {
		stream := "lost " + name
		r := newRig(t)
		notes := make(chan string, 10)
		r.env.Note = func(text string) { notes <- text }
		c := v1alpha1.RedisStreamEventSource{HostAddress: address, Password: ref("password"), Streams: []string{stream}}
		add := func(id, value string) {
			t.Helper()
			if err := client.XAdd(t.Context(), &redis.XAddArgs{Stream: stream, ID: id, Values: map[string]any{"k": value}}).Err(); err != nil {
				t.Fatal(err)
			}
		}
		add("5-0", "before it was read")
		stop := r.start(redisStreams(c))
		add("6-0", "1")
		first := r.next()
		_ = stop()
		if err := lose(stream); err != nil {
			t.Fatal(err)
		}
		if name == "the stream" {
			add("1-0", "2") // ids of the sender's own, lower than those before
			add("6-0", "3") // and one that was there before
		} else {
			add("7-0", "2")
			add("8-0", "3")
		}
		stop = r.start(redisStreams(c))
		second, third := r.next(), r.next()
		if first.get("values.k") != "1" || second.get("values.k") != "2" || third.get("values.k") != "3" || third.id == first.id {
			t.Errorf("%s: %+v, %+v, %+v", name, first, second, third)
		}
		if len(notes) != 1 {
			t.Errorf("%s: %d notes", name, len(notes))
		}
		r.quiet()
		_ = stop()
	}
}

func TestStreamIDs(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{{"1-0", "0-0", true}, {"1-2", "1-1", true}, {"1-1", "1-1", false}, {"2-0", "10-0", false}, {"18446744073709551615-1", "5-0", true}, {"x", "0-0", false}} {
		if newerID(c.a, c.b) != c.want {
			t.Errorf("%s after %s", c.a, c.b)
		}
	}
}

func TestMQTTTakesWhateverWaits(t *testing.T) {
	url := mqttBroker(t)
	r := newRig(t)
	c := v1alpha1.MQTTEventSource{URL: url, Topic: "a/+", ClientID: "argosy", JSONBody: true}
	_ = r.start(mqttTopic(c))()
	client := mqtt.NewClient(mqtt.NewClientOptions().AddBroker(url).SetClientID("sender"))
	if err := settled(client.Connect()); err != nil {
		t.Fatal(err)
	}
	defer client.Disconnect(100)
	for i := range 200 {
		if err := settled(client.Publish("a/b", 1, false, fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	r.start(mqttTopic(c))
	for i := range 200 {
		if e := r.next(); e.get("body") != fmt.Sprint(i) {
			t.Fatalf("message %d is %+v", i, e)
		}
	}
}

func TestALostSessionIsSaid(t *testing.T) {
	r := newRig(t)
	var notes []string
	r.env.Note = func(text string) { notes = append(notes, text) }
	c := v1alpha1.MQTTEventSource{URL: mqttBroker(t), Topic: "a", ClientID: "argosy"}
	for range 2 {
		_ = r.start(mqttTopic(c))()
	}
	if len(notes) != 0 {
		t.Errorf("%v", notes)
	}
	c.URL = mqttBroker(t) // as one that forgot everything
	_ = r.start(mqttTopic(c))()
	if len(notes) != 1 || !strings.Contains(notes[0], "kept no session") {
		t.Errorf("%v", notes)
	}
}

func TestABacklogIsBoundedOnlyLater(t *testing.T) {
	b := newBacklog()
	for range 10 * prefetch {
		b.push(nil) // does not wait: the answer to the subscription is behind it
	}
	b.bound()
	done := make(chan struct{})
	go func() { b.push(nil); close(done) }()
	for range 10*prefetch - prefetch + 1 {
		if _, ok := b.pop(); !ok {
			t.Fatal("it is empty")
		}
	}
	<-done
	go b.push(nil)
	b.close()
	b.push(nil)
}

func TestARetainedMessageIsToldWhenItChanges(t *testing.T) {
	url := mqttBroker(t)
	r := newRig(t)
	c := v1alpha1.MQTTEventSource{URL: url, Topic: "state/+", ClientID: "argosy", JSONBody: true}
	retain := func(text string) {
		t.Helper()
		client := mqtt.NewClient(mqtt.NewClientOptions().AddBroker(url).SetClientID("sender"))
		if err := settled(client.Connect()); err != nil {
			t.Fatal(err)
		}
		defer client.Disconnect(100)
		if err := settled(client.Publish("state/door", 1, true, text)); err != nil {
			t.Fatal(err)
		}
	}
	retain(`"open"`)
	ids := map[string]bool{}
	for i, c2 := range []struct{ change, want string }{{"", "open"}, {"", ""}, {`"shut"`, "shut"}, {"", ""}, {`"open"`, "open"}} {
		stop := r.start(mqttTopic(c))
		if c2.change != "" {
			retain(c2.change)
		}
		if c2.want != "" {
			e := r.next()
			if e.get("body") != c2.want || e.id != "" && ids[e.id] {
				t.Errorf("%d: %+v", i, e)
			}
			ids[e.id] = true
		}
		publishMQTT(t, url, "state/other", `"mark"`) // what was retained comes before it
		if e := r.next(); e.get("body") != "mark" {
			t.Errorf("%d: %+v", i, e)
		}
		_ = stop()
	}
	r.quiet()
}

// Case 33, and ids that two publishers share.
func TestWhatPublishersOfAMQPSay(t *testing.T) {
	c := v1alpha1.AMQPEventSource{JSONBody: true}
	d := amqp.Delivery{MessageId: "1", Body: []byte(`{"n":1}`), Headers: amqp.Table{
		"tenant": "acme", "bytes": []byte{0xff}, "n": int32(5), "deep": amqp.Table{"list": []any{"a", int64(1)}}, "price": amqp.Decimal{Scale: 2, Value: 150}, "at": clockTime, "none": nil,
	}}
	text, err := json.Marshal(amqpView(c, d))
	if err != nil {
		t.Fatal(err)
	}
	e := told{data: string(text)}
	for path, want := range map[string]string{"headers.tenant": "acme", "headers.bytes": "/w==", "headersEncoding.bytes": "base64", "headers.n": "5", "headers.deep.list.1": "1", "headers.price": "1.50", "headers.at": "2026-01-02T03:04:05Z", "body.n": "1"} {
		if got := e.get(path); got != want {
			t.Errorf("%s is %q, want %q", path, got, want)
		}
	}
	other := d
	other.Body = []byte(`{"n":2}`)
	again := d
	again.Redelivered = true
	if amqpID(c, d) == amqpID(c, other) || amqpID(c, d) != amqpID(c, again) || amqpID(c, amqp.Delivery{}) != "" {
		t.Error("a messageId counts for its publisher's message only")
	}
}

var clockTime = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// Case 16: a state that comes back is news.
func TestAFileThatComesBackIsNews(t *testing.T) {
	r := newRig(t)
	file := map[string]entry{"/in/day.csv": {Size: 1, Time: 5}}
	rounds := []map[string]entry{{}, file, {}, file, {}, file, {}}
	run := func(rounds []map[string]entry) error {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		n := 0
		look := tree{match: func(string) bool { return true }, every: time.Microsecond, list: func(context.Context) (map[string]entry, error) {
			if n++; n > len(rounds) {
				cancel()
				return rounds[len(rounds)-1], nil
			}
			return rounds[n-1], nil
		}}
		return look.run(ctx, r.env, r.emit)
	}
	if err := run(rounds); err != nil {
		t.Fatal(err)
	}
	if err := run([]map[string]entry{file, {}}); err != nil { // after a restart
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for len(r.events) > 0 {
		ids[(<-r.events).id] = true
	}
	if len(ids) != 8 {
		t.Errorf("%d events with ids of their own, want 8", len(ids))
	}
	// What a kill repeats has the id that it had.
	r.refuse = func(e told) bool { ids[e.id] = true; return true }
	for range 2 {
		_ = run([]map[string]entry{file, {}})
	}
	if len(ids) != 9 {
		t.Errorf("%d ids after two attempts at one change", len(ids)-8)
	}
}

// Case 15: what is mounted of a ConfigMap changes behind links.
func TestFilesBehindLinks(t *testing.T) {
	for _, polling := range []bool{false, true} {
		r, dir := newRig(t), t.TempDir()
		version := func(name, text string) {
			t.Helper()
			if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, name, "rules.yaml"), text)
			write(t, filepath.Join(dir, name, "same.yaml"), "same")
		}
		link := func(to, name string) {
			t.Helper()
			if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		version("..1", "a")
		link("..1", "..data")
		link("..data/rules.yaml", "rules.yaml")
		link("..data/same.yaml", "same.yaml")
		entrance := filepath.Join(t.TempDir(), "mounted")
		if err := os.Symlink(dir, entrance); err != nil {
			t.Fatal(err)
		}
		c := v1alpha1.FileEventSource{Polling: polling, EventType: "WRITE", WatchPathConfig: v1alpha1.WatchPathConfig{Directory: entrance, PathRegexp: `^[a-z]+\.yaml$`}}
		r.start(file(c))
		version("..2", "changed")
		link("..2", "..data_tmp")
		if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(filepath.Join(dir, "..1")); err != nil {
			t.Fatal(err)
		}
		if e := r.next(); e.get("op") != "WRITE" || e.get("name") != filepath.Join(entrance, "rules.yaml") {
			t.Errorf("polling %v: %+v", polling, e)
		}
		// The file whose content stayed is not told; the next change of the other comes alone.
		write(t, filepath.Join(dir, "..2", "rules.yaml"), "again")
		if e := r.next(); e.get("name") != filepath.Join(entrance, "rules.yaml") {
			t.Errorf("polling %v: %+v", polling, e)
		}
		r.quiet()
	}
}

func TestAHubThatIsMadeAgain(t *testing.T) {
	r := newRig(t)
	notes := 0
	r.env.Note = func(string) { notes++ }
	for name, c := range map[string]struct{ saved, made, want string }{
		"the same":       {`{"made":"a","at":{"0":"100"}}`, "a", "100"},
		"another":        {`{"made":"a","at":{"0":"100"}}`, "b", "-1"},
		"not told":       {`{"made":"a","at":{"0":"100"}}`, "", "100"},
		"older versions": {`{"0":"100"}`, "a", "100"},
		"of another":     {`"x"`, "a", ""},
		"none":           {``, "a", ""},
	} {
		h := &hub{env: r.env, made: c.made}
		if got := h.known([]byte(c.saved))["0"]; got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	if notes != 1 {
		t.Errorf("%d notes", notes)
	}
}

func TestMarksOfWhatIsNoText(t *testing.T) {
	var m Marks
	name, text := m.plain("\xff", "\xfe")
	if name != base64.StdEncoding.EncodeToString([]byte("\xff")) || text != "/g==" || m[name] != "name base64, value base64" {
		t.Errorf("%q %q %v", name, text, m)
	}
	if h := m.headers(map[string][]string{"a": {"b", "\xff"}}); h["a"][0] != "b" || h["a"][1] != "/w==" || m["a"] != "base64" {
		t.Errorf("%v %v", h, m)
	}
	if m.headers(nil) != nil {
		t.Error("headers out of nothing")
	}
}
