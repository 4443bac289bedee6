// Package parallel does the same to all of a list, some at a time.
package parallel

import (
	"errors"
	"sync"
)

// Do does the same to all of a list, up to limit at a time, and returns what went wrong.
func Do[T any](limit int, list []T, do func(T) error) error {
	errs := make([]error, len(list))
	slots := make(chan struct{}, limit)
	var working sync.WaitGroup
	for i, x := range list {
		slots <- struct{}{}
		working.Go(func() {
			defer func() { <-slots }()
			errs[i] = do(x)
		})
	}
	working.Wait()
	return errors.Join(errs...)
}
