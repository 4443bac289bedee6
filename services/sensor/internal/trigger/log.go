package trigger

import (
	"context"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/span"
)

// logging is the log trigger: one line per firing, or per interval.
type logging struct {
	stateless
	world World
	mu    sync.Mutex
	last  time.Time
}

func newLog(w World) Adapter { return &logging{world: w} }

// Fire writes a line, unless the last one is younger than intervalSeconds.
func (l *logging) Fire(ctx context.Context, c Call) (Result, error) {
	now := l.world.Now()
	l.mu.Lock()
	quiet := !l.last.IsZero() && now.Sub(l.last) < span.Seconds(c.Template.Log.IntervalSeconds)
	if !quiet {
		l.last = now
	}
	l.mu.Unlock()
	if quiet {
		return Result{Summary: "within the interval of the last line"}, nil
	}
	l.world.Log.InfoContext(
		ctx, "trigger fired", "sensor", c.Sensor.Namespace+"/"+c.Sensor.Name, "trigger", c.Template.Name, "key", c.Key,
		"events", c.Firing.Causes(), "fields", c.Sensor.Spec.LoggingFields,
	)
	return Result{}, nil
}
