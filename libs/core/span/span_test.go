package span

import (
	"math"
	"testing"
	"time"
)

func TestWhatOverflowsIsTheLongest(t *testing.T) {
	for _, c := range []struct {
		name      string
		got, want time.Duration
	}{
		{"seconds", Seconds(90), 90 * time.Second},
		{"seconds of 292 years and more", Seconds(int64(math.MaxInt64)), Longest},
		{"negative seconds", Seconds(int64(math.MinInt64)), -Longest},
		{"a factor", Times(time.Minute, 1.5), 90 * time.Second},
		{"a factor over a century of doubling", Times(time.Minute, math.Pow(100, 8)), Longest},
		{"an infinite factor", Times(time.Minute, math.Inf(1)), Longest},
		{"nothing times infinity", Times(0, math.Inf(1)), 0},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, c.got, c.want)
		}
	}
}

func TestParse(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"20": 20 * time.Second, "1m30s": 90 * time.Second, "99999999999999999": Longest, "-5": -5 * time.Second,
	} {
		if got, err := Parse(text); err != nil || got != want {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "1 m", "soon", "1d"} {
		if got, err := Parse(text); err == nil {
			t.Errorf("%q: got %v, want an error", text, got)
		}
	}
}
