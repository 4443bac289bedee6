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

func TestStructuredDataOfAllTypes(t *testing.T) {
	for name, c := range map[string]struct{ members, want string }{
		"no type": {`"data":{"a":1.10}`, `{"a":1.10}`},
		"json": {
			`"datacontenttype":"application/json; charset=utf-8","data":[12345678901234567890]`,
			`[12345678901234567890]`,
		},
		"+json and an object": {
			`"datacontenttype":"application/vnd.docker.distribution.events.v1+json","data":{"a":1}`, `{"a":1}`,
		},
		"+json before the data":   {`"data":{"a":1},"datacontenttype":"application/x+JSON"`, `{"a":1}`},
		"+json with parameters":   {`"datacontenttype":"application/x+json;v=1","data":[1]`, `[1]`},
		"+json as the SDK writes": {`"datacontenttype":"application/x+json","data":"{\"a\":1}"`, `{"a":1}`},
		"+json and a text":        {`"datacontenttype":"application/x+json","data":"plain"`, `"plain"`},
		"+json and a number": {
			`"datacontenttype":"application/x+json","data":9007199254740993`, `9007199254740993`,
		},
		"json and a text":         {`"datacontenttype":"application/json","data":"{}"`, `"{}"`},
		"text":                    {`"datacontenttype":"text/plain","data":"a\"b"`, `a"b`},
		"text and null":           {`"datacontenttype":"text/plain","data":null`, ``},
		"text and an object":      {`"datacontenttype":"text/plain","data":{}`, "error"},
		"base64":                  {`"datacontenttype":"application/x+json","data_base64":"eyJhIjoxfQ=="`, `{"a":1}`},
		"no base64":               {`"data_base64":"%%%"`, "error"},
		"no data":                 {`"datacontenttype":"application/json"`, ``},
		"an attribute of objects": {`"note":{}`, "error"},
		"numbers and booleans":    {`"count":5,"ok":true,"data":"x"`, `"x"`},
		"null attributes":         {`"subject":null,"data":1`, `1`},
	} {
		e, err := decode(
			nats.Header{"Content-Type": {"application/cloudevents+json"}},
			[]byte(`{"specversion":"1.0","id":"1","source":"s","type":"t",`+c.members+`}`),
		)
		got := string(e.Data())
		if err != nil {
			if got = "error"; fault.Of(err) != fault.Poison {
				t.Errorf("%s: %v is not poison", name, err)
			}
		}
		if got != c.want {
			t.Errorf("%s: got %s, %v, want %s", name, got, err, c.want)
		}
	}
	older, err := decode(
		nats.Header{"Content-Type": {"application/cloudevents+json"}},
		[]byte(`{"specversion":"0.3","id":"1","source":"s","type":"t","data":{"a":1}}`),
	)
	if err != nil || string(older.Data()) != `{"a":1}` {
		t.Errorf("version 0.3: %v, %v", older, err)
	}
}

func FuzzStructured(f *testing.F) {
	f.Add(
		[]byte(
			`{"specversion":"1.0","id":"1","source":"s","type":"t","datacontenttype":"a/b+json","data":{"a":1},"x":true}`,
		),
	)
	f.Add([]byte(`{"specversion":"1.0","data_base64":"e30="}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		e, err := decodeStructured(text)
		if err == nil && e.Validate() != nil || err != nil && fault.Of(err) != fault.Poison {
			t.Fatalf("%v, %v", e, err)
		}
	})
}

func TestCopiesHaveNoHeadersOfTheServer(t *testing.T) {
	got := copied(
		nats.Header{
			"Nats-Expected-Stream":        {"COMMANDS"},
			"nats-expected-last-sequence": {"1"},
			"Nats-Msg-Id":                 {"x"},
			"Nats-Rollup":                 {"all"},
			"Nats-TTL":                    {"1s"},
			"ce-id":                       {"1"},
			"X-Nats":                      {"y"},
		},
	)
	if len(got) != 2 || got["ce-id"] == nil || got["X-Nats"] == nil {
		t.Errorf("%v", got)
	}
}

func TestGarbageIsPoison(t *testing.T) {
	for name, c := range map[string]struct {
		header nats.Header
		body   string
	}{
		"no attributes": {nats.Header{}, "x"},
		"bad time": {
			nats.Header{
				"ce-id": {"1"}, "ce-source": {"s"}, "ce-type": {"t"}, "ce-specversion": {"1.0"}, "ce-time": {"noon"},
			},
			"",
		},
		"structured junk": {nats.Header{"content-type": {structuredType + "+json"}}, "{"},
	} {
		if _, err := decode(c.header, []byte(c.body)); fault.Of(err) != fault.Poison {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTokensNeverBreakASubject(t *testing.T) {
	for in, want := range map[string]string{
		"": "%00", "a.b": "a%2Eb", "*": "%2A", ">": "%3E", "50%": "50%25", "é": "%C3%A9", "ok-1_A": "ok-1_A",
	} {
		if got := Token(in); got != want {
			t.Errorf("Token(%q) = %q, want %q", in, got, want)
		}
	}
}
