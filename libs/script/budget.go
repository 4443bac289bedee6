package script

import (
	"errors"
	"fmt"
	"time"
)

// ErrBudget is wrapped by the error of a run that was ended.
var ErrBudget = errors.New("over budget")

// Limits bounds one run. The zero value means [DefaultLimits].
type Limits struct {
	// Steps are instructions of the interpreter.
	Steps int
	// Bytes bound every string that is made, and roughly every list.
	Bytes int
	// Alarm, when set, is asked now and then whether the run must end.
	Alarm func() bool
}

// DefaultLimits are what a filter or transform of a manifest needs many times over;
// two million steps take about a tenth of a second.
func DefaultLimits() Limits { return Limits{Steps: 2_000_000, Bytes: 8 << 20} }

func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	if l.Steps == 0 {
		l.Steps = d.Steps
	}
	if l.Bytes == 0 {
		l.Bytes = d.Bytes
	}
	return l
}

// alarmInterval is how many steps lie between two looks at the alarm.
const alarmInterval = 256

// budget is what is left of a run. It has the methods of a context, because that is
// what the interpreters look at before each instruction: looking is the step.
type budget struct {
	limits Limits
	left   int
	ended  chan struct{}
	err    error
}

func newBudget(l Limits) *budget {
	l = l.withDefaults()
	return &budget{limits: l, left: l.Steps, ended: make(chan struct{})}
}

// charge takes n steps; false means that the run is over.
func (b *budget) charge(n int) bool {
	if b.err != nil {
		return false
	}
	before := b.left
	b.left -= n
	if b.left < 0 {
		b.end(fmt.Errorf("%w: more than %d steps", ErrBudget, b.limits.Steps))
		return false
	}
	if b.limits.Alarm != nil && before/alarmInterval != b.left/alarmInterval && b.limits.Alarm() {
		b.end(fmt.Errorf("%w: it took too long", ErrBudget))
		return false
	}
	return true
}

// room says whether a value of n bytes may be made. Bytes cost steps too, so that
// many large values end a run like many small ones.
func (b *budget) room(n int) error {
	if n > b.limits.Bytes {
		b.end(fmt.Errorf("%w: a value of more than %d bytes", ErrBudget, b.limits.Bytes))
	}
	if !b.charge(n / 64) {
		return b.err
	}
	return nil
}

func (b *budget) end(err error) {
	if b.err == nil {
		b.err = err
		close(b.ended)
	}
}

// Done is asked before each instruction.
func (b *budget) Done() <-chan struct{} {
	b.charge(1)
	return b.ended
}

// Err says why the run is over.
func (b *budget) Err() error { return b.err }

// Deadline is unknown: steps are not time.
func (b *budget) Deadline() (time.Time, bool) { return time.Time{}, false }

// Value holds nothing.
func (b *budget) Value(any) any { return nil }
