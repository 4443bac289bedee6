package pull

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// pulsarMost bounds an entry when it is unpacked, and a message put together of
// chunks.
const pulsarMost = 64 << 20

// The marks before an entry. Source: Pulsar, "binary protocol": the entry's checksum,
// and what a broker adds.
const (
	pulsarChecked = 0x0e01
	pulsarAdded   = 0x0e02
)

// errPulsar is an entry that is not as the protocol has it.
var errPulsar = errors.New("the entry is cut short")

// pulsarMessage is one message of an entry.
type pulsarMessage struct {
	key   string
	batch int // its place in the entry, -1 for an entry that is one message
	body  []byte
}

// pulsarEntry is what a topic stores at one place: a message, a batch of them, or a
// chunk of one.
type pulsarEntry struct {
	meta wire
	body []byte
}

// parseEntry checks the checksum and takes the entry apart.
func parseEntry(data []byte) (pulsarEntry, error) {
	if len(data) > 6 && binary.BigEndian.Uint16(data) == pulsarAdded {
		size := int64(binary.BigEndian.Uint32(data[2:]))
		if size > int64(len(data)-6) {
			return pulsarEntry{}, errPulsar
		}
		data = data[6+size:]
	}
	if len(data) > 6 && binary.BigEndian.Uint16(data) == pulsarChecked {
		sum := binary.BigEndian.Uint32(data[2:])
		if data = data[6:]; crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)) != sum {
			return pulsarEntry{}, errors.New("the checksum of the entry is wrong")
		}
	}
	head, body, err := cut(data)
	if err != nil {
		return pulsarEntry{}, err
	}
	meta, err := readWire(head)
	if err != nil {
		return pulsarEntry{}, err
	}
	if meta.has(13) {
		return pulsarEntry{}, errors.New("the entry is encrypted, and the manifest has no place for a key")
	}
	return pulsarEntry{meta: meta, body: body}, nil
}

// cut takes what four bytes of length announce.
func cut(data []byte) (head, rest []byte, err error) {
	if len(data) < 4 {
		return nil, nil, errPulsar
	}
	size := int64(binary.BigEndian.Uint32(data))
	if size > int64(len(data)-4) {
		return nil, nil, errPulsar
	}
	return data[4 : 4+size], data[4+size:], nil
}

func (e pulsarEntry) published() time.Time { return time.UnixMilli(int64(e.meta.num(3))).UTC() }

// count is how many messages the entry is for the broker's accounts.
func (e pulsarEntry) count() int {
	if e.meta.has(11) {
		return int(min(e.meta.num(11), 1<<20))
	}
	return 1
}

// messages unpacks the entry; wanted says which of a batch are still to be read.
func (e pulsarEntry) messages(wanted func(int) bool) ([]pulsarMessage, error) {
	body, err := unpack(e.meta.num(8), e.meta.num(9), e.body)
	if err != nil {
		return nil, err
	}
	if e.meta.has(20) {
		return nil, nil // a mark of the brokers, for themselves
	}
	if !e.meta.has(11) {
		return []pulsarMessage{{key: e.meta.str(6), batch: -1, body: body}}, nil
	}
	var out []pulsarMessage
	for i := range e.count() {
		head, rest, err := cut(body)
		if err != nil {
			return nil, err
		}
		meta, err := readWire(head)
		if err != nil {
			return nil, err
		}
		size := meta.num(3)
		if size > uint64(len(rest)) {
			return nil, errPulsar
		}
		if compactedOut := meta.num(4) == 1; !compactedOut && wanted(i) {
			out = append(out, pulsarMessage{key: meta.str(2), batch: i, body: rest[:size]})
		}
		body = rest[size:]
	}
	return out, nil
}

// unpack undoes the compression, to the size that the entry announces. Source:
// Pulsar, CompressionType.
func unpack(kind, size uint64, packed []byte) ([]byte, error) {
	if kind == 0 || size == 0 {
		return packed, nil
	}
	if size > pulsarMost {
		return nil, fmt.Errorf("the entry unpacks to %d bytes, more than %d", size, pulsarMost)
	}
	var out []byte
	var err error
	switch kind {
	case 1:
		if size > 255*uint64(len(packed)) { // more than the format can say
			return nil, errPulsar
		}
		out = make([]byte, size)
		var n int
		n, err = lz4.UncompressBlock(packed, out)
		out = out[:max(n, 0)]
	case 2:
		var r io.ReadCloser
		if r, err = zlib.NewReader(bytes.NewReader(packed)); err == nil {
			out, err = io.ReadAll(io.LimitReader(r, int64(size)+1))
		}
	case 3:
		var d *zstd.Decoder
		if d, err = zstd.NewReader(nil, zstd.WithDecoderMaxMemory(pulsarMost), zstd.WithDecoderConcurrency(1)); err == nil {
			out, err = d.DecodeAll(packed, nil)
			d.Close()
		}
	case 4:
		var n int
		if n, err = s2.DecodedLen(packed); err == nil && uint64(n) == size {
			out, err = s2.Decode(nil, packed)
		}
	default:
		err = fmt.Errorf("compression %d is unknown", kind)
	}
	if err == nil && uint64(len(out)) != size {
		err = errors.New("the entry has another size than it announces")
	}
	return out, err
}

// pulsarChunks puts messages together that were too large for one entry.
type pulsarChunks map[string]*pulsarChunked

type pulsarChunked struct {
	body  []byte
	next  uint64
	parts []pulsarPlace
}

// pulsarChunkings is how many messages may be incomplete at once; more means that
// their ends went to somebody else.
const pulsarChunkings = 16

// add returns the whole message and the places of its parts with its last part. A
// part that does not follow the one before starts nothing: its message comes again.
func (c pulsarChunks) add(at pulsarPlace, e pulsarEntry) (whole pulsarEntry, parts []pulsarPlace, done bool) {
	id, part, all := e.meta.str(26), e.meta.num(29), e.meta.num(27)
	known := c[id]
	if part == 0 && len(c) < pulsarChunkings {
		known = &pulsarChunked{}
		c[id] = known
	}
	if known == nil || known.next != part || len(known.body)+len(e.body) > pulsarMost {
		delete(c, id)
		return e, nil, false
	}
	known.body, known.next, known.parts = append(known.body, e.body...), part+1, append(known.parts, at)
	if known.next < all {
		return e, nil, false
	}
	delete(c, id)
	return pulsarEntry{meta: e.meta, body: known.body}, known.parts, true
}
