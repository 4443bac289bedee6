package hdfs

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protowire"
)

// Hadoop speaks protobuf. Of its hundreds of messages artifacts need two dozen, which are written and read by hand: the
// generated ones would be in every process. ADR-0037.

// wire is a message by field; all values of a repeated field are kept.
type wire map[protowire.Number][]field

type field struct {
	n uint64 // of a number
	b []byte // of all else
}

var errWire = errors.New("the answer cannot be read")

// readWire keeps the numbers and the bytes of a message.
func readWire(data []byte) (wire, error) {
	out := wire{}
	for len(data) > 0 {
		number, kind, tag := protowire.ConsumeTag(data)
		if tag < 0 {
			return nil, errWire
		}
		size := protowire.ConsumeFieldValue(number, kind, data[tag:])
		if size < 0 {
			return nil, errWire
		}
		value := data[tag : tag+size]
		var f field
		switch kind {
		case protowire.VarintType:
			f.n, _ = protowire.ConsumeVarint(value)
		case protowire.Fixed64Type:
			f.n, _ = protowire.ConsumeFixed64(value)
		case protowire.Fixed32Type:
			n, _ := protowire.ConsumeFixed32(value)
			f.n = uint64(n)
		case protowire.BytesType:
			f.b, _ = protowire.ConsumeBytes(value)
		}
		out[number] = append(out[number], f)
		data = data[tag+size:]
	}
	return out, nil
}

func (w wire) has(number protowire.Number) bool { return len(w[number]) > 0 }

func (w wire) last(number protowire.Number) field {
	if all := w[number]; len(all) > 0 {
		return all[len(all)-1]
	}
	return field{}
}

func (w wire) num(number protowire.Number) uint64 { return w.last(number).n }

func (w wire) bytes(number protowire.Number) []byte { return w.last(number).b }

// sub is a message inside; one that is not there is empty.
func (w wire) sub(number protowire.Number) (wire, error) { return readWire(w.bytes(number)) }

func putNum(out []byte, number protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(out, number, protowire.VarintType), v)
}

func putBytes[T string | []byte](out []byte, number protowire.Number, v T) []byte {
	return protowire.AppendString(protowire.AppendTag(out, number, protowire.BytesType), string(v))
}

func putFixed(out []byte, number protowire.Number, v int64) []byte {
	return protowire.AppendFixed64(protowire.AppendTag(out, number, protowire.Fixed64Type), uint64(v))
}

// readPrefixed reads a message with its length before it, as data nodes send them.
func readPrefixed(in *bufio.Reader) (wire, error) {
	size, err := binary.ReadUvarint(in)
	if err != nil {
		return nil, whole(err)
	}
	if size > messageLimit {
		return nil, fmt.Errorf("a message of %d bytes, more than %d", size, messageLimit)
	}
	message := make([]byte, size)
	if _, err := io.ReadFull(in, message); err != nil {
		return nil, whole(err)
	}
	return readWire(message)
}

// whole is an error of reading what must not end yet.
func whole(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
