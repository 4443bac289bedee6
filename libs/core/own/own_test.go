package own

import (
	"fmt"
	"testing"
)

func TestOwnerIsStableAndMovesLittle(t *testing.T) {
	three := []string{"a", "b", "c"}
	four := []string{"d", "c", "b", "a"}
	const n = 10000
	moved := 0
	share := map[string]int{}
	for i := range n {
		key := fmt.Sprintf("ns/object-%d", i)
		before, after := Owner(key, three), Owner(key, four)
		share[after]++
		if before != after {
			moved++
			if after != "d" {
				t.Fatalf("%s moved from %s to %s though both stayed", key, before, after)
			}
		}
	}
	if moved < n/5 || moved > n*3/10 {
		t.Errorf("%d of %d keys moved, want about a quarter", moved, n)
	}
	for m, got := range share {
		if got < n/5 || got > n*3/10 {
			t.Errorf("%s owns %d of %d, want about a quarter", m, got, n)
		}
	}
}

func TestOwnerOfNobody(t *testing.T) {
	if got := Owner("x", nil); got != "" {
		t.Fatalf("got %q", got)
	}
}
