package v1alpha1

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// AnyString is a string that may be written in a manifest as any scalar: true, 7 and "7" are all taken.
type AnyString string

// UnmarshalJSON takes any scalar; lists and objects keep their JSON text.
func (s *AnyString) UnmarshalJSON(data []byte) error {
	data = bytes.TrimSpace(data)
	if len(data) > 0 && data[0] == '"' {
		return json.Unmarshal(data, (*string)(s))
	}
	if string(data) == "null" {
		return nil
	}
	*s = AnyString(data)
	return nil
}

// String returns the plain string.
func (s AnyString) String() string { return string(s) }

// AnyStringPtr returns a pointer to s as an AnyString.
func AnyStringPtr(s string) *AnyString { a := AnyString(s); return &a }

// DurationString is a duration as [time.ParseDuration] reads it; a bare number is taken as written.
type DurationString string

// UnmarshalJSON takes a string or a number.
func (d *DurationString) UnmarshalJSON(data []byte) error {
	return (*AnyString)(d).UnmarshalJSON(data)
}

// Amount is a number that keeps its text, so that no precision is lost.
type Amount struct {
	// Value is the text of the number.
	Value json.Number `json:"-"`
}

// MarshalJSON writes the number as it was read.
func (a Amount) MarshalJSON() ([]byte, error) {
	if a.Value == "" {
		return []byte("0"), nil
	}
	return []byte(a.Value), nil
}

// UnmarshalJSON takes a number, or a string that holds one.
func (a *Amount) UnmarshalJSON(data []byte) error {
	text := strings.Trim(string(bytes.TrimSpace(data)), `"`)
	if text == "null" {
		return nil
	}
	if _, err := strconv.ParseFloat(text, 64); err != nil {
		return fmt.Errorf("read %s as a number: %w", data, err)
	}
	a.Value = json.Number(text)
	return nil
}

// Float64 returns the number.
func (a Amount) Float64() (float64, error) { return a.Value.Float64() }

// Item is one element of withItems: any JSON value.
type Item struct {
	// Value is the JSON of the element.
	Value json.RawMessage `json:"-"`
}

// MarshalJSON writes the element as it was read.
func (i Item) MarshalJSON() ([]byte, error) {
	if len(i.Value) == 0 {
		return []byte("null"), nil
	}
	return i.Value, nil
}

// UnmarshalJSON keeps the element as it stands.
func (i *Item) UnmarshalJSON(data []byte) error {
	i.Value = append(json.RawMessage(nil), bytes.TrimSpace(data)...)
	return nil
}

// Int64OrString is a whole number or a string.
type Int64OrString struct {
	// Text is set when the value was written as a string.
	Text string `json:"-"`
	// Number is set otherwise.
	Number int64 `json:"-"`
	// IsText tells which of the two counts.
	IsText bool `json:"-"`
}

// MarshalJSON writes the form the value was read in.
func (v Int64OrString) MarshalJSON() ([]byte, error) {
	if v.IsText {
		return json.Marshal(v.Text)
	}
	return json.Marshal(v.Number)
}

// UnmarshalJSON takes a whole number or a string.
func (v *Int64OrString) UnmarshalJSON(data []byte) error {
	data = bytes.TrimSpace(data)
	if len(data) > 0 && data[0] == '"' {
		v.IsText = true
		return json.Unmarshal(data, &v.Text)
	}
	return json.Unmarshal(data, &v.Number)
}

// String returns the value as text.
func (v Int64OrString) String() string {
	if v.IsText {
		return v.Text
	}
	return strconv.FormatInt(v.Number, 10)
}

// ParallelSteps is one group of steps that run side by side; in a manifest it is a list.
type ParallelSteps struct {
	// Steps are the members of the group.
	Steps []WorkflowStep `json:"-"`
}

// MarshalJSON writes the group as a list.
func (p ParallelSteps) MarshalJSON() ([]byte, error) {
	if p.Steps == nil {
		return []byte("[]"), nil
	}
	return json.Marshal(p.Steps)
}

// UnmarshalJSON takes a list of steps, or one step that stands alone.
func (p *ParallelSteps) UnmarshalJSON(data []byte) error {
	data = bytes.TrimSpace(data)
	if len(data) > 0 && data[0] == '{' {
		p.Steps = make([]WorkflowStep, 1)
		return json.Unmarshal(data, &p.Steps[0])
	}
	return json.Unmarshal(data, &p.Steps)
}
