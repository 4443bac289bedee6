package fault

import (
	"errors"
	"fmt"
	"testing"
)

func TestOf(t *testing.T) {
	base := errors.New("boom")
	cases := []struct {
		name string
		err  error
		want Class
	}{
		{"nil", nil, None},
		{"unclassed", base, Retry},
		{"poison", AsPoison(base), Poison},
		{"stale", Stalef("gone: %w", base), Stale},
		{"wrapped", fmt.Errorf("submit x: %w", AsPoison(base)), Poison},
		{"outermost wins", AsStale(fmt.Errorf("a: %w", AsPoison(base))), Stale},
		{"poison of nil", AsPoison(nil), None},
	}
	for _, c := range cases {
		if got := Of(c.err); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
	if !errors.Is(Poisonf("x: %w", base), base) {
		t.Error("a classed error hides its cause")
	}
}
