package pull

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	amqp1 "github.com/Azure/go-amqp"
)

// The performatives and outcomes of AMQP 1.0.
const (
	amqpOpen, amqpBegin, amqpAttach, amqpFlow, amqpTransfer = 0x10, 0x11, 0x12, 0x13, 0x14
	amqpDisposition, amqpDetach, amqpEnd, amqpClose         = 0x15, 0x16, 0x17, 0x18
	amqpSource, amqpTarget                                  = 0x28, 0x29
	amqpAccepted, amqpReleased, amqpModified                = 0x24, 0x26, 0x27
	saslMechanisms, saslInit, saslOutcome                   = 0x40, 0x41, 0x44
)

// azured speaks the part of AMQP 1.0 that a reader of Service Bus or Event Hubs sees.
// A message is sent to each link that comes until one accepts it; with keep it stays,
// as in a hub.
type azured struct {
	t       *testing.T
	address string // host:port
	keep    bool
	// manage answers what is asked of $management.
	manage func(question *amqp1.Message) *amqp1.Message
	// token lets in beside what is signed by the key; "" for none.
	token string

	mu       sync.Mutex
	queues   map[string][]*amqp1.Message // by address
	gone     map[*amqp1.Message]bool
	filters  []string // address: filter of each link
	outcomes []string
}

func newAzured(t *testing.T) *azured {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listenAzured(t, l)
}

// newSecureAzured is one over TLS that takes a token too; rig reaches it in the place of all namespaces.
func newSecureAzured(t *testing.T, token string) (a *azured, rig azureRig) {
	t.Helper()
	web := httptest.NewTLSServer(http.NotFoundHandler()) // for its certificate
	t.Cleanup(web.Close)
	l, err := tls.Listen(
		"tcp", "127.0.0.1:0", &tls.Config{MinVersion: tls.VersionTLS12, Certificates: web.TLS.Certificates},
	)
	if err != nil {
		t.Fatal(err)
	}
	a = listenAzured(t, l)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.token = token
	return a, azureRig{endpoint: a.address, secure: &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true}}
}

func listenAzured(t *testing.T, l net.Listener) *azured {
	t.Helper()
	t.Cleanup(func() { _ = l.Close() })
	a := &azured{
		t: t, address: l.Addr().String(), queues: map[string][]*amqp1.Message{}, gone: map[*amqp1.Message]bool{},
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				p := &amqpPeer{azured: a, conn: conn, links: map[uint64]*amqpLink{}, sent: map[uint64]*amqp1.Message{}}
				_ = p.serve()
			}()
		}
	}()
	return a
}

func (a *azured) put(address string, m *amqp1.Message) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.queues[address] = append(a.queues[address], m)
}

// answering sets what is said of hubs.
func (a *azured) answering(manage func(*amqp1.Message) *amqp1.Message) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.manage = manage
}

// said returns the outcomes of messages, in order.
func (a *azured) said() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return strings.Join(a.outcomes, " ")
}

// amqpPeer is one connection.
type amqpPeer struct {
	*azured
	conn    net.Conn
	channel uint16
	links   map[uint64]*amqpLink
	sent    map[uint64]*amqp1.Message // by delivery id
	claimed bool                      // a token was taken
}

// amqpLink is a link on which the stand-in sends, or one that it listens to.
type amqpLink struct {
	channel uint16
	handle  uint64
	address string
	sends   bool // the stand-in sends
	credit  uint64
	sent    uint64 // deliveries
	next    int    // of the queue
	answers []*amqp1.Message
}

// link is the one of a handle, of the session that is being heard.
func (p *amqpPeer) link(handle uint64) *amqpLink { return p.links[uint64(p.channel)<<32|handle] }

func (p *amqpPeer) serve() error {
	if err := p.login(); err != nil {
		return err
	}
	for {
		kind, fields, channel, payload, err := readAMQP(p.conn)
		if err != nil {
			return err
		}
		p.channel = channel
		if err := p.answer(kind, fields, payload); err != nil || kind == amqpClose {
			return err
		}
	}
}

// login lets in everybody: who one is is said to $cbs.
func (p *amqpPeer) login() error {
	if err := p.greet(); err != nil {
		return err
	}
	if err := writeAMQP(p.conn, 1, 0, saslMechanisms, []any{symbol("ANONYMOUS")}, nil); err != nil {
		return err
	}
	if kind, _, _, _, err := readAMQP(p.conn); err != nil || kind != saslInit {
		return fmt.Errorf("%x: %w", kind, err)
	}
	if err := writeAMQP(p.conn, 1, 0, saslOutcome, []any{uint8(0)}, nil); err != nil {
		return err
	}
	return p.greet()
}

