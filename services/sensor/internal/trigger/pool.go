package trigger

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"sync"
)

// pool keeps what adapters hold open, by what it was opened with. A trigger whose parameters name a new server each
// time must not keep them all. Opening holds nobody up but those who wait for the same.
type pool[T any] struct {
	close func(T) error

	mu    sync.Mutex
	open  map[string]*opened[T]
	order []string // the oldest first
	ended bool
}

// opened is one of a pool, once ready is closed.
type opened[T any] struct {
	ready chan struct{}
	value T
	err   error
}

// maxOpen bounds a pool.
const maxOpen = 16

// errClosed is the answer of a pool that was closed.
var errClosed = errors.New("the trigger was closed")

func newPool[T any](end func(T) error) *pool[T] {
	return &pool[T]{open: map[string]*opened[T]{}, close: end}
}

// get returns the one that was opened with the same settings, or opens it. Settings may hold secrets; only their hash
// is kept. One that could not be opened is tried again by the next that asks.
func (p *pool[T]) get(settings any, open func() (T, error)) (T, error) {
	text, err := json.Marshal(settings)
	if err != nil {
		var none T
		return none, err
	}
	sum := sha256.Sum256(text)
	key := hex.EncodeToString(sum[:])
	p.mu.Lock()
	if p.ended {
		p.mu.Unlock()
		var none T
		return none, errClosed
	}
	one, there := p.open[key]
	if there {
		p.mu.Unlock()
		<-one.ready
		return one.value, one.err
	}
	one = &opened[T]{ready: make(chan struct{})}
	p.open[key] = one
	p.order = append(p.order, key)
	old := p.overflow()
	p.mu.Unlock()
	_ = p.end(old) // it concerns nobody here
	one.value, one.err = open()
	close(one.ready)
	if one.err != nil {
		p.forget(key, one)
	}
	return one.value, one.err
}

// overflow takes the oldest out when there are too many. The lock is held.
func (p *pool[T]) overflow() *opened[T] {
	if len(p.order) <= maxOpen {
		return nil
	}
	key := p.order[0]
	p.order = p.order[1:]
	old := p.open[key]
	delete(p.open, key)
	return old
}

func (p *pool[T]) forget(key string, one *opened[T]) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open[key] != one {
		return
	}
	delete(p.open, key)
	for i, k := range p.order {
		if k == key {
			p.order = append(p.order[:i:i], p.order[i+1:]...)
			return
		}
	}
}

// end closes one that was taken out, at once or as soon as it is open.
func (p *pool[T]) end(old *opened[T]) error {
	if old == nil {
		return nil
	}
	finish := func() error {
		if opened := old.err == nil; opened {
			return p.close(old.value)
		}
		return nil
	}
	select {
	case <-old.ready:
		return finish()
	default:
		go func() {
			<-old.ready
			_ = finish() // nobody waits for it any more
		}()
		return nil
	}
}

// Close closes all, those that are being opened as soon as they are.
func (p *pool[T]) Close() error {
	p.mu.Lock()
	all := p.open
	p.open, p.order, p.ended = map[string]*opened[T]{}, nil, true
	p.mu.Unlock()
	var first error
	for _, one := range all {
		if err := p.end(one); err != nil && first == nil {
			first = err
		}
	}
	return first
}
