package trigger

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/bus/bustest"
	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
)

func TestKafka(t *testing.T) {
	c, err := kfake.NewCluster(
		kfake.NumBrokers(1), kfake.SeedTopics(3, "out"), kfake.EnableSASL(), kfake.Superuser("PLAIN", "joe", "s3cret"),
	)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	brokers := strings.Join(c.ListenAddrs(), ",")
	trigger := fmt.Sprintf(
		`template: {name: t, kafka: {url: "%s", topic: out, partitioningKey: k, compress: true, requiredAcks: 1, headers: {h: v}, secureHeaders: [{name: x, valueFrom: {secretKeyRef: {name: s, key: token}}}],
sasl: {mechanism: PLAIN, userSecret: {name: s, key: user}, passwordSecret: {name: s, key: password}}, payload: [{src: {dependencyName: d, dataKey: body}, dest: m}]}}`,
		brokers,
	)
	for range 2 {
		if _, err := fire(t, world(t), trigger); err != nil {
			t.Fatal(err)
		}
	}
	reader, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.ConsumeTopics("out"), kgo.SASL(mustPlain(t)))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var got []*kgo.Record
	for len(got) < 2 && ctx.Err() == nil {
		got = append(got, reader.PollFetches(ctx).Records()...)
	}
	if len(got) != 2 || got[0].Partition != got[1].Partition || string(got[0].Key) != "k" ||
		string(got[0].Value) != `{"m":"hello"}` {
		t.Fatalf("%d records: %+v", len(got), got)
	}
	headers := map[string]string{}
	for _, h := range got[0].Headers {
		headers[h.Key] = string(h.Value)
	}
	if headers["h"] != "v" || headers["x"] != "t0ken" || headers[idHeader] != key {
		t.Errorf("%v", headers)
	}
	for _, bad := range []string{
		`sasl: {mechanism: MAGIC}`, `schemaRegistry: {url: x}`, `tls: {caCertSecret: {name: s, key: pem}}`,
	} {
		if _, err := fire(
			t, world(t), `template: {name: t, kafka: {url: "`+brokers+`", topic: out, payload: [], `+bad+`}}`,
		); fault.Of(err) != fault.Poison {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func mustPlain(t *testing.T) sasl.Mechanism {
	t.Helper()
	m, err := mechanismOf("PLAIN", "joe", "s3cret")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMechanisms(t *testing.T) {
	for name, want := range map[string]string{
		"": "PLAIN", "plain": "PLAIN", "SCRAM-SHA-256": "SCRAM-SHA-256", "SCRAM-SHA-512": "SCRAM-SHA-512",
	} {
		if m, err := mechanismOf(name, "u", "p"); err != nil || m.Name() != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNATSAndJetStream(t *testing.T) {
	server := bustest.Start(t)
	b := server.Connect("test")
	for range 2 {
		if _, err := fire(
			t,
			world(t),
			`template: {name: t, jetstream: {url: "`+server.URL()+`", subject: x, parameters: [{src: {dependencyName: d, dataKey: body}, dest: subject}], payload: [{src: {dependencyName: d, dataKey: body}, dest: m}],
headers: {ce-specversion: "1.0", ce-id: "1", ce-source: s, ce-type: t}}}`,
		); err == nil {
			t.Fatal("no stream has the subject hello")
		}
		if _, err := fire(
			t, world(t),
			`template: {name: t, jetstream: {url: "`+server.URL()+`", subject: facts.x, payload: [{src: {dependencyName: d, dataKey: body}, dest: m}], headers: {ce-specversion: "1.0", ce-id: "1", ce-source: s, ce-type: t}}}`,
		); err != nil {
			t.Fatal(err)
		}
	}
	got, err := b.Read(t.Context(), bus.Facts, "facts.x")
	if err != nil || len(got) != 1 || string(got[0].Data()) != `{"m":"hello"}` {
		t.Errorf("%d messages under one key: %v", len(got), err)
	}
	if _, err := fire(
		t, world(t),
		`template: {name: t, nats: {url: "`+server.URL()+`", subject: free, auth: {token: {name: s, key: token}}, payload: [{src: {dependencyName: d, dataKey: body}, dest: m}]}}`,
	); err != nil {
		t.Error(err)
	}
	if _, err := fire(
		t, world(t),
		`template: {name: t, nats: {url: "`+server.URL()+`", subject: free, auth: {nkey: {name: s, key: token}}, payload: []}}`,
	); fault.Of(err) != fault.Poison {
		t.Error(err)
	}
	if _, err := fire(
		t, world(t), `template: {name: t, nats: {url: "nats://127.0.0.1:1", subject: free, payload: []}}`,
	); fault.Of(err) != fault.Retry {
		t.Error(err)
	}
}
