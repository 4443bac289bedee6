package pull

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"hash/crc32"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"google.golang.org/protobuf/encoding/protowire"
)

// The commands of Pulsar; each stands in the field that has its number. Source:
// PulsarApi.proto, BaseCommand.
const (
	cmdConnect, cmdConnected              = 2, 3
	cmdSubscribe, cmdMessage              = 4, 9
	cmdAck, cmdFlow                       = 10, 11
	cmdSuccess, cmdError                  = 13, 14
	cmdCloseConsumer                      = 16
	cmdPing, cmdPong                      = 18, 19
	cmdPartitions, cmdPartitionsAnswer    = 21, 22
	cmdLookup, cmdLookupAnswer            = 23, 24
	pulsarInitialPosition, pulsarEarliest = 13, 1
)

// pulsarLine is a consumer of a connection.
type pulsarLine struct {
	conn net.Conn
	id   uint64
}

// pulsard speaks the part of Pulsar's protocol that a consumer sees. A message is
// sent to each consumer that comes until one acknowledges it.
type pulsard struct {
	t       *testing.T
	address string
	token   string

	parts      int // partitions of each topic
	pass       int // redirects before an answer
	mu         sync.Mutex
	messages   [][]byte        // what follows the command; the entry is the place in here
	acked      map[string]bool // topic and entry
	topics     map[pulsarLine]string
	sent       map[pulsarLine]map[int]bool // entries
	subscribed []string                    // topic/subscription/type
	earliest   []bool                      // whether each of them would begin with what is there
}

func newPulsard(t *testing.T) *pulsard {
	t.Helper()
	p := &pulsard{
		t: t, token: "guest", acked: map[string]bool{}, topics: map[pulsarLine]string{},
		sent: map[pulsarLine]map[int]bool{},
	}
	p.address = "pulsar://" + serve(t, p.serve)
	return p
}

func (p *pulsard) put(body string) {
	p.add(pulsarStored(joined(number(3, 1700000000000), text(6, "key")), []byte(body)))
}

func (p *pulsard) add(entry []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.messages = append(p.messages, entry)
}

// pulsarStored is an entry as a broker sends it.
func pulsarStored(meta, body []byte) []byte {
	meta = joined(text(1, "producer"), number(2, 1), meta)
	checked := binary.BigEndian.AppendUint32(nil, uint32(len(meta)))
	checked = append(append(checked, meta...), body...)
	out := binary.BigEndian.AppendUint16(nil, 0x0e01)
	out = binary.BigEndian.AppendUint32(out, crc32.Checksum(checked, crc32.MakeTable(crc32.Castagnoli)))
	return append(out, checked...)
}

// batched is the body of an entry that holds several messages.
func batched(bodies ...string) []byte {
	var out []byte
	for i, body := range bodies {
		meta := joined(text(2, fmt.Sprint("key", i)), number(3, uint64(len(body))))
		out = binary.BigEndian.AppendUint32(out, uint32(len(meta)))
		out = append(append(out, meta...), body...)
	}
	return out
}

func (p *pulsard) done(entry uint64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, topic := range p.topics {
		if !p.acked[fmt.Sprint(topic, entry)] {
			return fmt.Errorf("entry %d of %s is not acknowledged", entry, topic)
		}
	}
	return nil
}

func (p *pulsard) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	for {
		frame, err := sized(conn)
		if err != nil || len(frame) < 4 {
			return
		}
		command := decode(p.t, frame[4:4+binary.BigEndian.Uint32(frame)])
		kind := command.number(1)
		if !p.answer(conn, kind, decode(p.t, command.bytes(protowire.Number(kind)))) {
			return
		}
	}
}

// answer reports whether the connection goes on.
func (p *pulsard) answer(conn net.Conn, kind uint64, in decoded) bool {
	switch kind {
	case cmdConnect:
		if p.token != "" && in.text(3) != p.token {
			p.send(conn, cmdError, joined(number(1, 0), number(2, 3), text(3, "no")), nil)
			return false
		}
		p.send(conn, cmdConnected, joined(text(1, "stand-in"), number(2, 15)), nil)
	case cmdPartitions:
		p.send(
			conn, cmdPartitionsAnswer, joined(number(1, uint64(p.parts)), number(2, in.number(2)), number(3, 0)), nil,
		)
	case cmdLookup:
		kind := uint64(1)
		p.mu.Lock()
		if p.pass > 0 {
			p.pass, kind = p.pass-1, 0
		}
		p.mu.Unlock()
		p.send(
			conn, cmdLookupAnswer, joined(text(1, p.address), number(3, kind), number(4, in.number(2)), number(5, 1)),
			nil,
		)
	case cmdSubscribe:
		p.mu.Lock()
		p.topics[pulsarLine{conn, in.number(4)}] = in.text(1)
		p.subscribed = append(p.subscribed, fmt.Sprintf("%s/%s/%d", in.text(1), in.text(2), in.number(3)))
		p.earliest = append(p.earliest, in.number(pulsarInitialPosition) == pulsarEarliest)
		p.mu.Unlock()
		p.send(conn, cmdSuccess, number(1, in.number(5)), nil)
	case cmdFlow:
		p.deliver(conn, in.number(1))
	case cmdAck:
		for _, id := range in[3] {
			p.mu.Lock()
			p.acked[fmt.Sprint(p.topics[pulsarLine{conn, in.number(1)}], decode(p.t, id.b).number(2))] = true
			p.mu.Unlock()
		}
	case cmdCloseConsumer:
		p.send(conn, cmdSuccess, number(1, in.number(2)), nil)
	case cmdPing:
		p.send(conn, cmdPong, nil, nil)
	}
	return true
}

