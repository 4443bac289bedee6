package bus

import (
	"testing"
	"time"
)

func TestKnown(t *testing.T) {
	born := time.Unix(1, 0)
	var k Known
	k.Stored(7) // before anybody looked at the stream
	k.of(born, 9, 0)
	if got := k.next(); got != 1 {
		t.Errorf("what is before 7 is not known, but %d is next", got)
	}
	k.reached(6)
	if got := k.next(); got != 8 {
		t.Errorf("%d is next, want 8 behind the known 7", got)
	}
	k.Stored(10)
	k.Stored(9)
	k.Stored(8)
	k.Stored(3)
	if got := k.next(); got != 11 || len(k.ahead) != 0 {
		t.Errorf("%d is next, want 11; ahead %v", got, k.ahead)
	}
	k.Stored(20)
	// It was looked at before 8 to 10 were stored, and answers after.
	k.of(born, 8, 7)
	if got := k.next(); got != 11 {
		t.Errorf("an older look made %d next", got)
	}
	k.of(born, 5, 10)
	if got := k.next(); got != 1 || len(k.ahead) != 0 {
		t.Errorf("a stream that lost what it had leaves %d next, ahead %v", got, k.ahead)
	}
	k.reached(5)
	k.of(born.Add(1), 5, 5)
	if got := k.next(); got != 1 {
		t.Errorf("of another stream %d is next", got)
	}
}

func TestConfirmations(t *testing.T) {
	for text, want := range map[string]Stored{
		`{"stream":"EVENTS","seq":12}`:                    {"EVENTS", 12, false},
		`{"stream":"EVENTS", "seq":12}`:                   {"EVENTS", 12, false},
		`{"stream":"EVENTS","seq":12,"duplicate":true}`:   {"EVENTS", 12, true},
		`{"stream":"EVENTS", "seq":12,"duplicate": true}`: {"EVENTS", 12, true},
		`{"stream":"E","domain":"d","seq":1}`:             {"E", 1, false},
		`{"stream":"","seq":1}`:                           {},
		`{"stream":"E","seq":}`:                           {},
		`{"error":{"code":503,"err_code":10077}}`:         {},
		`{"seq":1}`: {},
		``:          {},
		`null`:      {},
	} {
		if got, err := confirmation([]byte(text)); got != want || (err == nil) != (want != Stored{}) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
}
