package ingest

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/life"
	"github.com/argosy-mesh/argosy/libs/core/wait"
)

const (
	// headroomBytes may gather on the heap beside as much as is in use, which is the default, before it is collected:
	// under load up to that much more memory is taken, and collecting, whose work goes by what is in use, is done a
	// fourth as often.
	headroomBytes = 64 << 20
	// headroomEvery is how often it is looked whether there is load.
	headroomEvery = 2 * time.Second
	// headroomLoad is what is allocated in that time when there is load: about 200 hooks in a second. Who idles
	// allocates a twentieth of it.
	headroomLoad = 16 << 20
	// headroomAfter is for how many looks without load the room stays.
	headroomAfter = 15
)

// collector decides how much room the collector has.
type collector struct {
	allocated uint64 // by the last look
	idle      int    // looks without load
	percent   int
}

// look returns the collector's setting for what is in use and was allocated since the process began, and whether
// memory should be given back now: load is over.
func (c *collector) look(live, allocated uint64) (percent int, giveBack bool) {
	busy := allocated-c.allocated >= headroomLoad
	c.allocated = allocated
	before := c.percent
	switch {
	case busy:
		c.idle, c.percent = 0, 100+int(100*headroomBytes/max(live, 8<<20))
	case c.idle < headroomAfter:
		c.idle++
	default:
		c.percent = 100
	}
	return c.percent, before > 100 && c.percent == 100
}

// headroom gives the collector room while there is load, until ctx ends.
func headroom() life.Part {
	return life.Of("headroom", func(ctx context.Context) error {
		sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/heap/allocs:bytes"}}
		c := collector{percent: 100, idle: headroomAfter}
		for last := c.percent; wait.For(ctx, headroomEvery) == nil; {
			metrics.Read(sample)
			if sample[0].Value.Kind() != metrics.KindUint64 || sample[1].Value.Kind() != metrics.KindUint64 {
				return nil
			}
			percent, giveBack := c.look(sample[0].Value.Uint64(), sample[1].Value.Uint64())
			if percent != last {
				debug.SetGCPercent(percent)
				last = percent
			}
			if giveBack {
				debug.FreeOSMemory()
			}
		}
		return nil
	})
}
