package pull

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// The commands of Pulsar; each stands in the field that has its number. Source:
// PulsarApi.proto, BaseCommand.
const (
	cmdConnect, cmdConnected               = 2, 3
	cmdSubscribe, cmdMessage               = 4, 9
	cmdAck, cmdFlow                        = 10, 11
	cmdSuccess, cmdError                   = 13, 14
	cmdCloseConsumer                       = 16
	cmdPing, cmdPong                       = 18, 19
	cmdPartitions, cmdPartitionsAnswer     = 21, 22
	cmdLookup, cmdLookupAnswer             = 23, 24
	pulsarVersion                          = 15
	lookupRedirect, lookupFailed, tooOften = 0, 2, 20
)

const (
	// pulsarPatience bounds connecting, and each question.
	pulsarPatience = 10 * time.Second
	// pulsarSilence is how long a broker may say nothing; it pings each 30 s.
	pulsarSilence = 90 * time.Second
	// pulsarFrame is the largest frame: a message of 5 MiB is the most by default, and
	// a cluster may allow more.
	pulsarFrame = 32 << 20
	// pulsarConsumer is the number of the one consumer of a connection.
	pulsarConsumer = 1
)

// errMoved is the end of a consumer whose topic goes to another broker.
var errMoved = errors.New("the topic moves to another broker")

// pulsarServer is how a cluster is reached.
type pulsarServer struct {
	hosts  []string // host:port
	secure *tls.Config
	method string // of authentication: token, tls or none
	token  string
}

// pulsarHosts reads the URL of a cluster; ssl reports whether it wants TLS.
func pulsarHosts(text string) (hosts []string, ssl bool, err error) {
	scheme, rest, _ := strings.Cut(text, "://")
	port := "6650"
	switch scheme {
	case "pulsar":
	case "pulsar+ssl":
		ssl, port = true, "6651"
	default:
		return nil, false, fmt.Errorf("url %q begins neither with pulsar:// nor with pulsar+ssl://", text)
	}
	for host := range strings.SplitSeq(strings.TrimSuffix(rest, "/"), ",") {
		if host == "" {
			return nil, false, fmt.Errorf("url %q names no host", text)
		}
		if _, _, err := net.SplitHostPort(host); err != nil {
			host = net.JoinHostPort(strings.Trim(host, "[]"), port)
		}
		hosts = append(hosts, host)
	}
	return hosts, ssl, nil
}

// pulsarConn is one connection. Questions are asked one after the other, before
// messages flow.
type pulsarConn struct {
	conn  net.Conn
	in    *bufio.Reader
	write sync.Mutex
	asked uint64
	stop  func() bool
}

// any connects to the first host that answers.
func (s pulsarServer) any(ctx context.Context) (*pulsarConn, error) {
	var failed error
	for _, host := range s.hosts {
		c, err := s.dial(ctx, host, "")
		if err == nil {
			return c, nil
		}
		failed = errors.Join(failed, err)
	}
	return nil, failed
}

// dial connects to a host; behind names the broker when the host is a proxy.
func (s pulsarServer) dial(ctx context.Context, host, behind string) (*pulsarConn, error) {
	conn, err := (&net.Dialer{Timeout: pulsarPatience}).DialContext(ctx, "tcp", host)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	if s.secure != nil {
		cfg := s.secure.Clone()
		cfg.ServerName, _, _ = net.SplitHostPort(host)
		conn = tls.Client(conn, cfg)
	}
	c := &pulsarConn{conn: conn, in: bufio.NewReader(conn)}
	c.stop = context.AfterFunc(ctx, func() { _ = conn.Close() })
	hello := putNum(putBytes(nil, 1, "argosy"), 4, pulsarVersion)
	hello = putBytes(putBytes(hello, 5, s.method), 3, s.token)
	if behind != "" {
		hello = putBytes(hello, 6, behind)
	}
	if err := c.send(cmdConnect, hello); err != nil {
		return nil, errors.Join(err, c.close())
	}
	if _, err := c.until(cmdConnected); err != nil {
		return nil, errors.Join(fmt.Errorf("greet %s: %w", host, err), c.close())
	}
	return c, nil
}

func (c *pulsarConn) close() error {
	c.stop()
	return c.conn.Close()
}

func (c *pulsarConn) send(kind protowire.Number, fields []byte) error {
	command := putBytes(putNum(nil, 1, uint64(kind)), kind, fields)
	out := binary.BigEndian.AppendUint32(nil, uint32(4+len(command)))
	out = binary.BigEndian.AppendUint32(out, uint32(len(command)))
	c.write.Lock()
	defer c.write.Unlock()
	if err := c.conn.SetWriteDeadline(time.Now().Add(pulsarPatience)); err != nil {
		return err
	}
	_, err := c.conn.Write(append(out, command...))
	return err
}

// read returns the next command and what follows it, and answers pings by itself.
func (c *pulsarConn) read(patience time.Duration) (kind protowire.Number, fields wire, entry []byte, err error) {
	for {
		if err := c.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			return 0, nil, nil, err
		}
		var size [4]byte
		if _, err := io.ReadFull(c.in, size[:]); err != nil {
			return 0, nil, nil, err
		}
		n := binary.BigEndian.Uint32(size[:])
		if n > pulsarFrame {
			return 0, nil, nil, fmt.Errorf("a frame of %d bytes, more than %d", n, pulsarFrame)
		}
		frame := make([]byte, n)
		if _, err := io.ReadFull(c.in, frame); err != nil {
			return 0, nil, nil, err
		}
		text, entry, err := cut(frame)
		if err != nil {
			return 0, nil, nil, err
		}
		command, err := readWire(text)
		if err != nil {
			return 0, nil, nil, err
		}
		kind := protowire.Number(min(command.num(1), 1000))
		if kind == cmdPing {
			if err := c.send(cmdPong, nil); err != nil {
				return 0, nil, nil, err
			}
			continue
		}
		fields, err := command.sub(kind)
		return kind, fields, entry, err
	}
}