func (p *pulsard) deliver(conn net.Conn, consumer uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for entry, stored := range p.messages {
		if line := (pulsarLine{conn, consumer}); !p.acked[fmt.Sprint(p.topics[line], entry)] && !p.sent[line][entry] {
			if p.sent[line] == nil {
				p.sent[line] = map[int]bool{}
			}
			p.sent[line][entry] = true
			p.send(
				conn, cmdMessage, joined(number(1, consumer), inner(2, number(1, 7), number(2, uint64(entry)))), stored,
			)
		}
	}
}

func (p *pulsard) send(conn net.Conn, kind uint64, fields, payload []byte) {
	command := joined(number(1, kind), inner(protowire.Number(kind), fields))
	out := binary.BigEndian.AppendUint32(nil, uint32(4+len(command)+len(payload)))
	out = binary.BigEndian.AppendUint32(out, uint32(len(command)))
	_, _ = conn.Write(append(append(out, command...), payload...))
}

func TestAPulsarMessageIsAcknowledgedWhenItIsDurable(t *testing.T) {
	p := newPulsard(t)
	p.put(`{"n":1}`)
	r := newRig(t)
	r.env.Event = "orders"
	c := v1alpha1.PulsarEventSource{
		URL: p.address, Topics: []string{"persistent://public/default/t"}, Type: "shared", AuthTokenSecret: ref("user"),
		JSONBody: true, Metadata: map[string]string{"k": "v"},
	}
	reader := pulsarTopics(c)
	if !reader.AllReplicas || pulsarTopics(v1alpha1.PulsarEventSource{}).AllReplicas {
		t.Error("replicas share a shared subscription, and no other")
	}
	stop := r.start(reader)
	first := r.next()
	if first.get("body.n") != "1" || first.get("key") != "key" ||
		first.get("publishTime") != "2023-11-14 22:13:20 +0000 UTC" ||
		first.get("metadata.k") != "v" ||
		first.id == "" {
		t.Errorf("%+v", first)
	}
	eventually(t, "acknowledge", func() error { return p.done(0) })
	if err := stop(); err != nil {
		t.Error(err)
	}
	p.put(`{"n":2}`)
	var seen told
	r.refuse = func(e told) bool { seen = e; return true }
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := reader.Run(ctx, r.env, r.emit); !errors.Is(err, context.Canceled) {
		t.Errorf("an event that is not durable: %v", err)
	}
	if p.done(1) == nil {
		t.Error("what is not durable was acknowledged")
	}
	r.refuse = nil
	r.start(reader)
	if again := r.next(); again.get("body.n") != "2" || again.id != seen.id || again.id == first.id {
		t.Errorf("%+v, before %+v: the same message has the same id", again, seen)
	}
	eventually(t, "acknowledge", func() error { return p.done(1) })
	p.mu.Lock()
	defer p.mu.Unlock()
	if got := strings.Join(p.subscribed, " "); !strings.HasPrefix(got, "persistent://public/default/t/orders/1 ") {
		t.Errorf("subscribed %s", got)
	}
}

