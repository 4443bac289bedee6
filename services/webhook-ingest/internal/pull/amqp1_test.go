package pull

import (
	"fmt"
	"io"
	"net"
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
	amqpAccepted, amqpReleased                              = 0x24, 0x26
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
	t.Cleanup(func() { _ = l.Close() })
	a := &azured{t: t, address: l.Addr().String(), queues: map[string][]*amqp1.Message{}, gone: map[*amqp1.Message]bool{}}
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
	reply   *amqpLink                 // where answers of $management go
	answers []*amqp1.Message
}

// amqpLink is a link on which the stand-in sends, or one that it listens to.
type amqpLink struct {
	handle  uint64
	address string
	credit  uint64
	sent    uint64 // deliveries
	next    int    // of the queue
}

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

// login lets in who has the key.
func (p *amqpPeer) login() error {
	if err := p.greet(); err != nil {
		return err
	}
	if err := writeAMQP(p.conn, 1, 0, saslMechanisms, []any{symbol("PLAIN")}, nil); err != nil {
		return err
	}
	kind, fields, _, _, err := readAMQP(p.conn)
	if err != nil || kind != saslInit {
		return fmt.Errorf("%x: %w", kind, err)
	}
	given, _ := at(fields, 1).([]byte)
	if string(given) != "\x00guest\x00guest" {
		return writeAMQP(p.conn, 1, 0, saslOutcome, []any{uint8(1)}, nil)
	}
	if err := writeAMQP(p.conn, 1, 0, saslOutcome, []any{uint8(0)}, nil); err != nil {
		return err
	}
	return p.greet()
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
		if link := p.links[numberAt(fields, 4)]; at(fields, 4) != nil && link != nil {
			link.credit = numberAt(fields, 5) + numberAt(fields, 6) - link.sent // what is on its way counts
			if at(fields, 8) == true {
				link.credit = 0
				return p.write(amqpFlow, nil, uint32(0), uint32(5000), uint32(0), uint32(5000), uint32(link.handle), uint32(link.sent), uint32(0), uint32(0), true)
			}
			return p.deliver(link)
		}
	case amqpTransfer:
		return p.question(numberAt(fields, 1), payload)
	case amqpDisposition:
		return p.settle(fields)
	case amqpDetach:
		delete(p.links, numberAt(fields, 0))
		return p.write(amqpDetach, nil, uint32(numberAt(fields, 0)), true)
	case amqpEnd, amqpClose:
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
	if err := p.write(amqpAttach, nil, name, uint32(handle), !receives, nil, nil, end(amqpSource, from), end(amqpTarget, to), nil, nil, uint32(0)); err != nil {
		return err
	}
	if !receives {
		return p.write(amqpFlow, nil, uint32(0), uint32(5000), uint32(0), uint32(5000), uint32(handle), uint32(0), uint32(100))
	}
	address, _ := at(from, 0).(string)
	link := &amqpLink{handle: handle, address: address}
	p.links[handle] = link
	if address == "$management" {
		p.reply = link
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

// deliver sends what a link has credit for.
func (p *amqpPeer) deliver(link *amqpLink) error {
	if link == p.reply {
		for link.credit > 0 && len(p.answers) > 0 {
			m := p.answers[0]
			p.answers = p.answers[1:]
			if err := p.send(link, m); err != nil {
				return err
			}
		}
		return nil
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
		if err := p.send(link, m); err != nil {
			return err
		}
	}
	return nil
}

func (p *amqpPeer) send(link *amqpLink, m *amqp1.Message) error {
	body, err := m.MarshalBinary()
	if err != nil {
		p.t.Errorf("encode: %v", err)
		return err
	}
	id := uint64(len(p.sent))
	p.sent[id] = m
	link.credit--
	link.sent++
	return p.write(amqpTransfer, body, uint32(link.handle), uint32(id), fmt.Append(nil, id), uint32(0), false, false)
}

// question is a message that the peer sends.
func (p *amqpPeer) question(delivery uint64, payload []byte) error {
	if err := p.write(amqpDisposition, nil, true, uint32(delivery), uint32(delivery), true, described{amqpAccepted, []any{}}); err != nil {
		return err
	}
	var m amqp1.Message
	p.mu.Lock()
	manage := p.manage
	p.mu.Unlock()
	if err := m.UnmarshalBinary(payload); err != nil || manage == nil {
		return err
	}
	p.answers = append(p.answers, manage(&m))
	return p.deliver(p.reply)
}

// settle notes what became of a message.
func (p *amqpPeer) settle(fields []any) error {
	last := numberAt(fields, 1)
	if at(fields, 2) != nil {
		last = numberAt(fields, 2)
	}
	state, _ := at(fields, 4).(described)
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
		}
	}
	return nil
}
