package life

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestRunStopsInReverse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var stopped []string
		part := func(name string) Part {
			return Of(name, func(ctx context.Context) error {
				<-ctx.Done()
				time.Sleep(time.Second) // virtual: a drain that takes a while
				mu.Lock()
				defer mu.Unlock()
				stopped = append(stopped, name)
				return nil
			})
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := Run(ctx, 10*time.Second, part("a"), part("b"), part("c")); err != nil {
			t.Fatal(err)
		}
		if want := []string{"c", "b", "a"}; !slices.Equal(stopped, want) {
			t.Fatalf("stopped %v, want %v", stopped, want)
		}
	})
}

func TestRunReportsTheFirstFailureAndStopsTheRest(t *testing.T) {
	boom := errors.New("boom")
	stopped := false
	err := Run(t.Context(), time.Second,
		Of("steady", func(ctx context.Context) error { <-ctx.Done(); stopped = true; return nil }),
		Of("broken", func(context.Context) error { return boom }))
	if !errors.Is(err, boom) || !strings.Contains(err.Error(), "broken") {
		t.Fatalf("got %v", err)
	}
	if !stopped {
		t.Fatal("the other part was left running")
	}
}

func TestRunGivesUpOnAStuckPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		release := make(chan struct{})
		err := Run(ctx, time.Second,
			Of("good", func(ctx context.Context) error { <-ctx.Done(); return nil }),
			Of("stuck", func(context.Context) error { <-release; return nil }))
		close(release)
		if !errors.Is(err, ErrStuck) || !strings.Contains(err.Error(), "stuck") {
			t.Fatalf("got %v", err)
		}
	})
}
