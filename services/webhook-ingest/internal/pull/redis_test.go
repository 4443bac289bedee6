package pull

import (
	"fmt"
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/redis/go-redis/v9"
)

func TestTextOfRedisIsText(t *testing.T) {
	address, client := redisd(t)
	r := newRig(t)
	r.start(
		redisChannels(
			v1alpha1.RedisEventSource{
				HostAddress: address, Password: ref("password"), Channels: []string{"orders[eu]", "a*"},
			},
		),
	)
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
	if err := redisChannels(v1alpha1.RedisEventSource{HostAddress: address, Password: ref("password")}).Run(
		t.Context(), r.env, r.emit,
	); err == nil {
		t.Error("nothing is asked for")
	}
}

func TestStreamsOfAnOlderRedis(t *testing.T) {
	p := port(t)
	program(
		t, "redis-server", "--port", p, "--bind", "127.0.0.1", "--save", "", "--requirepass", "guest",
		"--rename-command", "XAUTOCLAIM", "",
	)
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
	if e := r.next(); e.get("values.k") != "/w==" || e.get("valuesEncoding.k") != "base64" ||
		e.get("values.t") != "text" ||
		e.get("valuesEncoding.t") != "" {
		t.Errorf("%+v", e)
	}
	_ = stop()
	// What another consumer holds for long is taken over; what is gone from the stream is not told.
	var ids []string
	for i := range 3 {
		ids = append(ids, add(map[string]any{"n": i}))
	}
	if _, err := client.XReadGroup(
		t.Context(), &redis.XReadGroupArgs{Group: defaultGroup, Consumer: "dead", Streams: []string{"old", ">"}},
	).Result(); err != nil {
		t.Fatal(err)
	}
	if err := client.Do(
		t.Context(), "XCLAIM", "old", defaultGroup, "dead", "0", ids[0], ids[1], ids[2], "IDLE", "60000",
	).Err(); err != nil {
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
		"the group": func(stream string) error {
			return client.XGroupDestroy(t.Context(), stream, defaultGroup).Err()
		},
		"the stream": func(stream string) error { return client.Del(t.Context(), stream).Err() },
	} {
		stream := "lost " + name
		r := newRig(t)
		notes := make(chan string, 10)
		r.env.Note = func(text string) { notes <- text }
		c := v1alpha1.RedisStreamEventSource{HostAddress: address, Password: ref("password"), Streams: []string{stream}}
		add := func(id, value string) {
			t.Helper()
			if err := client.XAdd(
				t.Context(), &redis.XAddArgs{Stream: stream, ID: id, Values: map[string]any{"k": value}},
			).Err(); err != nil {
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
		if first.get("values.k") != "1" || second.get("values.k") != "2" || third.get("values.k") != "3" ||
			third.id == first.id {
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
	}{
		{"1-0", "0-0", true}, {"1-2", "1-1", true}, {"1-1", "1-1", false}, {"2-0", "10-0", false},
		{"18446744073709551615-1", "5-0", true}, {"x", "0-0", false},
	} {
		if newerID(c.a, c.b) != c.want {
			t.Errorf("%s after %s", c.a, c.b)
		}
	}
}

func TestARedisMessageIsAcknowledgedThoughItsReaderIsStopped(t *testing.T) {
	address, client := redisd(t)
	r := newRig(t)
	c := v1alpha1.RedisStreamEventSource{HostAddress: address, Password: ref("password"), Streams: []string{"s"}}
	if err := client.XGroupCreateMkStream(t.Context(), "s", defaultGroup, "0").Err(); err != nil {
		t.Fatal(err)
	}
	if err := client.XAdd(
		t.Context(), &redis.XAddArgs{Stream: "s", Values: map[string]any{"k": "1"}},
	).Err(); err != nil {
		t.Fatal(err)
	}
	if err := stoppedAtItsEvent(t, redisStreams(c), r.env); err != nil {
		t.Fatal(err)
	}
	if left, err := client.XPending(t.Context(), "s", defaultGroup).Result(); err != nil || left.Count != 0 {
		t.Errorf("%+v, %v: it is durable and comes again", left, err)
	}
}