// claim judges a token. Source: "AMQP 1.0 in Azure Service Bus and Event Hubs protocol guide", claims-based
// authorization.
func (p *amqpPeer) claim(m *amqp1.Message) *amqp1.Message {
	text, _ := m.Value.(string)
	about := m.ApplicationProperties
	good := false
	switch about["type"] {
	case "jwt":
		p.mu.Lock()
		good = p.token != "" && text == p.token
		p.mu.Unlock()
	case "servicebus.windows.net:sastoken":
		q, _ := url.ParseQuery(strings.TrimPrefix(text, "SharedAccessSignature "))
		mac := hmac.New(sha256.New, []byte("guest"))
		mac.Write([]byte(strings.ToLower(url.QueryEscape(q.Get("sr"))) + "\n" + q.Get("se")))
		good = q.Get("skn") == "guest" && q.Get("sig") == base64.StdEncoding.EncodeToString(mac.Sum(nil)) &&
			strings.EqualFold(q.Get("sr"), fmt.Sprint(about["name"]))
		if strings.Contains(text, "sig=given") {
			good = true
		}
	}
	code := int32(401)
	if good && about["operation"] == "put-token" {
		code, p.claimed = 202, true
	}
	return &amqp1.Message{
		ApplicationProperties: map[string]any{"status-code": code, "status-description": "as it is"},
		Value:                 "",
	}
}

// greet sends the protocol's header back.
func (p *amqpPeer) greet() error {
	header := make([]byte, 8)
	if _, err := io.ReadFull(p.conn, header); err != nil {
		return err
	}
	_, err := p.conn.Write(header)
	return err
}

// answerTo is what a request-response link says: about tokens, or what the test wants to be said.
func (p *amqpPeer) answerTo(address string, m *amqp1.Message) *amqp1.Message {
	var out *amqp1.Message
	p.mu.Lock()
	manage := p.manage
	p.mu.Unlock()
	switch {
	case address == "$cbs":
		out = p.claim(m)
	case m.ApplicationProperties["operation"] == "com.microsoft:peek-message":
		out = &amqp1.Message{ApplicationProperties: map[string]any{"statusCode": int32(204)}, Value: ""}
	case manage != nil:
		out = manage(m)
	default:
		return nil
	}
	if out.Properties == nil {
		out.Properties = &amqp1.MessageProperties{}
	}
	out.Properties.CorrelationID = m.Properties.MessageID
	return out
}

func (p *amqpPeer) write(kind uint64, payload []byte, fields ...any) error {
	return writeAMQP(p.conn, 0, p.channel, kind, fields, payload)
}

func (p *amqpPeer) answer(kind uint64, fields []any, payload []byte) error {
	switch kind {
	case amqpOpen:
		return p.write(amqpOpen, nil, "stand-in", nil, uint32(1<<20), uint16(100))
	case amqpBegin:
		return p.write(amqpBegin, nil, p.channel, uint32(0), uint32(5000), uint32(5000))
	case amqpAttach:
		return p.attach(fields)
	case amqpFlow:
		if link := p.link(numberAt(fields, 4)); at(fields, 4) != nil && link != nil {
			link.credit = numberAt(fields, 5) + numberAt(fields, 6) - link.sent // what is on its way counts
			if at(fields, 8) == true {
				link.credit = 0
				return p.write(
					amqpFlow, nil, uint32(0), uint32(5000), uint32(0), uint32(5000), uint32(link.handle),
					uint32(link.sent), uint32(0), uint32(0), true,
				)
			}
			return p.deliver(link)
		}
	case amqpTransfer:
		return p.question(p.link(numberAt(fields, 0)), numberAt(fields, 1), payload)
	case amqpDisposition:
		return p.settle(fields)
	case amqpDetach:
		delete(p.links, uint64(p.channel)<<32|numberAt(fields, 0))
		return p.write(amqpDetach, nil, uint32(numberAt(fields, 0)), true)
	case amqpEnd, amqpClose:
		for key, link := range p.links {
			if link.channel == p.channel {
				delete(p.links, key)
			}
		}
		return p.write(kind, nil)
	}
	return nil
}

