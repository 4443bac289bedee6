package ingest

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/argosy-mesh/argosy/libs/kube/object"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/life"
	"github.com/argosy-mesh/argosy/libs/kube"
	"github.com/argosy-mesh/argosy/libs/kube/actas"
	"github.com/argosy-mesh/argosy/libs/kube/secret"
	"github.com/argosy-mesh/argosy/libs/obs"
	"github.com/argosy-mesh/argosy/libs/service"
	"github.com/argosy-mesh/argosy/schemas/events"
	controller "github.com/argosy-mesh/argosy/services/webhook-ingest/internal/controller/eventsource"
	"github.com/argosy-mesh/argosy/services/webhook-ingest/internal/wal"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// Run is the service from its arguments to its end.
func Run(ctx context.Context, args []string, getenv func(string) string, out io.Writer) error {
	cfg, err := parse(args, getenv, out)
	if err != nil {
		return err
	}
	base, err := service.Boot(ctx, events.ServiceWebhookIngest, cfg.Common, getenv, out)
	if err != nil {
		return err
	}
	local, err := wal.Open(cfg.LogDir, int64(cfg.LogBudget))
	if err != nil {
		return err
	}
	mgr, err := kube.NewManager(cfg.Kubeconfig, base.Log, cache.Options{})
	if err != nil {
		return errors.Join(err, local.Close())
	}
	parts, err := assemble(ctx, cfg, base, mgr, local)
	if err != nil {
		return errors.Join(err, local.Close())
	}
	return errors.Join(base.Run(ctx, parts...), local.Close())
}

func assemble(
	ctx context.Context, cfg Config, base *service.Base, mgr manager.Manager, local *wal.Log,
) ([]life.Part, error) {
	table := newRoutes()
	in := newIntake(base.Bus, local, base.Log)
	out := newSink(in, base.Telemetry)
	front := newServer(table, out, base.Telemetry)
	regain := make(chan event.GenericEvent)
	secrets := secret.NewReader(mgr.GetAPIReader(), 0)
	accounts, err := actas.New(mgr.GetConfig())
	if err != nil {
		return nil, err
	}
	readers := newSources(out, secrets, accounts, base.Members.Owns)
	readers.own = cfg.Own
	news := make(chan event.GenericEvent, 256)
	readers.changed = func(key string) { announce(news, key) }
	hooks := newHooks(out, secrets, base.Members.Owns)
	hooks.changed = readers.changed
	in.set.changed = readers.changed
	r := &controller.Reconciler{
		Client:  mgr.GetClient(),
		Secrets: secrets,
		Routes:  table,
		Sources: readers,
		Hooks:   hooks,
		Refused: front.refused.take,
		Aside:   in.set.about,
		Owns:    base.Members.Owns,
		Tell:    mgr.GetEventRecorder("argosy-webhook-ingest"),
	}
	if err := r.Control(mgr, regain, news); err != nil {
		return nil, err
	}
	list := object.NewList("EventSource")
	// Hooks are taken from the moment the routes are known, with or without bus.
	base.Probes.Ready("routes", kube.Synced(ctx, mgr.GetCache(), "event sources"))
	return []life.Part{
		base.Declare(),
		headroom(),
		life.Of("kubernetes", mgr.Start),
		life.Of("regain", func(ctx context.Context) error {
			return kube.ResyncOnMembership(ctx, base.Members.Changed(), mgr.GetCache(), list, regain)
		}),
		life.Of(
			"seen",
			func(ctx context.Context) error { return in.seen.run(ctx, base.Bus, bus.DefaultLimits().SeenAge) },
		),
		life.Of("forward", in.forward),
		life.Of("sources", readers.run),
		life.Of("hooks at senders", hooks.run),
		life.Of("hooks", func(ctx context.Context) error { return obs.Serve(ctx, cfg.Listen, front) }),
	}, nil
}

// announce asks for another look at an EventSource. When the queue is full the look
// comes with the next refresh of secrets.
func announce(out chan<- event.GenericEvent, key string) {
	namespace, name, _ := strings.Cut(key, "/")
	o := object.Named("EventSource", namespace, name)
	select {
	case out <- event.GenericEvent{Object: o}:
	default:
	}
}