func TestAPulsarSubscriptionThatIsGoneBeginsWithWhatIsThere(t *testing.T) {
	p := newPulsard(t)
	r := newRig(t)
	c := v1alpha1.PulsarEventSource{URL: p.address, Topics: []string{"t"}, AuthTokenSecret: ref("user")}
	for range 2 {
		stop := r.start(pulsarTopics(c))
		_ = stop()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if got := fmt.Sprint(p.earliest); got != "[false true]" {
		t.Errorf("%s: only who read before begins with what is there", got)
	}
}

func TestPulsarTopicsInParts(t *testing.T) {
	p := newPulsard(t)
	p.parts, p.pass = 2, 3
	p.add(pulsarStored(joined(number(3, 1700000000000), number(11, 2)), batched("a", "b")))
	r := newRig(t)
	r.env.Event = "orders"
	r.start(
		pulsarTopics(v1alpha1.PulsarEventSource{URL: p.address, Topics: []string{"t"}, AuthTokenSecret: ref("user")}),
	)
	ids := map[string]bool{}
	for range 4 { // the stand-in has the same in both partitions
		e := r.next()
		if key := e.get("key"); key != "key0" && key != "key1" {
			t.Errorf("%+v", e)
		}
		ids[e.id] = true
	}
	// The ids are those of the versions that read Pulsar by code of their own.
	for _, part := range []string{"0", "1"} {
		for batch := range 2 {
			id := Key(
				"pulsar", p.address, "persistent://public/default/t-partition-"+part, 7, 0, batch,
				time.UnixMilli(1700000000000).UnixNano(),
			)
			if !ids[id] {
				t.Errorf("%v lacks %s: each place has its own id", ids, id)
			}
		}
	}
	eventually(t, "acknowledge", func() error { return p.done(0) })
	p.put("late")
	p.mu.Lock()
	for line := range p.topics { // both move
		p.send(line.conn, cmdPing, nil, nil)
		p.send(line.conn, cmdCloseConsumer, joined(number(1, line.id), number(2, 0)), nil)
	}
	p.mu.Unlock()
	if e := r.next(); e.get("body") != "bGF0ZQ==" {
		t.Errorf("after the topic moved: %+v", e)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if got := strings.Join(
		p.subscribed, " ",
	); !strings.Contains(got, "persistent://public/default/t-partition-0/orders/0") ||
		!strings.Contains(got, "t-partition-1/orders/0") {
		t.Errorf("subscribed %s", got)
	}
}

func TestPulsarByAthenz(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	zts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/zts/v1/domain/pulsar/token" ||
			!strings.Contains(r.Header.Get("Athenz-Principal-Auth"), "d=shop;n=reader") {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		fmt.Fprintf(w, `{"token":"role-token","expiryTime":%d}`, time.Now().Add(time.Hour).Unix())
	}))
	t.Cleanup(zts.Close)
	secretData["athenz"] = string(
		pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}),
	)
	p := newPulsard(t)
	p.token = "role-token"
	p.put("text")
	r := newRig(t)
	r.start(
		pulsarTopics(v1alpha1.PulsarEventSource{
			URL:              p.address,
			Topics:           []string{"t"},
			AuthAthenzSecret: ref("athenz"),
			AuthAthenzParams: map[string]string{
				"providerDomain":  "pulsar",
				"tenantDomain":    "shop",
				"tenantService":   "reader",
				"principalHeader": "Athenz-Principal-Auth",
				"ztsUrl":          zts.URL,
			},
		}),
	)
	if e := r.next(); e.get("body") != "dGV4dA==" {
		t.Errorf("%+v", e)
	}
}

func TestPulsarSaysWhatItCannotDo(t *testing.T) {
	p := newPulsard(t)
	r := newRig(t)
	for name, c := range map[string]v1alpha1.PulsarEventSource{
		"type": {Type: "failover"}, "athenz": {AuthAthenzSecret: ref("user")},
		"athenz parameters": {AuthAthenzParams: map[string]string{"a": "b"}},
		"a file of the service": {
			AuthAthenzSecret: ref("user"), AuthAthenzParams: map[string]string{"privateKey": "file:///etc/passwd"},
		},
		"no secret":    {AuthTokenSecret: ref("empty")},
		"certificate":  {TLSTrustCertsSecret: ref("user")},
		"half a pair":  {TLS: &v1alpha1.EventTLSConfig{ClientCertSecret: ref("user")}},
		"no topics":    {URL: p.address, Topics: []string{}, AuthTokenSecret: ref("user")},
		"half a topic": {URL: p.address, Topics: []string{"a/b"}, AuthTokenSecret: ref("user")},
		"no address":   {URL: "x://y"}, "no host": {URL: "pulsar://"}, "nobody": {URL: "pulsar://127.0.0.1:1"},
		"no token": {URL: p.address},
	} {
		if c.URL == "" {
			c.URL = "pulsar://127.0.0.1:1"
		}
		if c.Topics == nil {
			c.Topics = []string{"t"}
		}
		if err := pulsarTopics(c).Run(t.Context(), r.env, r.emit); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	secure, err := pulsarTLS(t.Context(), r.env, v1alpha1.PulsarEventSource{TLSAllowInsecureConnection: true})
	if err != nil || !secure.InsecureSkipVerify {
		t.Errorf("%v, %v", secure, err)
	}
}

func TestWherePulsarIs(t *testing.T) {
	for text, want := range map[string]string{
		"pulsar://h": "h:6650", "pulsar+ssl://h/": "h:6651 ssl", "pulsar://a:1,b,[::1]": "a:1 b:6650 [::1]:6650",
		"http://h:8080": "error", "pulsar://a,,b": "error",
	} {
		hosts, ssl, err := pulsarHosts(text)
		got := strings.Join(hosts, " ")
		if ssl {
			got += " ssl"
		}
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	for text, want := range map[string]string{
		"t": "persistent://public/default/t", "a/b/t": "persistent://a/b/t",
		"non-persistent://a/b/t": "non-persistent://a/b/t", "": "", "a/b": "",
	} {
		if got, err := fullTopic(text); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
}
