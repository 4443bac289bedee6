package pull

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// What the stand-in needs of the types of AMQP 1.0. Source: OASIS AMQP 1.0, part 1.

// described is a value with a descriptor, of which the protocol's own are numbers.
type described struct {
	code  uint64
	value any
}

// symbol is a word of the protocol.
type symbol string

// encode writes the types that the stand-in sends; numbers are of the width that
// their field has.
func encode(v any) []byte {
	switch v := v.(type) {
	case nil:
		return []byte{0x40}
	case bool:
		if v {
			return []byte{0x41}
		}
		return []byte{0x42}
	case uint8:
		return []byte{0x50, v}
	case uint16:
		return binary.BigEndian.AppendUint16([]byte{0x60}, v)
	case uint32:
		return binary.BigEndian.AppendUint32([]byte{0x70}, v)
	case string:
		return append(binary.BigEndian.AppendUint32([]byte{0xb1}, uint32(len(v))), v...)
	case symbol:
		return append(binary.BigEndian.AppendUint32([]byte{0xb3}, uint32(len(v))), v...)
	case []byte:
		return append(binary.BigEndian.AppendUint32([]byte{0xb0}, uint32(len(v))), v...)
	case []any:
		var items []byte
		for _, item := range v {
			items = append(items, encode(item)...)
		}
		out := binary.BigEndian.AppendUint32([]byte{0xd0}, uint32(len(items)+4))
		return append(binary.BigEndian.AppendUint32(out, uint32(len(v))), items...)
	case described:
		return append([]byte{0x00, 0x53, byte(v.code)}, encode(v.value)...)
	default:
		panic(fmt.Sprintf("the stand-in sends no %T", v))
	}
}

var errWire = errors.New("not AMQP")

// parse reads one value and returns what follows it. Numbers become uint64, lists
// []any, maps map[string]any.
func parse(in []byte) (v any, rest []byte, err error) {
	defer func() {
		if recover() != nil { // cut short
			err = errWire
		}
	}()
	code, in := in[0], in[1:]
	switch code >> 4 {
	case 0x0:
		descriptor, in, err := parse(in)
		if err != nil {
			return nil, nil, err
		}
		value, in, err := parse(in)
		number, _ := descriptor.(uint64)
		return described{number, value}, in, err
	case 0x4:
		switch code {
		case 0x41, 0x42:
			return code == 0x41, in, nil
		case 0x43, 0x44:
			return uint64(0), in, nil
		case 0x45:
			return []any{}, in, nil
		}
		return nil, in, nil
	case 0x5, 0x6, 0x7, 0x8, 0x9:
		width := map[byte]int{5: 1, 6: 2, 7: 4, 8: 8, 9: 16}[code>>4]
		n := uint64(0)
		for _, b := range in[:width] {
			n = n<<8 | uint64(b)
		}
		if code == 0x56 {
			return n == 1, in[width:], nil
		}
		return n, in[width:], nil
	}
	size := int(in[0])
	in = in[1:]
	if code>>4 == 0xb || code>>4 == 0xd || code>>4 == 0xf {
		size = size<<24 | int(in[0])<<16 | int(in[1])<<8 | int(in[2])
		in = in[3:]
	}
	body, rest := in[:size], in[size:]
	switch code {
	case 0xa1, 0xb1, 0xa3, 0xb3:
		return string(body), rest, nil
	case 0xa0, 0xb0:
		return body, rest, nil
	case 0xc0, 0xd0, 0xc1, 0xd1:
		v, err = parseItems(body, code>>4 == 0xd, code&1 == 1)
		return v, rest, err
	}
	return nil, rest, nil // arrays, which nobody here asks for
}

func parseItems(in []byte, wide, pairs bool) (any, error) {
	if wide {
		in = in[4:]
	} else {
		in = in[1:]
	}
	var items []any
	for len(in) > 0 {
		v, rest, err := parse(in)
		if err != nil {
			return nil, err
		}
		items, in = append(items, v), rest
	}
	if !pairs {
		return items, nil
	}
	out := map[string]any{}
	for i := 0; i+1 < len(items); i += 2 {
		out[fmt.Sprint(items[i])] = items[i+1]
	}
	return out, nil
}

// readAMQP reads one frame: its performative, and the payload after it. An empty
// frame has neither; it says that the peer is alive.
func readAMQP(r io.Reader) (kind uint64, fields []any, channel uint16, payload []byte, err error) {
	var header [8]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return 0, nil, 0, nil, err
	}
	body := make([]byte, binary.BigEndian.Uint32(header[:4])-8)
	if _, err := io.ReadFull(r, body); err != nil {
		return 0, nil, 0, nil, err
	}
	channel = binary.BigEndian.Uint16(header[6:])
	if len(body) == 0 {
		return 0, nil, channel, nil, nil
	}
	v, payload, err := parse(body)
	d, _ := v.(described)
	fields, _ = d.value.([]any)
	return d.code, fields, channel, payload, err
}

// writeAMQP writes one frame of type 0, or 1 for SASL.
func writeAMQP(w io.Writer, sasl byte, channel uint16, kind uint64, fields []any, payload []byte) error {
	body := append(encode(described{kind, fields}), payload...)
	out := binary.BigEndian.AppendUint32(nil, uint32(len(body)+8))
	out = append(out, 2, sasl)
	out = binary.BigEndian.AppendUint16(out, channel)
	_, err := w.Write(append(out, body...))
	return err
}

// at returns a field, nil for one that was left out.
func at(fields []any, i int) any {
	if i >= len(fields) {
		return nil
	}
	return fields[i]
}

func numberAt(fields []any, i int) uint64 {
	n, _ := at(fields, i).(uint64)
	return n
}
