package core

import (
	"bytes"
	"encoding/binary"
	"net/url"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// mark is the byte order mark of UTF-8, which .NET and Windows put in front of text.
const mark = "\ufeff"

// PlainText is text without its byte order mark, as UTF-8. What has no mark stays as
// it is.
func PlainText(text []byte) []byte {
	switch {
	case bytes.HasPrefix(text, []byte(mark)):
		return text[len(mark):]
	case bytes.HasPrefix(text, []byte("\xff\xfe")) && len(text)%2 == 0:
		return fromUTF16(text[2:], binary.LittleEndian)
	case bytes.HasPrefix(text, []byte("\xfe\xff")) && len(text)%2 == 0:
		return fromUTF16(text[2:], binary.BigEndian)
	default:
		return text
	}
}

func fromUTF16(text []byte, order binary.ByteOrder) []byte {
	units := make([]uint16, len(text)/2)
	for i := range units {
		units[i] = order.Uint16(text[2*i:])
	}
	out := make([]byte, 0, len(text))
	for _, r := range utf16.Decode(units) {
		out = utf8.AppendRune(out, r)
	}
	return out
}

// parseForm reads a form. A mark in front of it may have been escaped with the rest.
func parseForm(text []byte) (url.Values, error) {
	form, err := url.ParseQuery(string(PlainText(text)))
	if err != nil {
		return nil, err
	}
	for name, values := range form {
		if plain, marked := strings.CutPrefix(name, mark); marked {
			delete(form, name)
			form[plain] = append(values, form[plain]...)
		}
	}
	return form, nil
}
