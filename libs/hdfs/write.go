package hdfs

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/retry"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"google.golang.org/protobuf/encoding/protowire"
)

const (
	// packetData is the data of one packet: whole chunks.
	packetData = 64 << 10
	// chunk is how much one checksum is for.
	chunk = 512
	// unanswered is how many packets may be on the way.
	unanswered = 16
	// setUp is the stage of a block that begins. Source: Hadoop, BlockConstructionStage.PIPELINE_SETUP_CREATE.
	setUp = 6
)

// ErrSource says that what was to be written could not be read to its end.
var ErrSource = errors.New("what is to be written breaks off")

// Write makes a file of what a reader holds, with the folders above it. One that is there is [fs.ErrExist]. After an
// error a part of it may be there, which its name node closes one day: write aside, then rename.
func (c *Client) Write(ctx context.Context, name string, from io.Reader) error {
	defaults, err := c.defaults(ctx)
	if err != nil {
		return err
	}
	question := putBytes(putBytes(putBytes(nil, 1, name), 2, putNum(nil, 1, 0o644)), 3, c.holder())
	question = putNum(putNum(putNum(putNum(question, 4, 1), 5, 1), 6, defaults.num(4)), 7, defaults.num(1))
	if _, err := c.call(ctx, "create", question); err != nil {
		return err
	}
	in := bufio.NewReader(from)
	var last []byte // the block before, with its size
	for {
		if _, err := in.Peek(1); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return errors.Join(ErrSource, err)
		}
		b, err := c.nextBlock(ctx, name, last)
		if err != nil {
			return err
		}
		size, err := c.writeBlock(ctx, b, io.LimitReader(in, int64(defaults.num(1))))
		if err != nil {
			return err
		}
		if last, err = b.sized(size); err != nil {
			return err
		}
	}
	return c.complete(ctx, name, last)
}

// defaults are those of new files: an FsServerDefaultsProto.
func (c *Client) defaults(ctx context.Context) (wire, error) {
	answer, err := c.call(ctx, "getServerDefaults", nil)
	if err != nil {
		return nil, err
	}
	d, err := answer.sub(1)
	switch {
	case err != nil:
		return nil, err
	case d.num(6) != 0:
		return nil, fault.Poisonf(
			"the cluster wants data to be encrypted on its way (dfs.encrypt.data.transfer), which is not supported",
		)
	case int64(d.num(1)) < chunk:
		return nil, fmt.Errorf("the name node says that blocks have %d bytes", d.num(1))
	}
	return d, nil
}

// errNotYet is the answer while blocks are not kept as often as they should be.
var errNotYet = errors.New("its blocks are not kept as often as the name node wants")

