package hdfs

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// The beginning of a connection to a name node. Source: Hadoop, "RPC": version 9, no service class, no authentication.
const hello = "hrpc\x09\x00\x00"

// What is called, and by which class.
const (
	clientProtocol = "org.apache.hadoop.hdfs.protocol.ClientProtocol"
	kindProtobuf   = 2  // RpcKindProto
	introduction   = -3 // the call that only tells who is there
)

const (
	// patience bounds connecting, and each reading and writing: an upload that pauses is the pod's matter, not the
	// node's.
	patience = time.Minute
	// answerLimit is the largest answer of a name node; a page of a listing has some hundred KiB.
	answerLimit = 4 << 20
	// messageLimit is the largest message of a data node; it has some hundred bytes.
	messageLimit = 64 << 10
)

// New returns a client. It connects when it is asked.
func New(c Config) *Client {
	out := &Client{config: c}
	_, _ = rand.Read(out.id[:]) // never fails, by its documentation
	return out
}

// link is a connection that ends with a context, and on which nothing waits longer than patience.
type link struct {
	net.Conn

	in   *bufio.Reader
	stop func() bool
}

// connect opens a connection that ends with ctx.
func (c *Client) connect(ctx context.Context, address string) (*link, error) {
	dial := c.config.Dial
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	soon, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := dial(soon, "tcp", address)
	if err != nil {
		return nil, err
	}
	l := &link{Conn: conn, stop: context.AfterFunc(ctx, func() { _ = conn.Close() })}
	l.in = bufio.NewReader(patient{conn})
	return l, nil
}

// Write sends all of p.
func (l *link) Write(p []byte) (int, error) {
	if err := l.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return 0, err
	}
	return l.Conn.Write(p)
}

// hangUp ends the connection. Nothing is on the way that counts.
func (l *link) hangUp() {
	l.stop()
	_ = l.Close()
}

// patient reads from a connection that must not be silent for long.
type patient struct{ conn net.Conn }

func (p patient) Read(b []byte) (int, error) {
	if err := p.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return 0, err
	}
	return p.conn.Read(b)
}

// errNobody says that there is no name node to ask.
var errNobody = errors.New("no name node is named")

// Close ends the connection to the name node. The client connects again when it is asked again.
func (c *Client) Close() {
	if c.conn != nil {
		c.conn.hangUp()
		c.conn = nil
	}
}

// call asks the active name node, and finds out which that is.
func (c *Client) call(ctx context.Context, method string, question []byte) (wire, error) {
	c.calls++
	failed := errNobody
	for range c.config.Addresses {
		used := c.conn != nil
		answer, err := c.try(ctx, method, question)
		if _, said := errors.AsType[*remoteError](err); err != nil && !said && used {
			// One that was idle may have been hung up. A call that comes twice with its number is done once.
			c.Close()
			answer, err = c.try(ctx, method, question)
		}
		if err == nil {
			return answer, nil
		}
		c.Close() // whatever went wrong: the next call begins afresh
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		address := c.config.Addresses[c.active]
		if said, is := errors.AsType[*remoteError](err); is && !said.standby() {
			return nil, said.classed(address)
		}
		err = fmt.Errorf("name node %s: %w", address, err)
		if failed = errors.Join(failed, err); errors.Is(failed, errNobody) {
			failed = err
		}
		c.active = (c.active + 1) % len(c.config.Addresses)
	}
	return nil, failed
}

func (c *Client) try(ctx context.Context, method string, question []byte) (wire, error) {
	if c.conn == nil {
		conn, err := c.connect(ctx, c.config.Addresses[c.active])
		if err != nil {
			return nil, err
		}
		c.conn = conn
		who := putBytes(putBytes(nil, 2, putBytes(nil, 1, c.config.User)), 3, clientProtocol)
		if _, err := conn.Write(append([]byte(hello), c.packet(introduction, who)...)); err != nil {
			return nil, err
		}
	}
	what := putNum(putBytes(putBytes(nil, 1, method), 2, clientProtocol), 3, 1)
	if _, err := c.conn.Write(c.packet(c.calls, what, question)); err != nil {
		return nil, err
	}
	var size [4]byte
	if _, err := io.ReadFull(c.conn.in, size[:]); err != nil {
		return nil, whole(err)
	}
	long := binary.BigEndian.Uint32(size[:])
	if long > answerLimit {
		return nil, fmt.Errorf("an answer of %d bytes, more than %d", long, answerLimit)
	}
	packet := make([]byte, long)
	if _, err := io.ReadFull(c.conn.in, packet); err != nil {
		return nil, whole(err)
	}
	return readAnswer(packet, c.calls)
}

// packet is a call: its header, and parts with their length before them.
func (c *Client) packet(call int32, parts ...[]byte) []byte {
	header := putNum(putNum(nil, 1, kindProtobuf), 2, 0)
	header = putBytes(putNum(header, 3, protowire.EncodeZigZag(int64(call))), 4, c.id[:])
	body := protowire.AppendBytes(nil, header)
	for _, part := range parts {
		body = protowire.AppendBytes(body, part)
	}
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
}

// readAnswer takes a packet apart: a header, and what was asked for.
func readAnswer(packet []byte, call int32) (wire, error) {
	head, size := protowire.ConsumeBytes(packet)
	if size < 0 {
		return nil, errWire
	}
	header, err := readWire(head)
	if err != nil {
		return nil, err
	}
	if header.num(2) != 0 {
		text, _, _ := strings.Cut(string(header.bytes(5)), "\n") // the stack follows
		return nil, &remoteError{class: string(header.bytes(4)), text: text}
	}
	if int32(header.num(1)) != call {
		return nil, errors.New("the answer is to another call")
	}
	body, size := protowire.ConsumeBytes(packet[size:])
	if size < 0 {
		return nil, errWire
	}
	return readWire(body)
}
