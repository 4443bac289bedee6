package pull

import (
	"encoding/binary"
	"io"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// The stand-ins of brokers write protobuf by hand: the clients keep their generated
// types to themselves, and a stand-in built on them would share their mistakes.

func number(field protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, field, protowire.VarintType), v)
}

func text(field protowire.Number, v string) []byte {
	return protowire.AppendString(protowire.AppendTag(nil, field, protowire.BytesType), v)
}

func inner(field protowire.Number, parts ...[]byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, field, protowire.BytesType), joined(parts...))
}

func joined(parts ...[]byte) []byte {
	var out []byte
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

// decoded is a message by field; what comes twice is there twice.
type decoded map[protowire.Number][]scalar

type scalar struct {
	n uint64
	b []byte
}

func (d decoded) number(field protowire.Number) uint64 {
	if len(d[field]) == 0 {
		return 0
	}
	return d[field][0].n
}

func (d decoded) bytes(field protowire.Number) []byte {
	if len(d[field]) == 0 {
		return nil
	}
	return d[field][0].b
}

func (d decoded) text(field protowire.Number) string { return string(d.bytes(field)) }

func decode(t *testing.T, data []byte) decoded {
	t.Helper()
	out := decoded{}
	for len(data) > 0 {
		field, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			t.Errorf("%x is no protobuf", data)
			return out
		}
		data = data[n:]
		size := protowire.ConsumeFieldValue(field, kind, data)
		if size < 0 {
			t.Errorf("%x is no protobuf", data)
			return out
		}
		var v scalar
		switch kind {
		case protowire.VarintType:
			v.n, _ = protowire.ConsumeVarint(data)
		case protowire.BytesType:
			v.b, _ = protowire.ConsumeBytes(data)
		}
		out[field] = append(out[field], v)
		data = data[size:]
	}
	return out
}

// sized reads four bytes of length and what they announce.
func sized(r io.Reader) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	out := make([]byte, binary.BigEndian.Uint32(size[:]))
	_, err := io.ReadFull(r, out)
	return out, err
}