// attach opens the other end of a link: the peer receives when its role is true.
func (p *amqpPeer) attach(fields []any) error {
	name, handle, receives := at(fields, 0).(string), numberAt(fields, 1), at(fields, 2) == true
	source, _ := at(fields, 5).(described)
	target, _ := at(fields, 6).(described)
	from, _ := source.value.([]any)
	to, _ := target.value.([]any)
	end := func(d uint64, list []any) any {
		address, _ := at(list, 0).(string)
		return described{d, []any{address}}
	}
	if err := p.write(
		amqpAttach, nil, name, uint32(handle), !receives, mode(at(fields, 3)), mode(at(fields, 4)),
		end(amqpSource, from), end(amqpTarget, to), nil, nil, uint32(0),
	); err != nil {
		return err
	}
	address, _ := at(to, 0).(string)
	if receives {
		address, _ = at(from, 0).(string)
	}
	if address != "$cbs" && !p.claimed {
		return errors.New("nobody said who it is")
	}
	link := &amqpLink{channel: p.channel, handle: handle, address: address, sends: receives}
	p.links[uint64(p.channel)<<32|handle] = link
	if !receives {
		return p.write(
			amqpFlow, nil, uint32(0), uint32(5000), uint32(0), uint32(5000), uint32(handle), uint32(0), uint32(100),
		)
	}
	filters, _ := at(from, 7).(map[string]any)
	for _, f := range filters {
		d, _ := f.(described)
		p.mu.Lock()
		p.filters = append(p.filters, fmt.Sprint(address, ": ", d.value))
		p.mu.Unlock()
	}
	return nil
}

// mode is a mode of settlement as it was asked for.
func mode(asked any) any {
	if n, ok := asked.(uint64); ok {
		return uint8(n)
	}
	return nil
}

// deliver sends what a link has credit for.
func (p *amqpPeer) deliver(link *amqpLink) error {
	for link.credit > 0 && len(link.answers) > 0 {
		m := link.answers[0]
		link.answers = link.answers[1:]
		if err := p.send(link, m, true); err != nil {
			return err
		}
	}
	p.mu.Lock()
	queue := slices.Clone(p.queues[link.address])
	p.mu.Unlock()
	for ; link.credit > 0 && link.next < len(queue); link.next++ {
		m := queue[link.next]
		p.mu.Lock()
		gone := p.gone[m]
		p.mu.Unlock()
		if gone {
			continue
		}
		if err := p.send(link, m, p.keep); err != nil {
			return err
		}
	}
	return nil
}

func (p *amqpPeer) send(link *amqpLink, m *amqp1.Message, settled bool) error {
	body, err := m.MarshalBinary()
	if err != nil {
		p.t.Errorf("encode: %v", err)
		return err
	}
	id := uint64(len(p.sent))
	p.sent[id] = m
	link.credit--
	link.sent++
	return p.write(
		amqpTransfer, body, uint32(link.handle), uint32(id), binary.BigEndian.AppendUint64(make([]byte, 8, 16), id),
		uint32(0), settled, false,
	)
}

// question is a message that the peer sends.
func (p *amqpPeer) question(from *amqpLink, delivery uint64, payload []byte) error {
	if err := p.write(
		amqpDisposition, nil, true, uint32(delivery), uint32(delivery), true, described{amqpAccepted, []any{}},
	); err != nil {
		return err
	}
	var m amqp1.Message
	if err := m.UnmarshalBinary(payload); err != nil || from == nil {
		return err
	}
	answer := p.answerTo(from.address, &m)
	for _, link := range p.links {
		if answer != nil && link.sends && link.channel == from.channel && link.address == from.address {
			link.answers = append(link.answers, answer)
			return p.deliver(link)
		}
	}
	return nil
}

// settle notes what became of a message.
func (p *amqpPeer) settle(fields []any) error {
	last := numberAt(fields, 1)
	if at(fields, 2) != nil {
		last = numberAt(fields, 2)
	}
	state, _ := at(fields, 4).(described)
	if at(fields, 3) != true { // it wants to hear that we heard it
		if err := p.write(
			amqpDisposition, nil, false, uint32(numberAt(fields, 1)), uint32(last), true,
			described{state.code, []any{}},
		); err != nil {
			return err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for id := numberAt(fields, 1); id <= last; id++ {
		m := p.sent[id]
		if m == nil || m.Value != nil {
			continue // an answer
		}
		name := ""
		if m.Properties != nil {
			name = amqpWord(m.Properties.MessageID)
		}
		switch state.code {
		case amqpAccepted:
			p.outcomes = append(p.outcomes, "accepted:"+name)
			p.gone[m] = !p.keep
		case amqpReleased:
			p.outcomes = append(p.outcomes, "released:"+name)
		case amqpModified:
			p.outcomes = append(p.outcomes, "abandoned:"+name)
		}
	}
	return nil
}
