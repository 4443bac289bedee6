package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/argosy-mesh/argosy/libs/kube/object"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/config"
	"github.com/argosy-mesh/argosy/libs/core/life"
	"github.com/argosy-mesh/argosy/libs/identity"
	"github.com/argosy-mesh/argosy/libs/kube"
	"github.com/argosy-mesh/argosy/libs/kube/actas"
	"github.com/argosy-mesh/argosy/libs/kube/secret"
	"github.com/argosy-mesh/argosy/libs/obs"
	"github.com/argosy-mesh/argosy/libs/service"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/argosy-mesh/argosy/services/webhook-ingest/internal/wal"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// Config is what the service needs to know.
type Config struct {
	config.Common
	Listen    string // address of the hooks
	LogDir    string // where events are kept while the bus is away
	LogBudget int    // bytes on disk for that
	Own       identity.Own
}

func parse(args []string, getenv func(string) string, out io.Writer) (Config, error) {
	var c Config
	f := config.New(events.ServiceWebhookIngest, getenv, out)
	f.Common(&c.Common)
	f.Text(&c.Listen, "listen", ":12000", "address where hooks arrive")
	f.Text(&c.LogDir, "local-log", "/var/lib/argosy/ingest", "folder of the local log, used while the bus is away")
	f.IntVar(&c.LogBudget, "local-log-bytes", 1<<30, "disk budget of the local log; over it hooks are answered 503")
	identity.Declare(f, &c.Own)
	f.Check(func() error {
		if c.LogBudget < 1<<20 {
			return fmt.Errorf("--local-log-bytes: %d is under 1 MiB", c.LogBudget)
		}
		return nil
	})
	if err := f.Parse(args); err != nil {
		return c, fmt.Errorf("%w: %w", service.ErrUsage, err)
	}
	return c, nil
}

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
	r := &resolver{
		client:  mgr.GetClient(),
		secrets: secrets,
		routes:  table,
		sources: readers,
		hooks:   hooks,
		refused: front.refused,
		aside:   in.set.about,
		owns:    base.Members.Owns,
		log:     base.Log,
		tell:    mgr.GetEventRecorder("argosy-webhook-ingest"),
	}
	watched := object.New("EventSource")
	err = builder.ControllerManagedBy(mgr).Named("eventsource").For(watched).
		WatchesRawSource(source.Channel(regain, &handler.EnqueueRequestForObject{})).
		WatchesRawSource(source.Channel(news, &handler.EnqueueRequestForObject{})).Complete(r)
	if err != nil {
		return nil, fmt.Errorf("set up the eventsource controller: %w", err)
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
