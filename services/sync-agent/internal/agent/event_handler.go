package agent

import (
	"context"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/service"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/imageupdate"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/refresh"
	"github.com/prometheus/client_golang/prometheus"
)

// eventHandler reads all events once: only their types and attributes, which no subject holds, say which concern us.
type eventHandler struct {
	pushes  *refresh.Handler
	images  *imageupdate.Updater
	seconds *prometheus.HistogramVec // to handle an event, by consumer and error class
}

// olderConsumer is what version 0.1 read pushes with, beside another that read images.
const olderConsumer = "sync-agent-push"

// gathering is how long events gather while they come: most concern no application here, and a stream of them must not
// take as much of the machine as their intake. A push after a rest comes at once.
const gathering = 10 * time.Millisecond

func newEventHandler(pushes *refresh.Handler, images *imageupdate.Updater, r prometheus.Registerer) *eventHandler {
	a := &eventHandler{pushes: pushes, images: images, seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "argosy_sync_event_seconds", Help: "Time to handle one event, by consumer and error class.",
	}, []string{"consumer", "class"})}
	r.MustRegister(a.seconds)
	return a
}

func (a *eventHandler) observe(class fault.Class, took time.Duration) {
	a.seconds.WithLabelValues("events", string(class)).Observe(took.Seconds())
}

func (a *eventHandler) consumer() bus.Consumer {
	return bus.Consumer{
		Stream:      bus.Events,
		Name:        "sync-agent-images",
		Types:       []string{refresh.OlderType, events.TypeImagePushed},
		Having:      []string{events.ExtGitRef},
		Concurrency: 8,
		Linger:      gathering,
		Observe:     a.observe,
	}
}

func (a *eventHandler) handle(ctx context.Context, d bus.Delivery) ([]bus.Outgoing, error) {
	if d.Type() == events.TypeImagePushed {
		return a.images.Handle(ctx, d)
	}
	return a.pushes.Handle(ctx, d)
}

func (a *eventHandler) run(ctx context.Context, base *service.Base) error {
	if err := base.Bus.DeleteConsumer(ctx, bus.Events, olderConsumer); err != nil {
		base.Log.WarnContext(ctx, "a consumer of an older version stays", "consumer", olderConsumer, "error", err)
	}
	return base.Bus.Consume(ctx, a.consumer(), a.handle)
}
