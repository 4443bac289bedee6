package pull

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	mqtt "github.com/eclipse/paho.mqtt.golang"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/redis/go-redis/v9"
)

func redisd(t *testing.T) (address string, client *redis.Client) {
	t.Helper()
	p := port(t)
	program(t, "redis-server", "--port", p, "--bind", "127.0.0.1", "--save", "", "--requirepass", "guest")
	address = "127.0.0.1:" + p
	answering(t, address)
	client = redis.NewClient(&redis.Options{Addr: address, Password: "guest"})
	t.Cleanup(func() { _ = client.Close() })
	return address, client
}

func TestRedisChannels(t *testing.T) {
	address, client := redisd(t)
	r := newRig(t)
	r.start(
		redisChannels(
			v1alpha1.RedisEventSource{
				HostAddress: address, Password: ref("password"), Patterns: []string{"news.*"}, JSONBody: true,
			},
		),
	)
	if err := client.Publish(t.Context(), "news.a", `{"n":1}`).Err(); err != nil {
		t.Fatal(err)
	}
	if e := r.next(); e.get("channel") != "news.a" || e.get("pattern") != "news.*" || e.get("body.n") != "1" {
		t.Errorf("%+v", e)
	}
	if err := redisChannels(v1alpha1.RedisEventSource{HostAddress: address}).Run(
		t.Context(), r.env, r.emit,
	); err == nil {
		t.Error("let in without a password")
	}
}

func TestRedisStreamsAreReadOnceAndTakenBack(t *testing.T) {
	address, client := redisd(t)
	r := newRig(t)
	c := v1alpha1.RedisStreamEventSource{
		HostAddress: address, Password: ref("password"), Streams: []string{"s", "u"},
		Metadata: map[string]string{"k": "v"},
	}
	stop := r.start(redisStreams(c))
	add := func(value string) {
		t.Helper()
		if err := client.XAdd(
			t.Context(), &redis.XAddArgs{Stream: "s", Values: map[string]any{"k": value}},
		).Err(); err != nil {
			t.Fatal(err)
		}
	}
	add("1")
	first := r.next()
	if first.get("values.k") != "1" || first.get("stream") != "s" || first.id == "" || first.get("metadata.k") != "v" {
		t.Errorf("%+v", first)
	}
	_ = stop()
	add("2") // nobody reads
	r.refuse = func(told) bool { return true }
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := redisStreams(c).Run(ctx, r.env, r.emit); !errors.Is(err, context.Canceled) {
		t.Errorf("an event that is not durable: %v", err)
	}
	left, err := client.XPending(t.Context(), "s", defaultGroup).Result()
	if err != nil || left.Count != 1 {
		t.Fatalf("%+v, %v: it must not be acknowledged", left, err)
	}
	r.refuse = nil
	// Let the time pass after which what another one holds is taken over.
	eventually(t, "age the message", func() error {
		return client.Do(t.Context(), "XCLAIM", "s", defaultGroup, "dead", "0", left.Lower, "IDLE", "60000").Err()
	})
	r.start(redisStreams(c))
	if e := r.next(); e.get("values.k") != "2" {
		t.Errorf("%+v", e)
	}
	r.quiet()
}

