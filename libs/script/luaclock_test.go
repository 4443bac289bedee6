package script

import (
	"testing"
	"time"
)

func TestLuaTellsTheTimeItIsGiven(t *testing.T) {
	clock := func() time.Time { return time.Unix(86400*365, 0).UTC() }
	for source, want := range map[string]any{
		`return os.time()`:                                "31536000",
		`return os.date("!%Y-%m-%d")`:                     "1971-01-01",
		`return os.date("!%H:%M", 3600)`:                  "01:00",
		`return os.date("!*t").year`:                      "1971",
		`return os.execute == nil and os.getenv == nil`:   "true",
		`return os.time({year=2020,month=1,day=1}) > 1e9`: "true",
		`return obj.n + 1`:                                "8",
		`return os.clock == nil and io == nil`:            "true",
	} {
		p, err := CompileLua("return tostring((function() " + source + " end)())")
		if err != nil {
			t.Fatal(err)
		}
		got, err := p.Eval(Env{Global: "obj", Value: map[string]any{"n": int64(7)}, Clock: clock}, Limits{})
		if err != nil || got != want {
			t.Errorf("%s: %v, %v, want %v", source, got, err, want)
		}
	}
	p, err := CompileLua(`return os == nil`)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := p.Eval(Env{Global: "obj"}, Limits{}); err != nil || got != true {
		t.Errorf("without a clock: %v, %v", got, err)
	}
	p, err = CompileLua(`return os.date(string.rep("%c", 1000))`)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := p.Eval(Env{Global: "obj", Clock: clock}, Limits{}); err == nil {
		t.Errorf("a long format gave %v", got)
	}
}
