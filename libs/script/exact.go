package script

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"strconv"
	"strings"
)

// Decode reads one JSON value without changing its numbers: they are of type [json.Number].
func Decode(text []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more than one value")
	}
	return v, nil
}

// plain reports whether a number is written with digits, sign and point only, and not at great length.
func plain(n string) bool { return len(n) <= 100 && !strings.ContainsAny(n, "eE") }

// Compare says how two numbers compare, by their text where float64 cannot tell them apart. ok is false for what is no
// number, and for NaN.
func Compare(a, b string) (order int, ok bool) {
	x, errX := strconv.ParseFloat(a, 64)
	y, errY := strconv.ParseFloat(b, 64)
	if errX != nil || errY != nil || math.IsNaN(x) || math.IsNaN(y) {
		return 0, false
	}
	if x != y || math.IsInf(x, 0) {
		// Rounding keeps the order.
		return order64(x, y), true
	}
	left, right := new(big.Rat), new(big.Rat)
	if !decimal(left, a) || !decimal(right, b) {
		return 0, true
	}
	return left.Cmp(right), true
}

func order64(x, y float64) int {
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

// decimal sets r; false for what is written otherwise, or would take much memory.
func decimal(r *big.Rat, text string) bool {
	mantissa, exponent, has := strings.Cut(strings.ToLower(text), "e")
	if strings.Trim(mantissa, "+-.0123456789") != "" || len(mantissa) > 2000 {
		return false
	}
	if n, err := strconv.Atoi(exponent); has && (err != nil || n > 400 || n < -400) {
		return false
	}
	_, ok := r.SetString(text)
	return ok
}

// Exact reports whether float64 holds a number as it is written.
func Exact(n string) bool {
	f, err := strconv.ParseFloat(n, 64)
	if err != nil || math.IsInf(f, 0) {
		return false
	}
	r := new(big.Rat)
	if !decimal(r, n) {
		return false
	}
	_, exact := r.Float64()
	return exact
}

// texts remembers how numbers are written, by their value as float64: those that nobody changed come out as they went
// in.
type texts map[float64]string

func (t texts) learn(n json.Number) float64 {
	f, err := strconv.ParseFloat(string(n), 64)
	if err != nil && !math.IsInf(f, 0) {
		return 0
	}
	if known, twice := t[f]; twice && known != string(n) {
		t[f] = "" // two are written differently
	} else {
		t[f] = string(n)
	}
	return f
}

// shown is how a number is printed: as it was written, else without an exponent.
func (t texts) shown(f float64) string {
	if text := t[f]; text != "" && plain(text) {
		return text
	}
	if math.Abs(f) < 1e21 {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

// number is a number of the event in a template: a float64, as functions and comparisons of templates know it, except
// for whole numbers that float64 would change.
func (t texts) number(n json.Number) any {
	if whole, err := strconv.ParseInt(string(n), 10, 64); err == nil && (whole > 1<<53 || whole < -1<<53) {
		return whole
	}
	if whole, err := strconv.ParseUint(string(n), 10, 64); err == nil && whole > 1<<53 {
		return whole
	}
	if whole, ok := new(big.Int).SetString(string(n), 10); ok && len(n) > 18 {
		return whole
	}
	return t.learn(n)
}

// forTemplate replaces the numbers of a value.
func (t texts) forTemplate(v any) any {
	switch v := v.(type) {
	case json.Number:
		return t.number(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = t.forTemplate(v[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, inner := range v {
			out[key] = t.forTemplate(inner)
		}
		return out
	}
	return v
}

// print makes text of what holds numbers.
func (t texts) print(v any) any {
	switch v.(type) {
	case float64, int64, []any, map[string]any:
		return fmt.Sprint(t.printable(v))
	}
	return v
}

// printable wraps the numbers of a value that is printed, wherever they stand in it.
func (t texts) printable(v any) any {
	switch v := v.(type) {
	case float64:
		return decimalText{v, t}
	case int64:
		return wholeText(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = t.printable(v[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, inner := range v {
			out[key] = t.printable(inner)
		}
		return out
	}
	return v
}

// decimalText is printed as it was written by %v and %s, and as float64 by all others.
type decimalText struct {
	value float64
	texts texts
}

// Format implements fmt.Formatter.
func (d decimalText) Format(f fmt.State, verb rune) {
	switch verb {
	case 'v', 's':
		fmt.Fprintf(f, strings.Replace(fmt.FormatString(f, 's'), "+", "", 1), d.texts.shown(d.value))
	default:
		fmt.Fprintf(f, fmt.FormatString(f, verb), d.value)
	}
}

// wholeText is a whole number that the verbs of float64 print too.
type wholeText int64

// Format implements fmt.Formatter.
func (w wholeText) Format(f fmt.State, verb rune) {
	if precision, given := f.Precision(); verb == 'f' && given && precision == 0 {
		fmt.Fprint(f, int64(w))
		return
	}
	if strings.ContainsRune("eEfFgG", verb) {
		fmt.Fprintf(f, fmt.FormatString(f, verb), float64(w))
		return
	}
	fmt.Fprintf(f, fmt.FormatString(f, verb), int64(w))
}