// rabbit runs a broker of its own, with plugins that are named.
func rabbit(t *testing.T, plugins ...string) string {
	t.Helper()
	if _, err := exec.LookPath("rabbitmqctl"); err != nil && !exists("/usr/lib/rabbitmq/bin/rabbitmq-server") {
		t.Skip("rabbitmq-server is not installed; make deps installs it")
	}
	dir, p, dist := t.TempDir(), port(t), port(t)
	write(t, filepath.Join(dir, "plugins"), "["+strings.Join(plugins, ",")+"].")
	cmd := exec.Command("/usr/lib/rabbitmq/bin/rabbitmq-server")
	cmd.Env = append(
		os.Environ(), "HOME="+dir, "RABBITMQ_NODENAME=t"+p+"@localhost", "RABBITMQ_NODE_IP_ADDRESS=127.0.0.1",
		"RABBITMQ_NODE_PORT="+p, "RABBITMQ_DIST_PORT="+dist, "RABBITMQ_MNESIA_BASE="+dir, "RABBITMQ_LOG_BASE="+dir,
		"RABBITMQ_PID_FILE="+filepath.Join(dir, "pid"), "RABBITMQ_ENABLED_PLUGINS_FILE="+filepath.Join(dir, "plugins"),
		"RABBITMQ_CONFIG_FILE="+filepath.Join(dir, "none"), "ERL_EPMD_ADDRESS=127.0.0.1",
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=+S 1:1",
	)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		if pid, err := os.ReadFile(filepath.Join(dir, "pid")); err == nil {
			_ = exec.Command("kill", "-9", strings.TrimSpace(string(pid))).Run()
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	url := "amqp://guest:guest@127.0.0.1:" + p + "/"
	eventually(t, "wait for rabbit", func() error {
		c, err := amqp.Dial(url)
		if err != nil {
			return err
		}
		return c.Close()
	})
	return url
}

func TestAMQPKeepsWhatIsNotDurable(t *testing.T) {
	url := rabbit(t)
	secretData["url"] = url
	r := newRig(t)
	c := v1alpha1.AMQPEventSource{
		URLSecret:    ref("url"),
		ExchangeName: "x",
		ExchangeType: "topic",
		RoutingKey:   "a.*",
		JSONBody:     true,
		QueueDeclare: &v1alpha1.AMQPQueueDeclareConfig{
			Name: "q", Durable: true, Arguments: "x-max-length: 1000",
		},
		Metadata: map[string]string{"k": "v"},
	}
	stop := r.start(amqpQueue(c))
	conn, err := amqp.Dial(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	channel, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	put := func(id string) {
		t.Helper()
		err := channel.PublishWithContext(
			t.Context(),
			"x",
			"a.b",
			true,
			false,
			amqp.Publishing{
				MessageId: id, ContentType: "application/json", DeliveryMode: amqp.Persistent,
				Body: []byte(`{"id":"` + id + `"}`),
			},
		)
		if err != nil {
			t.Fatal(err)
		}
	}
	put("1")
	if e := r.next(); e.get("messageId") != "1" || e.get("body.id") != "1" || e.get("routingKey") != "a.b" ||
		e.id == "" ||
		e.get("metadata.k") != "v" {
		t.Errorf("%+v", e)
	}
	_ = stop()
	put("2")
	r.refuse = func(told) bool { return true }
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := amqpQueue(c).Run(ctx, r.env, r.emit); !errors.Is(err, context.Canceled) {
		t.Errorf("an event that is not durable: %v", err)
	}
	r.refuse = nil
	r.start(amqpQueue(c))
	if e := r.next(); e.get("messageId") != "2" {
		t.Errorf("%+v", e)
	}
	r.quiet()
}

func mqttBroker(t *testing.T) string {
	t.Helper()
	p, conf := port(t), filepath.Join(t.TempDir(), "conf")
	write(t, conf, "listener "+p+" 127.0.0.1\nallow_anonymous true\npersistence false\n")
	program(t, "mosquitto", "-c", conf) //nolint:misspell // the name of the program
	answering(t, "127.0.0.1:"+p)
	return "tcp://127.0.0.1:" + p
}

func publishMQTT(t *testing.T, url, topic, text string) {
	t.Helper()
	client := mqtt.NewClient(mqtt.NewClientOptions().AddBroker(url).SetClientID("sender"))
	if err := settled(client.Connect()); err != nil {
		t.Fatal(err)
	}
	defer client.Disconnect(100)
	if err := settled(client.Publish(topic, 1, false, text)); err != nil {
		t.Fatal(err)
	}
}

func TestMQTTKeepsMessagesWhileNobodyReads(t *testing.T) {
	url := mqttBroker(t)
	r := newRig(t)
	c := v1alpha1.MQTTEventSource{URL: url, Topic: "a/+", ClientID: "argosy", JSONBody: true}
	stop := r.start(mqttTopic(c))
	publishMQTT(t, url, "a/b", `{"n":1}`)
	if e := r.next(); e.get("topic") != "a/b" || e.get("body.n") != "1" {
		t.Errorf("%+v", e)
	}
	_ = stop()
	publishMQTT(t, url, "a/b", `{"n":2}`)
	r.refuse = func(told) bool { return true }
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := mqttTopic(c).Run(ctx, r.env, r.emit); !errors.Is(err, context.Canceled) {
		t.Errorf("an event that is not durable: %v", err)
	}
	r.refuse = nil
	r.start(mqttTopic(c))
	if e := r.next(); e.get("body.n") != "2" {
		t.Errorf("%+v", e)
	}
	r.quiet()
}

func TestEmitterSpeaksMQTT(t *testing.T) {
	url := mqttBroker(t)
	r := newRig(t)
	r.start(
		emitterChannel(
			v1alpha1.EmitterEventSource{
				Broker: url, ChannelKey: "key", ChannelName: "news", Username: ref("user"), Password: ref("password"),
			},
		),
	)
	publishMQTT(t, url, "key/news/", "hello")
	if e := r.next(); e.get("topic") != "key/news/" || e.get("body") != "aGVsbG8=" {
		t.Errorf("%+v", e)
	}
}
