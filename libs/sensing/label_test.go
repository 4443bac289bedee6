package sensing

import (
	"strings"
	"testing"
)

func TestLabelValue(t *testing.T) {
	for name, want := range map[string]string{
		"": "", "build": "build", "a.b_c-D1": "a.b_c-D1", "notify the team": "notify-the-team", "-x-": "x",
		"wünsche": "w-nsche", "!!": "",
		strings.Repeat("a", 62) + "-b": strings.Repeat("a", 62), strings.Repeat("a", 80): strings.Repeat("a", 63),
	} {
		if got := LabelValue(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}
