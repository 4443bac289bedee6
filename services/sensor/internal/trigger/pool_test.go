package trigger

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
)

// A server that does not answer holds up those who want it, and nobody else.
func TestASlowServerHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		closed := map[string]int{}
		p := newPool(func(name string) error {
			mu.Lock()
			defer mu.Unlock()
			closed[name]++
			return nil
		})
		answer := make(chan struct{})
		var waiting sync.WaitGroup
		opened := 0
		for range 2 {
			waiting.Go(func() {
				if v, err := p.get(
					"slow",
					func() (string, error) { opened++; <-answer; return "slow", nil },
				); v != "slow" ||
					err != nil {
					t.Errorf("%q, %v", v, err)
				}
			})
		}
		synctest.Wait()
		if v, err := p.get("fast", func() (string, error) { return "fast", nil }); v != "fast" || err != nil {
			t.Errorf("%q, %v", v, err)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		close(answer)
		waiting.Wait()
		synctest.Wait()
		if opened != 1 || closed["slow"] != 1 || closed["fast"] != 1 {
			t.Errorf("opened %d times, closed %v", opened, closed)
		}
		if _, err := p.get("late", func() (string, error) { return "late", nil }); err == nil {
			t.Error("a closed pool opened something")
		}
	})
}

func TestAPoolKeepsSoManyAndTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan int, 100)
		p := newPool(func(n int) error { ended <- n; return nil })
		down := errors.New("down")
		for range 2 {
			if _, err := p.get("x", func() (int, error) { return 0, down }); !errors.Is(err, down) {
				t.Error(err)
			}
		}
		if v, err := p.get("x", func() (int, error) { return 7, nil }); v != 7 || err != nil {
			t.Error(v, err)
		}
		for i := range maxOpen {
			if _, err := p.get(fmt.Sprint(i), func() (int, error) { return i, nil }); err != nil {
				t.Error(err)
			}
		}
		synctest.Wait()
		if len(ended) != 1 || <-ended != 7 {
			t.Error("the oldest was not closed")
		}
		if len(p.open) != maxOpen || len(p.order) != maxOpen {
			t.Errorf("%d open, %d in order", len(p.open), len(p.order))
		}
	})
}
