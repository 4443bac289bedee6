package agent

import (
	"context"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/service"
	"github.com/argosy-mesh/argosy/schemas/events"
)

// eventHandler reads all events once: only their types and attributes, which no subject holds, say which concern us.
type eventHandler struct {
	pushes  *gitEvents
	images  *images
	metrics *metrics
}

// olderConsumer is what version 0.1 read pushes with, beside another that read images.
const olderConsumer = "sync-agent-push"

// olderPushes is the type of the pushes that versions before this one knew, which have no attributes of their own.
const olderPushes = "github"

// gathering is how long events gather while they come: most concern no application here, and a stream of them must not
// take as much of the machine as their intake. A push after a rest comes at once.
const gathering = 10 * time.Millisecond

func (a *eventHandler) consumer() bus.Consumer {
	return bus.Consumer{Stream: bus.Events, Name: "sync-agent-images", Types: []string{olderPushes, events.TypeImagePushed}, Having: []string{events.ExtGitRef}, Concurrency: 8, Linger: gathering, Observe: a.metrics.observe("events")}
}

func (a *eventHandler) handle(ctx context.Context, d bus.Delivery) ([]bus.Outgoing, error) {
	if d.Type() == events.TypeImagePushed {
		return a.images.handle(ctx, d)
	}
	return a.pushes.handle(ctx, d)
}

func (a *eventHandler) run(ctx context.Context, base *service.Base) error {
	if err := base.Bus.DeleteConsumer(ctx, bus.Events, olderConsumer); err != nil {
		base.Log.WarnContext(ctx, "a consumer of an older version stays", "consumer", olderConsumer, "error", err)
	}
	return base.Bus.Consume(ctx, a.consumer(), a.handle)
}
