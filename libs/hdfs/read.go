package hdfs

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"net"
	"strconv"

	"github.com/argosy-mesh/argosy/libs/core/fault"
)

// What data nodes are asked. Source: Hadoop, DataTransferProtocol.
const (
	transferVersion = 28
	opWrite         = 80
	opRead          = 81
)

const (
	// window is how much of a file one question for its blocks is about.
	window = 1 << 30
	// packetLimit is the largest packet of data; they have 64 KiB where nobody changed that.
	packetLimit = 4 << 20
	// headerLimit is the largest header of a packet; it has some twenty bytes.
	headerLimit = 1 << 10
)

// block is a part of a file, and where it is kept.
type block struct {
	id     []byte // ExtendedBlockProto
	token  []byte
	offset int64 // in the file
	size   int64
	nodes  []node
}

// node is a data node.
type node struct {
	raw     []byte // DatanodeInfoProto
	address string
}

// errStriped refuses files whose blocks are spread over nodes.
var errStriped = fault.Poisonf("it is erasure coded, which is not supported")

// blockOf reads a LocatedBlockProto.
func blockOf(raw []byte) (block, error) {
	located, err := readWire(raw)
	if err != nil {
		return block{}, err
	}
	id, err := located.sub(1)
	if err != nil {
		return block{}, err
	}
	if located.has(9) {
		return block{}, errStriped
	}
	b := block{id: located.bytes(1), token: located.bytes(5), offset: int64(located.num(2)), size: int64(id.num(4))}
	for _, place := range located[3] {
		info, err := readWire(place.b)
		if err != nil {
			return b, err
		}
		at, err := info.sub(1)
		if err != nil {
			return b, err
		}
		b.nodes = append(
			b.nodes,
			node{raw: place.b, address: net.JoinHostPort(string(at.bytes(1)), strconv.FormatUint(at.num(4), 10))},
		)
	}
	return b, nil
}

// sized is the id of a block that has this many bytes.
func (b block) sized(size int64) ([]byte, error) {
	id, err := readWire(b.id)
	if err != nil {
		return nil, err
	}
	return putNum(putNum(putNum(putBytes(nil, 1, id.bytes(1)), 2, id.num(2)), 3, id.num(3)), 4, uint64(size)), nil
}

// Read sends a file to a writer, or returns [fs.ErrNotExist]. One that is still being written is an error: nobody knows
// yet what it will be.
func (c *Client) Read(ctx context.Context, name string, to io.Writer) error {
	size := int64(-1)
	for at := int64(0); ; {
		blocks, long, err := c.locate(ctx, name, at)
		if err != nil {
			return err
		}
		if size < 0 {
			size = long
		}
		if size != long {
			return errors.New("it changes while it is read")
		}
		if at == size {
			return nil
		}
		from := at
		for _, b := range blocks {
			if b.offset > at || b.offset+b.size <= at {
				continue
			}
			if at, err = c.readBlock(ctx, b, at, to); err != nil {
				return err
			}
		}
		if at == from || at > size {
			return fmt.Errorf("the name node knows no block with byte %d of %d", from, size)
		}
	}
}

// locate finds the blocks of a file from a byte on, and its size.
func (c *Client) locate(ctx context.Context, name string, at int64) ([]block, int64, error) {
	answer, err := c.call(ctx, "getBlockLocations", putNum(putNum(putBytes(nil, 1, name), 2, uint64(at)), 3, window))
	if err != nil {
		return nil, 0, err
	}
	if !answer.has(1) {
		return nil, 0, fs.ErrNotExist
	}
	located, err := answer.sub(1)
	switch {
	case err != nil:
		return nil, 0, err
	case located.num(3) != 0:
		return nil, 0, errors.New("it is still being written")
	case located.has(6):
		return nil, 0, fault.Poisonf("it is in an encryption zone, which is not supported")
	case located.has(7):
		return nil, 0, errStriped
	}
	var blocks []block
	for _, raw := range located[2] {
		b, err := blockOf(raw.b)
		if err != nil {
			return nil, 0, err
		}
		if b.offset < 0 || b.size < 0 || b.offset+b.size < b.offset {
			return nil, 0, errWire
		}
		blocks = append(blocks, b)
	}
	return blocks, int64(located.num(1)), nil
}

// errSink marks that the reader is gone: no other node helps.
var errSink = errors.New("nobody takes it")

// readBlock sends a block from a byte of the file on, from the first node that has it. A node that breaks off is
// followed by another, from there on.
func (c *Client) readBlock(ctx context.Context, b block, at int64, to io.Writer) (int64, error) {
	failed := fmt.Errorf("no data node has byte %d", at)
	for i, n := range b.nodes {
		sent, err := c.readFrom(ctx, n, b, at-b.offset, to)
		at += sent
		switch {
		case err == nil:
			return at, nil
		case ctx.Err() != nil:
			return at, context.Cause(ctx)
		case errors.Is(err, errSink):
			return at, err
		}
		err = fmt.Errorf("data node %s: %w", n.address, err)
		if i == 0 {
			failed = err
		} else {
			failed = errors.Join(failed, err)
		}
	}
	return at, failed
}

