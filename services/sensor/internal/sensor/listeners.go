package sensor

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
)

const (
	// stopGrace is how long a stopped listener may finish what it has in hand. A trigger that waits for its rate or for
	// its next try may have hours to go: the firing goes back to the queue then.
	stopGrace = 5 * time.Second
	// stopWait is after how long a listener that still has not ended is told of.
	stopWait = stopGrace + 30*time.Second
)

// listeners runs one listener per Sensor. No call waits for what a listener does: one Sensor never holds another's
// work.
type listeners struct {
	serving context.Context //nolint:containedctx // ends with the process; listeners live within it
	log     *slog.Logger
	now     func() time.Time
	news    func(l *listening) // told when the bus said something new about a listener

	mu      sync.Mutex
	closed  bool
	running map[string]*listening // by namespace/name
	leaving sync.WaitGroup        // those that were stopped and have something in hand
}

// listening is a listener at work.
type listening struct {
	key      string
	version  string // of everything that makes the compiled Sensor
	compiled *compiledSensor
	listener *listener
	since    time.Time
	stop     context.CancelFunc
	stopped  <-chan struct{} // closed by stop
	done     chan struct{}   // closed when nothing is in hand any more

	mu   sync.Mutex
	said map[string]error // what the bus said about each place: nil when it has it
}

// places of a Sensor in the streams.
const (
	placeEvents = "events"
	placeQueue  = "queue"
)

// state is what the bus said so far: listening, or why it refuses. Neither means that nothing is known.
func (l *listening) state() (listens bool, refused error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	err, known := l.said[placeEvents]
	// The queue has a place only while something is on it.
	return known && err == nil, errors.Join(err, l.said[placeQueue])
}

// hear takes what the bus says about one place, and reports whether that changes anything. A bus that is away says
// nothing about the place.
func (l *listening) hear(place string, err error) bool {
	if err != nil && !errors.Is(err, bus.ErrRefused) {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	before, known := l.said[place]
	l.said[place] = err
	return !known || (before == nil) != (err == nil)
}

// find returns the listener of a Sensor, if it is of that version.
func (ls *listeners) find(key, version string) *listening {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if l := ls.running[key]; l != nil && l.version == version {
		return l
	}
	return nil
}

// start replaces the listener of a Sensor. The old one may still finish what it has in hand: the bus sees to the order,
// and the keys to effects that happen twice.
func (ls *listeners) start(key, version string, l *listener) *listening {
	ctx, cancel := context.WithCancel(ls.serving)
	next := &listening{
		key:      key,
		version:  version,
		compiled: l.compiled,
		listener: l,
		since:    ls.now(),
		stop:     cancel,
		stopped:  ctx.Done(),
		done:     make(chan struct{}),
		said:     map[string]error{},
	}
	l.declared = func(place string, err error) {
		if next.hear(place, err) {
			go ls.news(next) // whoever hears it may be busy, and the bus waits for no one
		}
	}
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if ls.closed {
		cancel()
		close(next.done)
		return next
	}
	// It takes the place of the old one before that is stopped: a Sensor that nobody listens for gets a consumer.
	subscription := l.subscribe()
	if ls.running[key] != nil {
		l.firings() // that the old one gives back
	}
	ls.stopLocked(key, nil)
	ls.running[key] = next
	go func() {
		defer close(next.done)
		l.run(ctx, subscription)
	}()
	return next
}

// kick has the firings of Sensors that are ours looked after, by their uids.
func (ls *listeners) kick(uids map[string]bool, holds func(key string) bool) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for _, l := range ls.running {
		if uids[string(l.compiled.sensor.UID)] && holds(l.key) {
			l.listener.firings()
		}
	}
}

// stop ends the listener of a Sensor in the background, and calls then, which may be nil, once nothing of it is left.
func (ls *listeners) stop(key string, then func()) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.stopLocked(key, then)
}

func (ls *listeners) stopLocked(key string, then func()) {
	l := ls.running[key]
	delete(ls.running, key)
	if l == nil {
		return
	}
	ls.leaving.Add(1)
	l.stop()
	go func() {
		defer ls.leaving.Done()
		late := time.AfterFunc(stopWait, func() {
			ls.log.Warn(
				"a stopped sensor still has something in hand: one of its triggers does not heed the end of its context",
				"sensor", key,
			)
		})
		defer late.Stop()
		<-l.done
		if then != nil {
			then()
		}
	}()
}

// drain ends all listeners once ctx has ended, and waits for them.
func (ls *listeners) drain(ctx context.Context) error {
	<-ctx.Done()
	ls.mu.Lock()
	ls.closed = true
	keys := make([]string, 0, len(ls.running))
	for key := range ls.running {
		keys = append(keys, key)
	}
	ls.mu.Unlock()
	for _, key := range keys {
		ls.stop(key, nil)
	}
	ls.leaving.Wait()
	return nil
}
