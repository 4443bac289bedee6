package hdfstest

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"

	"google.golang.org/protobuf/encoding/protowire"
)

// errPeer says that what came is not what the protocol has there.
var errPeer = errors.New("the peer does not speak the protocol")

// message is what came, by field.
type message map[protowire.Number][]any // uint64 or []byte

func decode(raw []byte) (message, error) {
	m := message{}
	for len(raw) > 0 {
		number, kind, n := protowire.ConsumeTag(raw)
		if n < 0 {
			return nil, errPeer
		}
		raw = raw[n:]
		switch kind {
		case protowire.VarintType:
			v, n := protowire.ConsumeVarint(raw)
			if n < 0 {
				return nil, errPeer
			}
			m[number], raw = append(m[number], v), raw[n:]
		case protowire.Fixed64Type:
			v, n := protowire.ConsumeFixed64(raw)
			if n < 0 {
				return nil, errPeer
			}
			m[number], raw = append(m[number], v), raw[n:]
		case protowire.Fixed32Type:
			v, n := protowire.ConsumeFixed32(raw)
			if n < 0 {
				return nil, errPeer
			}
			m[number], raw = append(m[number], uint64(v)), raw[n:]
		case protowire.BytesType:
			v, n := protowire.ConsumeBytes(raw)
			if n < 0 {
				return nil, errPeer
			}
			m[number], raw = append(m[number], v), raw[n:]
		default:
			return nil, errPeer
		}
	}
	return m, nil
}

// number is the number in a field; one that is required and missing is none that fits.
func (m message) number(field protowire.Number) uint64 {
	if v, ok := m.only(field).(uint64); ok {
		return v
	}
	return 1<<64 - 1
}

func (m message) raw(field protowire.Number) []byte {
	v, _ := m.only(field).([]byte)
	return v
}

func (m message) text(field protowire.Number) string { return string(m.raw(field)) }

// inner is a message inside; one that cannot be read is empty.
func (m message) inner(field protowire.Number) message {
	in, err := decode(m.raw(field))
	if err != nil {
		return message{}
	}
	return in
}

func (m message) only(field protowire.Number) any {
	if len(m[field]) != 1 {
		return nil
	}
	return m[field][0]
}

// encode writes fields: numbers, texts, and messages as bytes, in turn with their numbers.
func encode(fields ...any) []byte {
	var out []byte
	var number protowire.Number
	for i, f := range fields {
		if i%2 == 0 {
			number = protowire.Number(f.(int))
			continue
		}
		switch v := f.(type) {
		case int:
			out = protowire.AppendVarint(protowire.AppendTag(out, number, protowire.VarintType), uint64(v))
		case string:
			out = protowire.AppendString(protowire.AppendTag(out, number, protowire.BytesType), v)
		case []byte:
			out = protowire.AppendBytes(protowire.AppendTag(out, number, protowire.BytesType), v)
		}
	}
	return out
}

// prefixed reads a message with its length before it.
func prefixed(in *bufio.Reader) (message, error) {
	size, err := binary.ReadUvarint(in)
	if err != nil {
		return nil, err
	}
	raw := make([]byte, size)
	if _, err := io.ReadFull(in, raw); err != nil {
		return nil, err
	}
	return decode(raw)
}