// readFrom sends a block from one of its bytes on, as one node has it.
func (c *Client) readFrom(ctx context.Context, n node, b block, from int64, to io.Writer) (sent int64, err error) {
	conn, err := c.connect(ctx, n.address)
	if err != nil {
		return 0, err
	}
	defer conn.hangUp()
	op := putNum(putNum(putBytes(nil, 1, c.operation(b.id, b.token)), 2, uint64(from)), 3, uint64(b.size-from))
	if _, err := conn.Write(request(opRead, op)); err != nil {
		return 0, err
	}
	answer, err := agreed(conn.in)
	if err != nil {
		return 0, err
	}
	about, err := answer.sub(4)
	if err != nil {
		return 0, err
	}
	sums, err := checksumOf(about)
	if err != nil {
		return 0, err
	}
	p := packets{in: conn.in, sums: sums, at: int64(about.num(2))}
	for from+sent < b.size {
		data, err := p.next()
		if err != nil {
			return sent, err
		}
		// A read begins with the chunk that the byte is in.
		if skip := from + sent - (p.at - int64(len(data))); skip > 0 {
			data = data[min(skip, int64(len(data))):]
		} else if skip < 0 {
			return sent, errors.New("it leaves bytes out")
		}
		data = data[:min(int64(len(data)), b.size-from-sent)]
		wrote, err := to.Write(data)
		sent += int64(wrote)
		if err != nil {
			return sent, errors.Join(errSink, err)
		}
	}
	return sent, nil
}

// operation is a ClientOperationHeaderProto.
func (c *Client) operation(id, token []byte) []byte {
	return putBytes(putBytes(nil, 1, putBytes(putBytes(nil, 1, id), 2, token)), 2, c.holder())
}

// request is an operation that a data node is asked for.
func request(op byte, message []byte) []byte {
	out := append([]byte{0, transferVersion, op}, binary.AppendUvarint(nil, uint64(len(message)))...)
	return append(out, message...)
}

// agreed reads what a data node answers to a request.
func agreed(in *bufio.Reader) (wire, error) {
	answer, err := readPrefixed(in)
	if err != nil {
		return nil, err
	}
	if status := answer.num(1); status != 0 {
		return nil, fmt.Errorf("it refuses with status %d %q", status, answer.bytes(5))
	}
	return answer, nil
}

// checksum is how the chunks of a packet are checked.
type checksum struct {
	table *crc32.Table // nil: they are not
	chunk int          // bytes that one sum is for
}

// checksumOf reads a ReadOpChecksumInfoProto.
func checksumOf(about wire) (checksum, error) {
	how, err := about.sub(1)
	if err != nil {
		return checksum{}, err
	}
	s := checksum{chunk: int(how.num(2))}
	if s.chunk < 1 || s.chunk > packetLimit {
		return s, fmt.Errorf("it checks chunks of %d bytes", how.num(2))
	}
	switch how.num(1) {
	case 0:
	case 1:
		s.table = crc32.IEEETable
	case 2:
		s.table = crc32.MakeTable(crc32.Castagnoli)
	default:
		return s, fmt.Errorf("it has checksums of kind %d", how.num(1))
	}
	return s, nil
}

// packets is the data of a block as a data node sends it.
type packets struct {
	in   *bufio.Reader
	sums checksum
	at   int64 // in the block: where the next packet begins
	last bool
	keep []byte
}

// next is the data of the next packet, good until the one after it.
func (p *packets) next() ([]byte, error) {
	if p.last {
		return nil, io.ErrUnexpectedEOF
	}
	head, long, err := packetHead(p.in)
	if err != nil {
		return nil, err
	}
	size := int(int32(head.num(4)))
	if size < 0 || size > packetLimit || long > packetLimit {
		return nil, fmt.Errorf("a packet has %d bytes, %d of them data", long, size)
	}
	sums := 0
	if p.sums.table != nil {
		sums = (size + p.sums.chunk - 1) / p.sums.chunk * 4
	}
	if int64(head.num(1)) != p.at || long != 4+sums+size {
		return nil, errors.New("a packet is not the next one")
	}
	if cap(p.keep) < sums+size {
		p.keep = make([]byte, sums+size)
	}
	body := p.keep[:sums+size]
	if _, err := io.ReadFull(p.in, body); err != nil {
		return nil, whole(err)
	}
	p.at, p.last = p.at+int64(size), head.num(3) != 0
	data := body[sums:]
	return data, p.sums.check(data, body[:sums])
}

// check compares the chunks of some data with their sums.
func (s checksum) check(data, sums []byte) error {
	for ; len(sums) > 0; sums = sums[4:] {
		size := min(s.chunk, len(data))
		if crc32.Checksum(data[:size], s.table) != binary.BigEndian.Uint32(sums) {
			return errors.New("the data is broken")
		}
		data = data[size:]
	}
	return nil
}

// packetHead reads what stands before the sums and the data of a packet: its header, and its length without that.
func packetHead(in *bufio.Reader) (head wire, long int, err error) {
	var sizes [6]byte
	if _, err := io.ReadFull(in, sizes[:]); err != nil {
		return nil, 0, whole(err)
	}
	size := binary.BigEndian.Uint16(sizes[4:])
	if size > headerLimit {
		return nil, 0, fmt.Errorf("a packet has a header of %d bytes", size)
	}
	raw := make([]byte, size)
	if _, err := io.ReadFull(in, raw); err != nil {
		return nil, 0, whole(err)
	}
	head, err = readWire(raw)
	return head, int(binary.BigEndian.Uint32(sizes[:4])), err
}
