package retry_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/core/retry"
)

var errDown = errors.New("down")

func TestItIsTriedAsOftenAndAsFarApartAsThePolicySays(t *testing.T) {
	for name, c := range map[string]struct {
		policy retry.Policy
		err    error
		tries  int
		took   time.Duration
	}{
		"the zero value": {retry.Policy{}, errDown, 1, 0},
		"it succeeds":    {retry.Policy{First: time.Second, Steps: 5}, nil, 1, 0},
		"steady":         {retry.Policy{First: time.Second, Steps: 3}, errDown, 3, 2 * time.Second},
		"growing":        {retry.Policy{First: time.Second, Factor: 2, Steps: 4}, errDown, 4, 7 * time.Second},
		"bounded": {
			retry.Policy{First: time.Second, Factor: 10, Steps: 4, Longest: 3 * time.Second}, errDown, 4,
			7 * time.Second,
		},
		"what never gets better": {retry.Policy{First: time.Second, Steps: 5}, fault.AsPoison(errDown), 1, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			began, tries := time.Now(), 0
			err := c.policy.Do(t.Context(), func(context.Context) error {
				tries++
				return c.err
			})
			if !errors.Is(err, c.err) || tries != c.tries || time.Since(began) != c.took {
				t.Errorf("%s: %d tries in %s, %v", name, tries, time.Since(began), err)
			}
		})
	}
}

func TestJitterMakesPausesLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		p := retry.Policy{First: time.Second, Jitter: 0.5, Steps: 11}
		_ = p.Do(t.Context(), func(context.Context) error { return errDown })
		if took := time.Since(began); took < 10*time.Second || took > 15*time.Second {
			t.Errorf("ten pauses took %s", took)
		}
	})
}

func TestItEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		enough := errors.New("enough")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 90*time.Second, enough)
		defer cancel()
		tries := 0
		err := retry.Policy{First: time.Minute, Steps: 9}.While(
			ctx, func(err error) bool { return errors.Is(err, errDown) },
			func(context.Context) error { tries++; return errDown },
		)
		if !errors.Is(err, errDown) || !errors.Is(err, enough) || tries != 2 {
			t.Errorf("%d tries, %v", tries, err)
		}
	})
}
