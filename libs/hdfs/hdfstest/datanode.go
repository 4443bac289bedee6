package hdfstest

import (
	"bufio"
	"encoding/binary"
	"hash/crc32"
	"io"
	"net"
	"strconv"
	"sync"

	"google.golang.org/protobuf/encoding/protowire"
)

// Fault is what a data node does wrong.
type Fault int

// The faults of data nodes.
const (
	Well    Fault = iota
	Refuses       // says no to each request
	Breaks        // hangs up in the middle of a block
	Garbles       // changes a byte that it sends, or calls the first packet it gets broken
	Floods        // says that an answer has more bytes than there are
)

// dataNode keeps the blocks of a cluster; all of them keep all.
type dataNode struct {
	cluster *Cluster
	address string

	mu    sync.Mutex
	fault Fault
}

// Fail makes a data node, 0 or 1, do wrong.
func (h *Cluster) Fail(node int, f Fault) {
	n := h.nodes[node]
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fault = f
}

func (n *dataNode) wrong() Fault {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.fault
}

// serve does one operation. Source: Hadoop, DataTransferProtocol.
func (n *dataNode) serve(conn net.Conn) {
	in := bufio.NewReader(conn)
	head := make([]byte, 3)
	if _, err := io.ReadFull(in, head); err != nil || head[0] != 0 || head[1] != 28 {
		return
	}
	op, err := prefixed(in)
	if err != nil {
		return
	}
	id, allowed := allows(op.inner(1))
	switch {
	case n.wrong() == Floods:
		_, _ = conn.Write(binary.AppendUvarint(nil, 1<<40))
	case n.wrong() == Refuses || !allowed:
		_, _ = conn.Write(protowire.AppendBytes(nil, encode(1, 5, 5, "not you")))
	case head[2] == 81:
		n.read(conn, id, int(op.number(2)), int(op.number(3)))
	case head[2] == 80 && n.cluster.begins(op):
		n.write(conn, in, id)
	}
}

// allows reads whose block an operation is about, and whether its token is of that block.
func allows(header message) (id int, allowed bool) {
	base := header.inner(1)
	id = int(base.inner(1).number(2))
	return id, base.inner(1).text(1) == pool && base.inner(2).text(2) == strconv.Itoa(id) && header.text(2) != ""
}

// begins reports whether a block is to be written through all nodes, with CRC32C of 512 bytes.
func (h *Cluster) begins(op message) bool {
	sums := op.inner(9)
	return len(op[2]) == len(h.nodes)-1 && op.number(4) == 6 && int(op.number(5)) == len(h.nodes) &&
		sums.number(1) == 2 &&
		sums.number(2) == 512
}

// read sends a range of a block, from the chunk that it begins in, in packets of three chunks.
func (n *dataNode) read(conn io.Writer, id, from, long int) {
	n.cluster.mu.Lock()
	content := n.cluster.blocks[id]
	n.cluster.mu.Unlock()
	if long <= 0 || from+long > len(content) {
		_, _ = conn.Write(protowire.AppendBytes(nil, encode(1, 3, 5, "no such bytes")))
		return
	}
	at := from / 512 * 512
	_, _ = conn.Write(protowire.AppendBytes(nil, encode(1, 0, 4, encode(1, encode(1, 1, 2, 512), 2, at))))
	for seqno := 0; at < from+long; seqno++ {
		if n.wrong() == Breaks && seqno == 2 {
			return
		}
		data := content[at:min(at+3*512, len(content))]
		packet := n.packet(data, at, seqno)
		if n.wrong() == Garbles && seqno == 1 {
			packet[len(packet)-1] ^= 1
		}
		if _, err := conn.Write(packet); err != nil {
			return
		}
		at += len(data)
	}
}

// packet is one with CRC32 sums.
func (n *dataNode) packet(data []byte, at, seqno int) []byte {
	head := protowire.AppendFixed64(protowire.AppendTag(nil, 1, protowire.Fixed64Type), uint64(at))
	head = protowire.AppendFixed64(protowire.AppendTag(head, 2, protowire.Fixed64Type), uint64(seqno))
	head = append(head, encode(3, 0)...)
	head = protowire.AppendFixed32(protowire.AppendTag(head, 4, protowire.Fixed32Type), uint32(len(data)))
	var sums []byte
	for rest := data; len(rest) > 0; rest = rest[min(512, len(rest)):] {
		sums = binary.BigEndian.AppendUint32(sums, crc32.ChecksumIEEE(rest[:min(512, len(rest))]))
	}
	out := binary.BigEndian.AppendUint32(nil, uint32(4+len(sums)+len(data)))
	out = append(binary.BigEndian.AppendUint16(out, uint16(len(head))), head...)
	return append(append(out, sums...), data...)
}

// write takes a block. It is kept when its last packet has come.
func (n *dataNode) write(conn io.Writer, in *bufio.Reader, id int) {
	_, _ = conn.Write(protowire.AppendBytes(nil, encode(1, 0, 2, "")))
	content := []byte{}
	for seqno := uint64(0); ; seqno++ {
		head, data, err := received(in)
		if err != nil || head.number(1) != uint64(len(content)) || head.number(2) != seqno ||
			len(content)%512 != 0 && len(data) > 0 {
			return
		}
		if n.wrong() == Breaks && seqno == 1 {
			return
		}
		status := 0
		if n.wrong() == Garbles {
			status = 2
		}
		content = append(content, data...)
		last := head.number(3) == 1
		if last {
			n.cluster.mu.Lock()
			n.cluster.blocks[id] = content
			n.cluster.mu.Unlock()
		}
		ack := encode(1, int(protowire.EncodeZigZag(int64(seqno))), 2, 0, 2, status)
		if _, err := conn.Write(protowire.AppendBytes(nil, ack)); err != nil || last {
			return
		}
	}
}

// received reads a packet and checks its sums.
func received(in *bufio.Reader) (head message, data []byte, err error) {
	var sizes [6]byte
	if _, err := io.ReadFull(in, sizes[:]); err != nil {
		return nil, nil, err
	}
	raw := make([]byte, binary.BigEndian.Uint16(sizes[4:]))
	if _, err := io.ReadFull(in, raw); err != nil {
		return nil, nil, err
	}
	if head, err = decode(raw); err != nil {
		return nil, nil, err
	}
	size := int(head.number(4))
	chunks := (size + 511) / 512
	if int(binary.BigEndian.Uint32(sizes[:4])) != 4+4*chunks+size || head.number(3) == 1 && size != 0 {
		return nil, nil, errPeer
	}
	body := make([]byte, 4*chunks+size)
	if _, err := io.ReadFull(in, body); err != nil {
		return nil, nil, err
	}
	sums, data := body[:4*chunks], body[4*chunks:]
	for i := range chunks {
		part := data[512*i : min(512*i+512, size)]
		if crc32.Checksum(part, crc32.MakeTable(crc32.Castagnoli)) != binary.BigEndian.Uint32(sums[4*i:]) {
			return nil, nil, errPeer
		}
	}
	return head, data, nil
}
