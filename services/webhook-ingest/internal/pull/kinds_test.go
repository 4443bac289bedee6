package pull

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	amqp "github.com/rabbitmq/amqp091-go"
)

func TestBodies(t *testing.T) {
	for name, c := range map[string]struct {
		asJSON bool
		raw    []byte
		want   string
	}{
		"JSON":                 {true, []byte(`{"a":1.50}`), `{"body":{"a":1.50}}`},
		"JSON with a mark":     {true, []byte("\ufeff{\"order\":1}"), `{"body":{"order":1}}`},
		"text":                 {true, []byte("hello"), `{"body":"hello"}`},
		"text with a mark":     {true, []byte("\ufeffhello"), `{"body":"hello"}`},
		"bytes":                {true, []byte("\xff\x00"), `{"body":"/wA=","bodyEncoding":"base64"}`},
		"bytes in JSON":        {true, []byte("\"\xff\""), `{"body":"Iv8i","bodyEncoding":"base64"}`},
		"nothing":              {true, nil, `{"body":null}`},
		"empty":                {true, []byte{}, `{"body":null}`},
		"a mark alone":         {true, []byte("\ufeff"), `{"body":null}`},
		"base64":               {false, []byte("hello"), `{"body":"aGVsbG8="}`},
		"nothing in base64":    {false, nil, `{"body":null}`},
		"empty in base64":      {false, []byte{}, `{"body":""}`},
		"numbers keep digits":  {true, []byte(`12345678901234567890`), `{"body":12345678901234567890}`},
		"null":                 {true, []byte(`null`), `{"body":null}`},
		"a body with two ends": {true, []byte(`{}{}`), `{"body":"{}{}"}`},
	} {
		text, err := json.Marshal(content(c.asJSON, c.raw))
		if err != nil || string(text) != c.want {
			t.Errorf("%s: %s, %v, want %s", name, text, err, c.want)
		}
	}
	for name, c := range map[string]struct {
		asJSON    bool
		raw, want string
	}{
		"text": {false, "hello", `{"body":"hello"}`}, "JSON as text": {false, `{"a":1}`, `{"body":"{\"a\":1}"}`},
		"JSON":  {true, `{"a":1}`, `{"body":{"a":1}}`},
		"empty": {false, "", `{"body":""}`}, "bytes": {false, "\xff", `{"body":"/w==","bodyEncoding":"base64"}`},
	} {
		if text, err := json.Marshal(textContent(c.asJSON, []byte(c.raw))); err != nil || string(text) != c.want {
			t.Errorf("%s: %s, %v, want %s", name, text, err, c.want)
		}
	}
}

func FuzzContent(f *testing.F) {
	f.Add(true, []byte(`{"a":1}`))
	f.Add(true, []byte("\xff\xfe{\x00}\x00"))
	f.Fuzz(func(t *testing.T, asJSON bool, raw []byte) {
		if text, err := json.Marshal(content(asJSON, raw)); err != nil || !json.Valid(text) {
			t.Errorf("%q: %s, %v", raw, text, err)
		}
	})
}

// Case 21, and keys and headers that are no text.

// kafka is a producer, and what makes and deletes topics.

// Case 17: redis-server that does not know XAUTOCLAIM behaves as 6.0 does to the source.

// Case 33, and ids that two publishers share.

func TestWhatPublishersOfAMQPSay(t *testing.T) {
	c := v1alpha1.AMQPEventSource{JSONBody: true}
	d := amqp.Delivery{MessageId: "1", Body: []byte(`{"n":1}`), Headers: amqp.Table{
		"tenant": "acme",
		"bytes":  []byte{0xff},
		"n":      int32(5),
		"deep":   amqp.Table{"list": []any{"a", int64(1)}},
		"price":  amqp.Decimal{Scale: 2, Value: 150},
		"at":     clockTime,
		"none":   nil,
	}}
	text, err := json.Marshal(amqpView(c, d))
	if err != nil {
		t.Fatal(err)
	}
	e := told{data: string(text)}
	for path, want := range map[string]string{
		"headers.tenant": "acme", "headers.bytes": "/w==", "headersEncoding.bytes": "base64", "headers.n": "5",
		"headers.deep.list.1": "1", "headers.price": "1.50", "headers.at": "2026-01-02T03:04:05Z", "body.n": "1",
	} {
		if got := e.get(path); got != want {
			t.Errorf("%s is %q, want %q", path, got, want)
		}
	}
	other := d
	other.Body = []byte(`{"n":2}`)
	again := d
	again.Redelivered = true
	if amqpID(c, d) == amqpID(c, other) || amqpID(c, d) != amqpID(c, again) || amqpID(c, amqp.Delivery{}) != "" {
		t.Error("a messageId counts for its publisher's message only")
	}
}

