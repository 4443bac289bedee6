package events

import (
	"iter"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// factField is a field of a [Body]: an attribute by its name, or the phase, or the message.
type factField struct{ name, role string }

// fields walks the fields of a body, those of what it embeds among them.
func fields(v reflect.Value) iter.Seq2[factField, reflect.Value] {
	return func(yield func(factField, reflect.Value) bool) { walkFields(v, yield) }
}

func walkFields(v reflect.Value, yield func(factField, reflect.Value) bool) bool {
	for field, value := range v.Fields() {
		if field.Anonymous {
			if !walkFields(value, yield) {
				return false
			}
			continue
		}
		name, role, _ := strings.Cut(field.Tag.Get("fact"), ",")
		if !yield(factField{name, role}, value) {
			return false
		}
	}
	return true
}

// written is a value as an attribute; "" leaves it out. Zero counts only where the tag says so.
func written(f factField, v reflect.Value) string {
	if v.IsZero() && f.role != "zero" {
		return ""
	}
	switch x := v.Interface().(type) {
	case int:
		return strconv.Itoa(x)
	case time.Time:
		return x.Format(time.RFC3339Nano)
	}
	return v.String()
}

func readField(v reflect.Value, text string) error {
	if text == "" {
		return nil
	}
	switch v.Interface().(type) {
	case int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return err
		}
		v.SetInt(int64(n))
	case time.Time:
		at, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return err
		}
		v.Set(reflect.ValueOf(at))
	default:
		v.SetString(text)
	}
	return nil
}
