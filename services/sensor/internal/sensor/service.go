package sensor

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/gitrepo"

	"github.com/argosy-mesh/argosy/libs/kube/object"

	"github.com/argosy-mesh/argosy/libs/core/life"
	"github.com/argosy-mesh/argosy/libs/kube"
	"github.com/argosy-mesh/argosy/libs/kube/actas"
	"github.com/argosy-mesh/argosy/libs/kube/secret"
	"github.com/argosy-mesh/argosy/libs/service"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/argosy-mesh/argosy/services/sensor/internal/source"
	"github.com/argosy-mesh/argosy/services/sensor/internal/trigger"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	ctrlsource "sigs.k8s.io/controller-runtime/pkg/source"
)

// Run is the service from its arguments to its end.
func Run(ctx context.Context, args []string, getenv func(string) string, out io.Writer) error {
	cfg, err := parse(args, getenv, out)
	if err != nil {
		return err
	}
	base, err := service.Boot(ctx, events.ServiceSensor, cfg.Common, getenv, out)
	if err != nil {
		return err
	}
	if err := base.AwaitBus(ctx); err != nil {
		return err
	}
	mgr, err := kube.NewManager(cfg.Kubeconfig, base.Log, cache.Options{})
	if err != nil {
		return err
	}
	parts, err := assemble(ctx, base, mgr, cfg)
	if err != nil {
		return err
	}
	return base.Run(ctx, parts...)
}

// valueAge is how long a value of a Secret is used: reading the API server for each firing would make it part of every
// effect.
const valueAge = 15 * time.Second

// reconcilers is how many Sensors are looked at side by side: each may have to wait for the API server or the bus.
const reconcilers = 8

func assemble(ctx context.Context, base *service.Base, mgr manager.Manager, cfg Config) ([]life.Part, error) {
	m := newMetrics(base.Registry)
	// Secrets are read one by one; a cache would watch those of the whole cluster.
	values := secret.NewReader(mgr.GetAPIReader(), valueAge)
	accounts, err := actas.New(mgr.GetConfig())
	if err != nil {
		return nil, err
	}
	repositories, err := gitrepo.New(gitrepo.Config{
		Dir:        filepath.Join(cfg.Scratch, "argosy-sensor-"+bus.Key(cfg.Instance)),
		KnownHosts: cfg.KnownHosts,
		Limits:     source.GitLimits(),
		AtOnce:     source.GitAtOnce,
	})
	if err != nil {
		return nil, err
	}
	world := trigger.World{
		Values:  values,
		Sources: source.NewFetcher(values, repositories, cfg.Files),
		Objects: &trigger.Objects{Accounts: accounts, Mapper: mgr.GetRESTMapper()},
		Own:     cfg.Own,
		Log:     base.Log,
		Now:     time.Now,
	}
	g := &group{
		bus: base.Bus, all: base.Members, members: base.Bus.Members(groupName, cfg.Instance),
		reader: mgr.GetAPIReader(),
		log:    base.Log, gained: make(chan struct{}, 1),
	}
	readers := g.share(cfg.Instance)
	base.Registry.MustRegister(apart(readers))
	r := &reconciler{
		client:    mgr.GetClient(),
		bus:       base.Bus,
		readers:   readers,
		owns:      readers.Holds,
		performer: &performer{bus: base.Bus, log: base.Log, metrics: m},
		world:     world,
		live:      g.firing,
		metrics:   m,
		log:       base.Log,
		tell:      mgr.GetEventRecorder("argosy-sensor"),
	}
	regain, news := make(chan event.GenericEvent), make(chan event.GenericEvent)
	r.news = news
	r.listeners = &listeners{
		serving: context.WithoutCancel(ctx), log: base.Log, now: time.Now, news: r.heard,
		running: map[string]*listening{},
	}
	watched := object.New("Sensor")
	err = builder.ControllerManagedBy(mgr).Named("sensor").For(watched).
		WatchesRawSource(ctrlsource.Channel(regain, &handler.EnqueueRequestForObject{})).
		WatchesRawSource(ctrlsource.Channel(news, &handler.EnqueueRequestForObject{})).
		WithOptions(controller.Options{MaxConcurrentReconciles: reconcilers}).Complete(r)
	if err != nil {
		return nil, fmt.Errorf("set up the sensor controller: %w", err)
	}
	list := object.NewList("Sensor")
	return []life.Part{
		// The listeners stop after the readers: a Sensor that nobody listens for gets a consumer, and all would.
		life.Of("listeners", r.listeners.drain),
		life.Of("group", g.members.Run),
		life.Of("readers", func(ctx context.Context) error {
			if !mgr.GetCache().WaitForCacheSync(ctx) {
				return nil
			}
			if err := r.listenToAll(ctx); err != nil {
				return err
			}
			return readers.Run(ctx)
		}),
		life.Of("firings", func(ctx context.Context) error { return g.firings(ctx, r.listeners, readers.Holds) }),
		life.Of("kubernetes", mgr.Start),
		life.Of("regain", func(ctx context.Context) error {
			return kube.ResyncOnMembership(ctx, g.gained, mgr.GetCache(), list, regain)
		}),
	}, nil
}
