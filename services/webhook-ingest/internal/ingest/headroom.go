package ingest

import (
	"context"
	"runtime"

	"github.com/argosy-mesh/argosy/libs/core/life"
)

// headroomBytes is address space that is never touched, so that it takes no memory. The collector counts it as in use,
// and lets twice of all that gather before it runs: under load, up to that much more memory is taken than without, and the
// work of collecting, which goes by what is really in use, is done a fourth as often. What is in use while nothing
// happens is some 25 MiB.
const headroomBytes = 64 << 20

// headroom keeps that space until ctx ends.
func headroom() life.Part {
	space := make([]byte, headroomBytes)
	return life.Of("headroom", func(ctx context.Context) error {
		<-ctx.Done()
		runtime.KeepAlive(space)
		return nil
	})
}
