package bench

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// wirePatience bounds one request.
const wirePatience = 10 * time.Second

// wire posts one request again and again over connections that stay open. The requests are written out beforehand but
// for what differs: a client that makes each anew takes as much of the machine as what is measured.
type wire struct {
	address string
	head    []byte // up to the value of the header that differs
	tail    []byte // from there on, with the body
	idle    chan *wireConn
}

type wireConn struct {
	net.Conn
	in  *bufio.Reader
	out bytes.Buffer
}

// posting is a POST of a body, and the header whose value differs each time.
type posting struct {
	address, path string
	header        map[string]string
	differs       string
	body          []byte
}

// newWire writes a posting out for so many connections.
func newWire(p posting, connections int) *wire {
	w := &wire{address: p.address, idle: make(chan *wireConn, connections)}
	head := &bytes.Buffer{}
	fmt.Fprintf(head, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n", p.path, p.address, len(p.body))
	for name, value := range p.header {
		fmt.Fprintf(head, "%s: %s\r\n", name, value)
	}
	fmt.Fprintf(head, "%s: ", p.differs)
	w.head = head.Bytes()
	w.tail = append([]byte("\r\n\r\n"), p.body...)
	return w
}

// post sends one request and reads its answer to the end.
func (w *wire) post(ctx context.Context, value string) (status int, err error) {
	c, err := w.connection(ctx)
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			_ = c.Close()
			return
		}
		w.idle <- c
	}()
	if err := c.SetDeadline(time.Now().Add(wirePatience)); err != nil {
		return 0, err
	}
	c.out.Reset()
	c.out.Write(w.head)
	c.out.WriteString(value)
	c.out.Write(w.tail)
	if _, err := c.Write(c.out.Bytes()); err != nil {
		return 0, fmt.Errorf("send: %w", err)
	}
	res, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return 0, fmt.Errorf("read the answer: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return 0, fmt.Errorf("read the answer: %w", err)
	}
	return res.StatusCode, nil
}

// connection is an idle one, or a new one: there are never more than callers at once.
func (w *wire) connection(ctx context.Context) (*wireConn, error) {
	select {
	case c := <-w.idle:
		return c, nil
	default:
	}
	var dialer net.Dialer
	c, err := dialer.DialContext(ctx, "tcp", w.address)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return &wireConn{Conn: c, in: bufio.NewReader(c)}, nil
}

// close ends what is idle.
func (w *wire) close() {
	for {
		select {
		case c := <-w.idle:
			_ = c.Close()
		default:
			return
		}
	}
}
