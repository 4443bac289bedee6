package ingest

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/life"
	"github.com/argosy-mesh/argosy/libs/core/wait"
)

// headroomBytes may gather on the heap beside as much as is in use, which is the default, before it is collected: under
// load up to that much more memory is taken, and collecting, whose work goes by what is in use, is done a fourth as
// often.
const headroomBytes = 64 << 20

// headroomEvery is how often the collector is told, and when first: what starting leaves behind is collected before.
const headroomEvery = 10 * time.Second

// percent is the collector's setting for what is in use.
func percent(live uint64) int { return 100 + int(100*headroomBytes/max(live, 8<<20)) }

// headroom gives the collector room until ctx ends.
func headroom() life.Part {
	return life.Of("headroom", func(ctx context.Context) error {
		sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		for last := 0; wait.For(ctx, headroomEvery) == nil; {
			metrics.Read(sample)
			if sample[0].Value.Kind() != metrics.KindUint64 {
				return nil
			}
			if p := percent(sample[0].Value.Uint64()); p != last {
				debug.SetGCPercent(p)
				last = p
			}
		}
		return nil
	})
}
