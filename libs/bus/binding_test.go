package bus

import (
	"testing"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/nats-io/nats.go"
)

func FuzzPercentCoding(f *testing.F) {
	for _, s := range []string{"", "plain", "100%", "é\x00\"", "%zz%4", "a b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		coded := percentEncode(s)
		for i := range len(coded) {
			if coded[i] <= ' ' || coded[i] >= 0x7f {
				t.Fatalf("%q holds byte %x", coded, coded[i])
			}
		}
		if got := percentDecode(coded); got != s {
			t.Fatalf("%q came back as %q", s, got)
		}
	})
}

func TestStructuredModeIsRead(t *testing.T) {
	h := nats.Header{"Content-Type": {"application/cloudevents+json; charset=utf-8"}}
	e, err := decode(h, []byte(`{"specversion":"1.0","id":"1","source":"s","type":"t","data":{"a":1}}`))
	if err != nil || e.ID() != "1" || string(e.Data()) != `{"a":1}` {
		t.Fatalf("%v, %v", e, err)
	}
}

func TestGarbageIsPoison(t *testing.T) {
	for name, c := range map[string]struct {
		header nats.Header
		body   string
	}{
		"no attributes":   {nats.Header{}, "x"},
		"bad time":        {nats.Header{"ce-id": {"1"}, "ce-source": {"s"}, "ce-type": {"t"}, "ce-specversion": {"1.0"}, "ce-time": {"noon"}}, ""},
		"structured junk": {nats.Header{"content-type": {structuredType + "+json"}}, "{"},
	} {
		if _, err := decode(c.header, []byte(c.body)); fault.Of(err) != fault.Poison {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTokensNeverBreakASubject(t *testing.T) {
	for in, want := range map[string]string{"": "%00", "a.b": "a%2Eb", "*": "%2A", ">": "%3E", "50%": "50%25", "é": "%C3%A9", "ok-1_A": "ok-1_A"} {
		if got := Token(in); got != want {
			t.Errorf("Token(%q) = %q, want %q", in, got, want)
		}
	}
}