// until reads until an answer of a kind is there; an error of the broker is one here.
func (c *pulsarConn) until(want protowire.Number) (wire, error) {
	for {
		kind, fields, _, err := c.read(pulsarPatience)
		switch {
		case err != nil:
			return nil, err
		case kind == cmdError:
			return nil, fmt.Errorf("the broker says %d %q", fields.num(2), fields.str(3))
		case kind == want:
			return fields, nil
		}
	}
}

// ask numbers a question.
func (c *pulsarConn) ask(kind, answer, number protowire.Number, fields []byte) (wire, error) {
	c.asked++
	if err := c.send(kind, putNum(fields, number, c.asked)); err != nil {
		return nil, err
	}
	return c.until(answer)
}

// partitions are the topics that a topic is made of: itself, when it has no
// partitions.
func (c *pulsarConn) partitions(topic string) ([]string, error) {
	answer, err := c.ask(cmdPartitions, cmdPartitionsAnswer, 2, putBytes(nil, 1, topic))
	if err != nil {
		return nil, err
	}
	if answer.num(3) != 0 {
		return nil, fmt.Errorf("ask for topic %s: the broker says %d %q", topic, answer.num(4), answer.str(5))
	}
	n := answer.num(1)
	if n == 0 || n > 1<<12 {
		return []string{topic}, nil
	}
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("%s-partition-%d", topic, i))
	}
	return out, nil
}

// owner connects to the broker that serves a topic, through redirects and proxies.
func (s pulsarServer) owner(ctx context.Context, topic string) (*pulsarConn, error) {
	c, err := s.any(ctx)
	if err != nil {
		return nil, err
	}
	authoritative := uint64(0)
	for range tooOften {
		answer, err := c.ask(cmdLookup, cmdLookupAnswer, 2, putNum(putBytes(nil, 1, topic), 3, authoritative))
		_ = c.close()
		if err != nil {
			return nil, fmt.Errorf("look up topic %s: %w", topic, err)
		}
		if answer.num(3) == lookupFailed {
			return nil, fmt.Errorf("look up topic %s: the broker says %d %q", topic, answer.num(6), answer.str(7))
		}
		if c, err = s.follow(ctx, answer); err != nil {
			return nil, err
		}
		if answer.num(3) != lookupRedirect {
			return c, nil
		}
		authoritative = answer.num(5)
	}
	_ = c.close()
	return nil, fmt.Errorf("look up topic %s: the brokers send us round and round", topic)
}

// follow connects to where an answer points.
func (s pulsarServer) follow(ctx context.Context, answer wire) (*pulsarConn, error) {
	address := answer.str(1)
	if s.secure != nil {
		address = answer.str(2)
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("the broker points to %q", address)
	}
	if answer.num(8) == 0 {
		return s.dial(ctx, u.Host, "")
	}
	return s.dial(ctx, s.hosts[0], u.Host)
}

// pulsarPlace is where an entry stands in its topic.
type pulsarPlace struct{ ledger, entry uint64 }

// pulsarDelivery is an entry as it comes.
type pulsarDelivery struct {
	at    pulsarPlace
	data  []byte
	acked []wireValue // words of bits; a bit that is off was acknowledged, none means all are on
}

// wanted reports whether a message of a batch is still to be read.
func (d pulsarDelivery) wanted(i int) bool {
	return len(d.acked) == 0 || i/64 < len(d.acked) && d.acked[i/64].n>>(i%64)&1 == 1
}

// deliveries reads entries into a channel until the connection ends, and returns why.
// The channel holds as many as the broker may send.
func (c *pulsarConn) deliveries(ctx context.Context, out chan<- pulsarDelivery) error {
	defer close(out)
	for {
		kind, fields, entry, err := c.read(pulsarSilence)
		if err != nil {
			return err
		}
		switch kind {
		case cmdMessage:
			at, err := fields.sub(2)
			if err != nil {
				return err
			}
			select {
			case out <- pulsarDelivery{at: pulsarPlace{at.num(1), at.num(2)}, data: entry, acked: fields[4]}:
			case <-ctx.Done():
				return ctx.Err()
			}
		case cmdCloseConsumer:
			return errMoved
		case cmdError:
			return fmt.Errorf("the broker says %d %q", fields.num(2), fields.str(3))
		}
	}
}

// permit lets the broker send so many messages more.
func (c *pulsarConn) permit(n int) error {
	return c.send(cmdFlow, putNum(putNum(nil, 1, pulsarConsumer), 2, uint64(n)))
}

// acknowledge tells that entries are durable.
func (c *pulsarConn) acknowledge(places ...pulsarPlace) error {
	fields := putNum(putNum(nil, 1, pulsarConsumer), 2, 0)
	for _, p := range places {
		fields = putBytes(fields, 3, putNum(putNum(nil, 1, p.ledger), 2, p.entry))
	}
	return c.send(cmdAck, fields)
}
