package script

import (
	"encoding/json"
	"testing"
)

// Numbers are printed as they are written, and calculate as before.
func TestTemplatesPrintNumbersAsWritten(t *testing.T) {
	const data = `{"n":12345678,"big":1234567890123456789,"odd":9007199254740993,"huge":18446744073709551615,"vast":123456789012345678901234567890,` +
		`"price":1.50,"half":0.5,"exp":1e3,"list":[12345678,1.50],"map":{"a":12345678},"neg":-12345678,"t":true,"s":"x","small":0.0000001}`
	for source, want := range map[string]string{
		"build-{{ .Input.n }}": "build-12345678", "{{ .Input.big }}": "1234567890123456789",
		"{{ .Input.odd }}":  "9007199254740993",
		"{{ .Input.huge }}": "18446744073709551615", "{{ .Input.vast }}": "123456789012345678901234567890",
		"{{ .Input.price }}": "1.50",
		"{{ .Input.exp }}":   "1000", "{{ .Input.neg }}": "-12345678", "{{ .Input.small }}": "0.0000001",
		"{{ .Input.list }}": "[12345678 1.50]",
		"{{ .Input.map }}":  "map[a:12345678]", "{{ index .Input.list 0 }}": "12345678",
		"{{ with .Input.n }}{{ . }}{{ end }}":      "12345678",
		"{{ range .Input.list }}{{ . }};{{ end }}": "12345678;1.50;", "{{ $x := .Input.n }}{{ $x }}": "12345678",
		"{{ if .Input.n }}{{ .Input.n }}{{ else }}0{{ end }}":         "12345678",
		`{{ define "d" }}{{ . }}{{ end }}{{ template "d" .Input.n }}`: "12345678",
		"{{ .Input.n | toString }}":                                   "12345678",
		`{{ print .Input.n "-" .Input.big }}`:                         "12345678-1234567890123456789",
		`{{ printf "%v/%s" .Input.n .Input.price }}`:                  "12345678/1.50",
		`{{ printf "%.0f" .Input.n }}`:                                "12345678",
		`{{ printf "%.0f" .Input.odd }}`:                              "9007199254740993", `{{ printf "%.2f" .Input.half }}`: "0.50",
		"{{ .Input.n | quote }}": `"12345678"`, "{{ .Input.n | squote }}": "'12345678'",
		`{{ join "," .Input.list }}`: "12345678,1.50", `{{ cat "a" .Input.n }}`: "a 12345678",
		"{{ toJson .Input.map }}": `{"a":12345678}`, "{{ .Input.n | int64 }}": "12345678",
		"{{ add .Input.n 1 }}": "12345679", "{{ add1 .Input.big }}": "1234567890123456790",
		"{{ mulf .Input.half 3 }}": "1.5",
		"{{ eq .Input.half 0.5 }}": "true", "{{ gt .Input.n 5.0 }}": "true", "{{ default 7 .Input.gone }}": "7",
		"{{ .Input.n | default 7 }}": "12345678", "{{ ternary .Input.n 1 .Input.t }}": "12345678",
		"{{ .Input.s }}": "x", "{{ .Input.t }}": "true", "{{ len .Input.list }}": "2",
		"{{ urlquery .Input.n }}": "12345678", `{{ .Input.n | printf "%d" | len }}`: "26",
	} {
		compiled, err := CompileTemplate(source)
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		input, err := Decode([]byte(data))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := compiled.Run(input, DefaultLimits()); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", source, got, err, want)
		}
	}
}

func TestDecodeTakesOneValue(t *testing.T) {
	for text, ok := range map[string]bool{
		`{"a":1}`: true, ` 1 `: true, `{} {}`: false, `{}x`: false, ``: false, `{"a":}`: false,
	} {
		if _, err := Decode([]byte(text)); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestCompare(t *testing.T) {
	for _, c := range []struct {
		a, b  string
		order int
		ok    bool
	}{
		{"1", "1.0", 0, true}, {"9007199254740993", "9007199254740992", 1, true},
		{"-9007199254740993", "-9007199254740992", -1, true}, {"1e2", "100", 0, true},
		{"0.1", "0.10000000000000000001", -1, true}, {"Inf", "1", 1, true}, {"NaN", "1", 0, false},
		{"x", "1", 0, false}, {"1e-999999999", "0", 0, true},
	} {
		if order, ok := Compare(c.a, c.b); order != c.order || ok != c.ok {
			t.Errorf("%s and %s: %d, %v", c.a, c.b, order, ok)
		}
	}
}

func FuzzDecodeCompare(f *testing.F) {
	f.Add("1", "1.0")
	f.Add("-1e400", "9007199254740993")
	f.Fuzz(func(t *testing.T, a, b string) {
		order, ok := Compare(a, b)
		back, again := Compare(b, a)
		if ok != again || order != -back {
			t.Fatalf("%q and %q: %d %v, %d %v", a, b, order, ok, back, again)
		}
		var n json.Number
		if json.Unmarshal([]byte(a), &n) == nil {
			_ = Exact(string(n))
		}
	})
}
