// Package exactjson reads and writes JSON so that whole numbers keep their value: ids beyond 2^53 do not change.
package exactjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Read reads JSON text. Whole numbers are exact: an int where they fit into one, else their text.
func Read(text string) (any, error) {
	value, err := Decode([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("%q is not JSON: %w", Abbreviate(text), err)
	}
	return exact(value), nil
}

// Decode reads one JSON value; its numbers are of type json.Number.
func Decode(text []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the value")
	}
	return value, nil
}

// exact makes numbers of texts, where that loses nothing.
func exact(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for key := range v {
			v[key] = exact(v[key])
		}
	case []any:
		for i := range v {
			v[i] = exact(v[i])
		}
	case json.Number:
		if n, err := strconv.Atoi(v.String()); err == nil {
			return n
		}
		f, err := v.Float64()
		if whole := !strings.ContainsAny(v.String(), ".eE"); err != nil || whole {
			return v
		}
		return f
	}
	return value
}

// Text is a value as JSON, null when it has none.
func Text(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return "null"
	}
	return string(text)
}

// Escape is a text as it stands within quotes in JSON.
func Escape(v string) string {
	quoted := Text(v)
	return quoted[1 : len(quoted)-1]
}

// Unescape undoes [Escape]; what was not escaped stays.
func Unescape(v string) string {
	var out string
	if json.Unmarshal([]byte(`"`+v+`"`), &out) != nil {
		return v
	}
	return out
}

// Abbreviate is the beginning of a text, as messages show it.
func Abbreviate(s string) string {
	if len(s) > 100 {
		return s[:100] + "..."
	}
	return s
}

// Value keeps JSON as it is and quotes any other text.
func Value(v string) json.RawMessage {
	if json.Valid([]byte(v)) {
		return json.RawMessage(v)
	}
	return json.RawMessage(Text(v))
}