var clockTime = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// Case 16: a state that comes back is news.

func TestAFileThatComesBackIsNews(t *testing.T) {
	r := newRig(t)
	file := map[string]entry{"/in/day.csv": {Size: 1, Time: 5}}
	rounds := []map[string]entry{{}, file, {}, file, {}, file, {}}
	run := func(rounds []map[string]entry) error {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		n := 0
		look := tree{
			match: func(string) bool { return true },
			every: time.Microsecond,
			list: func(context.Context) (map[string]entry, error) {
				if n++; n > len(rounds) {
					cancel()
					return rounds[len(rounds)-1], nil
				}
				return rounds[n-1], nil
			},
		}
		return look.run(ctx, r.env, r.emit)
	}
	if err := run(rounds); err != nil {
		t.Fatal(err)
	}
	if err := run([]map[string]entry{file, {}}); err != nil { // after a restart
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for len(r.events) > 0 {
		ids[(<-r.events).id] = true
	}
	if len(ids) != 8 {
		t.Errorf("%d events with ids of their own, want 8", len(ids))
	}
	// What a kill repeats has the id that it had.
	r.refuse = func(e told) bool { ids[e.id] = true; return true }
	for range 2 {
		_ = run([]map[string]entry{file, {}})
	}
	if len(ids) != 9 {
		t.Errorf("%d ids after two attempts at one change", len(ids)-8)
	}
}

// Case 15: what is mounted of a ConfigMap changes behind links.

func TestFilesBehindLinks(t *testing.T) {
	for _, polling := range []bool{false, true} {
		r, dir := newRig(t), t.TempDir()
		version := func(name, text string) {
			t.Helper()
			if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, name, "rules.yaml"), text)
			write(t, filepath.Join(dir, name, "same.yaml"), "same")
		}
		link := func(to, name string) {
			t.Helper()
			if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		version("..1", "a")
		link("..1", "..data")
		link("..data/rules.yaml", "rules.yaml")
		link("..data/same.yaml", "same.yaml")
		entrance := filepath.Join(t.TempDir(), "mounted")
		if err := os.Symlink(dir, entrance); err != nil {
			t.Fatal(err)
		}
		c := v1alpha1.FileEventSource{
			Polling:         polling,
			EventType:       "WRITE",
			WatchPathConfig: v1alpha1.WatchPathConfig{Directory: entrance, PathRegexp: `^[a-z]+\.yaml$`},
		}
		r.start(file(c))
		version("..2", "changed")
		link("..2", "..data_tmp")
		if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(filepath.Join(dir, "..1")); err != nil {
			t.Fatal(err)
		}
		if e := r.next(); e.get("op") != "WRITE" || e.get("name") != filepath.Join(entrance, "rules.yaml") {
			t.Errorf("polling %v: %+v", polling, e)
		}
		// The file whose content stayed is not told; the next change of the other comes alone.
		write(t, filepath.Join(dir, "..2", "rules.yaml"), "again")
		if e := r.next(); e.get("name") != filepath.Join(entrance, "rules.yaml") {
			t.Errorf("polling %v: %+v", polling, e)
		}
		r.quiet()
	}
}

func TestAHubThatIsMadeAgain(t *testing.T) {
	r := newRig(t)
	notes := 0
	r.env.Note = func(string) { notes++ }
	for name, c := range map[string]struct{ saved, made, want string }{
		"the same":       {`{"made":"a","at":{"0":"100"}}`, "a", "100"},
		"another":        {`{"made":"a","at":{"0":"100"}}`, "b", "-1"},
		"not told":       {`{"made":"a","at":{"0":"100"}}`, "", "100"},
		"older versions": {`{"0":"100"}`, "a", "100"},
		"of another":     {`"x"`, "a", ""},
		"none":           {``, "a", ""},
	} {
		h := &hub{env: r.env, made: c.made}
		if got := h.known([]byte(c.saved))["0"]; got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	if notes != 1 {
		t.Errorf("%d notes", notes)
	}
}

func TestMarksOfWhatIsNoText(t *testing.T) {
	var m Marks
	name, text := m.plain("\xff", "\xfe")
	if name != base64.StdEncoding.EncodeToString([]byte("\xff")) || text != "/g==" ||
		m[name] != "name base64, value base64" {
		t.Errorf("%q %q %v", name, text, m)
	}
	if h := m.headers(map[string][]string{"a": {"b", "\xff"}}); h["a"][0] != "b" || h["a"][1] != "/w==" ||
		m["a"] != "base64" {
		t.Errorf("%v %v", h, m)
	}
	if m.headers(nil) != nil {
		t.Error("headers out of nothing")
	}
}
