package pull

import (
	"google.golang.org/protobuf/encoding/protowire"
)

// Pulsar speaks protobuf. Of its hundred messages a reader needs a dozen, which are
// written and read by hand: the generated ones are in every process before the first
// source is declared. ADR-0037.

// wire is a message by field; of a field that comes twice the last counts, and all are
// kept.
type wire map[protowire.Number][]wireValue

type wireValue struct {
	n uint64 // of a number
	b []byte // of all else
}

// readWire keeps the numbers and the bytes of a message.
func readWire(data []byte) (wire, error) {
	out := wire{}
	for len(data) > 0 {
		field, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return nil, protowire.ParseError(n)
		}
		data = data[n:]
		size := protowire.ConsumeFieldValue(field, kind, data)
		if size < 0 {
			return nil, protowire.ParseError(size)
		}
		switch kind {
		case protowire.VarintType:
			v, _ := protowire.ConsumeVarint(data[:size])
			out[field] = append(out[field], wireValue{n: v})
		case protowire.BytesType:
			v, _ := protowire.ConsumeBytes(data[:size])
			out[field] = append(out[field], wireValue{b: v})
		}
		data = data[size:]
	}
	return out, nil
}

func (w wire) has(field protowire.Number) bool { return len(w[field]) > 0 }

func (w wire) last(field protowire.Number) wireValue {
	if all := w[field]; len(all) > 0 {
		return all[len(all)-1]
	}
	return wireValue{}
}

func (w wire) num(field protowire.Number) uint64 { return w.last(field).n }

func (w wire) str(field protowire.Number) string { return string(w.last(field).b) }

// sub is a message inside; one that is not there is empty.
func (w wire) sub(field protowire.Number) (wire, error) { return readWire(w.last(field).b) }

func putNum(out []byte, field protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(out, field, protowire.VarintType), v)
}

func putBytes[T string | []byte](out []byte, field protowire.Number, v T) []byte {
	return protowire.AppendString(protowire.AppendTag(out, field, protowire.BytesType), string(v))
}
