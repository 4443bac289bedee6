package pull

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// The beginning of a connection to a name node. Source: Hadoop, "RPC": version 9, no
// service class, no authentication.
const hadoopHello = "hrpc\x09\x00\x00"

// What is called, and by which class.
const (
	hadoopProtocol  = "org.apache.hadoop.hdfs.protocol.ClientProtocol"
	hadoopProtobuf  = 2  // RpcKindProto
	hadoopHandshake = -3 // the call that only tells who is there
)

// The exceptions that mean more than a text.
const (
	hadoopStandby = "org.apache.hadoop.ipc.StandbyException"
	hadoopGone    = "java.io.FileNotFoundException"
)

const (
	// hadoopPatience bounds connecting and each call.
	hadoopPatience = 30 * time.Second
	// hadoopMost is the largest answer; a page of a listing has some hundred KiB.
	hadoopMost = 16 << 20
)

var errStandby = errors.New("the name node stands by")

// nameNodes are those of a cluster, of which one is active.
type nameNodes struct {
	addresses []string
	user      string

	active int // of addresses
	conn   net.Conn
	in     *bufio.Reader
	stop   func() bool
	calls  int64
}

// call asks the active name node, and finds out which that is.
func (n *nameNodes) call(ctx context.Context, method string, question []byte) (wire, error) {
	var failed error
	for range n.addresses {
		answer, err := n.try(ctx, method, question)
		if err == nil {
			return answer, nil
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		failed = errors.Join(failed, fmt.Errorf("%s: %w", n.addresses[n.active], err))
		n.close()
		n.active = (n.active + 1) % len(n.addresses)
	}
	return nil, failed
}

func (n *nameNodes) try(ctx context.Context, method string, question []byte) (wire, error) {
	if err := n.dial(ctx); err != nil {
		return nil, err
	}
	if err := n.conn.SetDeadline(time.Now().Add(hadoopPatience)); err != nil {
		return nil, err
	}
	n.calls++
	what := putNum(putBytes(putBytes(nil, 1, method), 2, hadoopProtocol), 3, 1)
	if _, err := n.conn.Write(hadoopPacket(n.calls, what, question)); err != nil {
		return nil, err
	}
	return n.answer()
}

// dial connects, where that is not done. The connection ends with ctx.
func (n *nameNodes) dial(ctx context.Context) error {
	if n.conn != nil {
		return nil
	}
	conn, err := (&net.Dialer{Timeout: hadoopPatience}).DialContext(ctx, "tcp", n.addresses[n.active])
	if err != nil {
		return err
	}
	n.conn, n.in = conn, bufio.NewReader(conn)
	n.stop = context.AfterFunc(ctx, func() { _ = conn.Close() })
	who := putBytes(putBytes(nil, 2, putBytes(nil, 1, n.user)), 3, hadoopProtocol)
	_, err = conn.Write(append([]byte(hadoopHello), hadoopPacket(hadoopHandshake, who)...))
	return err
}

func (n *nameNodes) close() {
	if n.conn == nil {
		return
	}
	n.stop()
	_ = n.conn.Close() // nothing is on the way that counts
	n.conn = nil
}

// hadoopPacket is a call: its header, and parts with their length before them.
func hadoopPacket(call int64, parts ...[]byte) []byte {
	header := putNum(putNum(nil, 1, hadoopProtobuf), 2, 0)
	header = putBytes(putNum(header, 3, protowire.EncodeZigZag(call)), 4, "argosy-reader-01") // sixteen bytes
	body := protowire.AppendBytes(nil, header)
	for _, part := range parts {
		body = protowire.AppendBytes(body, part)
	}
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
}

// answer reads the answer to the last call.
func (n *nameNodes) answer() (wire, error) {
	var size [4]byte
	if _, err := io.ReadFull(n.in, size[:]); err != nil {
		return nil, err
	}
	long := binary.BigEndian.Uint32(size[:])
	if long > hadoopMost {
		return nil, fmt.Errorf("an answer of %d bytes, more than %d", long, hadoopMost)
	}
	packet := make([]byte, long)
	if _, err := io.ReadFull(n.in, packet); err != nil {
		return nil, err
	}
	return hadoopAnswer(packet, n.calls)
}

// hadoopAnswer takes a packet apart: a header, and what was asked for.
func hadoopAnswer(packet []byte, call int64) (wire, error) {
	head, size := protowire.ConsumeBytes(packet)
	if size < 0 {
		return nil, protowire.ParseError(size)
	}
	header, err := readWire(head)
	if err != nil {
		return nil, err
	}
	text, _, _ := strings.Cut(header.str(5), "\n") // the stack follows
	switch {
	case header.num(2) != 0 && header.str(4) == hadoopStandby:
		return nil, errStandby
	case header.num(2) != 0 && header.str(4) == hadoopGone:
		return nil, fs.ErrNotExist
	case header.num(2) != 0:
		return nil, fmt.Errorf("the name node says %s %q", header.str(4), text)
	case int64(int32(header.num(1))) != call:
		return nil, errors.New("the answer is to another call")
	}
	body, size := protowire.ConsumeBytes(packet[size:])
	if size < 0 {
		return nil, protowire.ParseError(size)
	}
	return readWire(body)
}