// again asks until it is done, for about 12 seconds: name nodes wait for data nodes to tell them of blocks.
func again(ctx context.Context, ask func() (done bool, err error)) error {
	policy := retry.Policy{First: 50 * time.Millisecond, Factor: 2, Steps: 9}
	err := policy.While(ctx, func(err error) bool { return errors.Is(err, errNotYet) }, func(context.Context) error {
		done, err := ask()
		if err == nil && !done {
			return errNotYet
		}
		return err
	})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// nextBlock asks for the block that follows another, nil before the first. The lease is renewed with each: none is old
// when a block is full.
func (c *Client) nextBlock(ctx context.Context, name string, before []byte) (b block, err error) {
	question := putBytes(putBytes(nil, 1, name), 2, c.holder())
	if before != nil {
		question = putBytes(question, 3, before)
		if _, err := c.call(ctx, "renewLease", putBytes(nil, 1, c.holder())); err != nil {
			return b, err
		}
	}
	var answer wire
	err = again(ctx, func() (bool, error) {
		answer, err = c.call(ctx, "addBlock", question)
		if waits(err) {
			return false, nil
		}
		return true, err
	})
	if err != nil {
		return b, err
	}
	if b, err = blockOf(answer.bytes(1)); err == nil && len(b.nodes) == 0 {
		err = errors.New("the name node names no data node for a block")
	}
	return b, err
}

// complete ends a file: from then on it is one that others may read.
func (c *Client) complete(ctx context.Context, name string, last []byte) error {
	question := putBytes(putBytes(nil, 1, name), 2, c.holder())
	if last != nil {
		question = putBytes(question, 3, last)
	}
	return again(ctx, func() (bool, error) {
		answer, err := c.call(ctx, "complete", question)
		return err == nil && answer.num(1) != 0, err
	})
}

// writeBlock sends a block to the first of its nodes, which sends it on to the others.
func (c *Client) writeBlock(ctx context.Context, b block, from io.Reader) (size int64, err error) {
	first := b.nodes[0]
	conn, err := c.connect(ctx, first.address)
	if err != nil {
		return 0, fmt.Errorf("data node %s: %w", first.address, err)
	}
	defer conn.hangUp()
	out := pipeline{conn: conn}
	if err = out.open(c.operation(b.id, b.token), b.nodes[1:]); err == nil {
		err = out.send(from)
	}
	switch {
	case ctx.Err() != nil:
		return 0, context.Cause(ctx)
	case err != nil && !errors.Is(err, ErrSource):
		return 0, fmt.Errorf("data node %s: %w", first.address, err)
	}
	return out.at, err
}

// pipeline is a block on its way to data nodes.
type pipeline struct {
	conn    *link
	at      int64 // bytes sent
	sent    int64 // packets
	settled int64 // packets that all nodes have
}

// open asks for a pipeline through all nodes.
func (p *pipeline) open(header []byte, others []node) error {
	op := putBytes(nil, 1, header)
	for _, n := range others {
		op = putBytes(op, 2, n.raw)
	}
	op = putNum(putNum(op, 4, setUp), 5, uint64(len(others)+1))
	for _, number := range []protowire.Number{6, 7, 8} { // bytes received before, and the stamp: there are none
		op = putNum(op, number, 0)
	}
	op = putBytes(op, 9, putNum(putNum(nil, 1, 2), 2, chunk)) // CRC32C
	if _, err := p.conn.Write(request(opWrite, op)); err != nil {
		return err
	}
	_, err := agreed(p.conn.in)
	return err
}

// send sends all there is, ends the block, and waits until all nodes have it.
func (p *pipeline) send(from io.Reader) error {
	data := make([]byte, packetData)
	for {
		n, err := fill(from, data)
		if n > 0 {
			if err := p.packet(data[:n], false); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return errors.Join(ErrSource, err)
		}
	}
	if err := p.packet(nil, true); err != nil {
		return err
	}
	for p.settled < p.sent {
		if err := p.settle(); err != nil {
			return err
		}
	}
	return nil
}

// fill reads until data is full, or the reader has ended with io.EOF. Any other end is an error, that of a body which
// breaks off too: io.ReadFull would call both io.ErrUnexpectedEOF.
func fill(from io.Reader, data []byte) (n int, err error) {
	for n < len(data) && err == nil {
		var m int
		m, err = from.Read(data[n:])
		n += m
	}
	return n, err
}

// packet sends one packet, once there is room for it on the way.
func (p *pipeline) packet(data []byte, last bool) error {
	if p.sent-p.settled == unanswered {
		if err := p.settle(); err != nil {
			return err
		}
	}
	head := putFixed(putFixed(nil, 1, p.at), 2, p.sent)
	flag := uint64(0)
	if last {
		flag = 1
	}
	head = putNum(head, 3, flag)
	head = protowire.AppendFixed32(protowire.AppendTag(head, 4, protowire.Fixed32Type), uint32(len(data)))
	sums := (len(data) + chunk - 1) / chunk * 4
	out := binary.BigEndian.AppendUint32(make([]byte, 0, 6+len(head)+sums+len(data)), uint32(4+sums+len(data)))
	out = append(binary.BigEndian.AppendUint16(out, uint16(len(head))), head...)
	table := crc32.MakeTable(crc32.Castagnoli)
	for rest := data; len(rest) > 0; rest = rest[min(chunk, len(rest)):] {
		out = binary.BigEndian.AppendUint32(out, crc32.Checksum(rest[:min(chunk, len(rest))], table))
	}
	if _, err := p.conn.Write(append(out, data...)); err != nil {
		// The nodes may have said why before they hung up.
		if said := p.settle(); said != nil && errors.Is(said, errRefused) {
			return said
		}
		return err
	}
	p.at += int64(len(data))
	p.sent++
	return nil
}

// errRefused says that a data node did not take a packet.
var errRefused = errors.New("it does not take a packet")

// settle waits for the answer to the oldest packet on the way: a PipelineAckProto with the status of each node.
func (p *pipeline) settle() error {
	answer, err := readPrefixed(p.conn.in)
	if err != nil {
		return err
	}
	for _, status := range answer[2] {
		if status.n != 0 || len(status.b) > 0 {
			return fmt.Errorf("%w: status %d", errRefused, status.n)
		}
	}
	if protowire.DecodeZigZag(answer.num(1)) != p.settled {
		return errors.New("it answers to another packet")
	}
	p.settled++
	return nil
}
