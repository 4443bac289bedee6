package retry_test

import (
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/span"
	"github.com/argosy-mesh/argosy/libs/flow/retry"
)

func TestDurationsAndCounts(t *testing.T) {
	for text, want := range map[string]time.Duration{"20": 20 * time.Second, "1m30s": 90 * time.Second, "0": 0} {
		if got, err := span.Parse(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "1 day", "x"} {
		if _, err := span.Parse(text); err == nil {
			t.Errorf("%q is taken for a duration", text)
		}
		if _, err := retry.ParseCount(text); err == nil {
			t.Errorf("%q is taken for a number", text)
		}
	}
	if n, err := retry.ParseCount(" 3 "); err != nil || n != 3 {
		t.Errorf("%d, %v", n, err)
	}
}
