package render

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// fields are those of a message of Protocol Buffers by their numbers: bytes of texts and messages, and numbers as they
// are encoded. The few messages of plugins need no more.
type fields map[protowire.Number][][]byte

// numbers marks values that are numbers.
const numberMark = "\x00number"

func (f fields) setNumber(n protowire.Number, value uint64) {
	f[n] = [][]byte{append([]byte(numberMark), protowire.AppendVarint(nil, value)...)}
}

// truth reports whether a field is true.
func (f fields) truth(n protowire.Number) bool {
	for _, v := range f[n] {
		if number, ok := numberOf(v); ok {
			value, _ := protowire.ConsumeVarint(number)
			return value != 0
		}
	}
	return false
}

func numberOf(value []byte) ([]byte, bool) {
	if len(value) > len(numberMark) && string(value[:len(numberMark)]) == numberMark {
		return value[len(numberMark):], true
	}
	return nil, false
}

func (f fields) encode() []byte {
	var out []byte
	for _, n := range slices.Sorted(maps.Keys(f)) {
		for _, value := range f[n] {
			if number, ok := numberOf(value); ok {
				out = append(protowire.AppendTag(out, n, protowire.VarintType), number...)
				continue
			}
			out = protowire.AppendBytes(protowire.AppendTag(out, n, protowire.BytesType), value)
		}
	}
	return out
}

func decodeFields(data []byte) (fields, error) {
	out := fields{}
	for len(data) > 0 {
		n, kind, length := protowire.ConsumeTag(data)
		if length < 0 {
			return nil, protowire.ParseError(length)
		}
		data = data[length:]
		if kind == protowire.BytesType {
			value, length := protowire.ConsumeBytes(data)
			if length < 0 {
				return nil, protowire.ParseError(length)
			}
			out[n] = append(out[n], slices.Clone(value))
			data = data[length:]
			continue
		}
		if length = protowire.ConsumeFieldValue(n, kind, data); length < 0 {
			return nil, protowire.ParseError(length)
		}
		if kind == protowire.VarintType {
			out[n] = append(out[n], append([]byte(numberMark), data[:length]...))
		}
		data = data[length:]
	}
	return out, nil
}

// wire encodes fields for gRPC.
type wire struct{}

var errWire = errors.New("no fields of a message")

// Marshal encodes fields.
func (wire) Marshal(v any) ([]byte, error) {
	f, ok := v.(*fields)
	if !ok {
		return nil, fmt.Errorf("%T: %w", v, errWire)
	}
	return f.encode(), nil
}

// Unmarshal decodes fields.
func (wire) Unmarshal(data []byte, v any) error {
	f, ok := v.(*fields)
	if !ok {
		return fmt.Errorf("%T: %w", v, errWire)
	}
	found, err := decodeFields(data)
	*f = found
	return err
}

// Name is that of Protocol Buffers, so that both ends call the content the same.
func (wire) Name() string { return "proto" }
