package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/kube/object"

	"github.com/argosy-mesh/argosy/libs/core/life"
	"github.com/argosy-mesh/argosy/libs/kube"
	"github.com/argosy-mesh/argosy/libs/service"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/cluster"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/controller/application"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/controller/applicationset"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/appset"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/forge"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/generator"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/hydrate"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/imageupdate"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/notification"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/projects"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/refresh"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/registry"
	hub "github.com/argosy-mesh/argosy/services/sync-agent/internal/remote"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/render"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/source"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/source/git"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// renderBudget bounds the memory of rendered manifests.
const renderBudget = 16 << 20

// namespaces cuts the list of namespaces.
func (c Config) namespaces() []string { return cut(c.Namespaces) }

// cut cuts a list at commas and spaces.
func cut(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}

// Run is the service from its arguments to its end.
func Run(ctx context.Context, args []string, getenv func(string) string, out io.Writer) error {
	cfg, err := parse(args, getenv, out)
	if err != nil {
		return err
	}
	base, err := service.Boot(ctx, events.ServiceSyncAgent, cfg.Common, getenv, out)
	if err != nil {
		return err
	}
	if cfg.Agent != "" {
		// It works without the bus, too, which is its control cluster's.
		base.Alone = true
	} else if err := base.AwaitBus(ctx); err != nil {
		return err
	}
	parts, err := assemble(ctx, cfg, base)
	if err != nil {
		return err
	}
	return base.Run(ctx, parts...)
}

func assemble(ctx context.Context, cfg Config, base *service.Base) ([]life.Part, error) {
	method, err := tracking(ctx, cfg, base.Log)
	if err != nil {
		return nil, err
	}
	mgr, err := newManager(cfg.Kubeconfig, base, method)
	if err != nil {
		return nil, err
	}
	mirrors, err := git.Open(filepath.Join(cfg.CacheDir, "mirrors"), cfg.AllowFiles == "true")
	if err != nil {
		return nil, err
	}
	pool, err := render.NewPool(render.DefaultLimits())
	if err != nil {
		return nil, err
	}
	served, err := discovery.NewDiscoveryClientForConfig(mgr.GetConfig())
	if err != nil {
		return nil, fmt.Errorf("discovery: %w", err)
	}
	renderer := render.New(renderBudget, pool, countRenders(base.Registry))
	renderer.Plugins = render.NewPlugins(cfg.Plugins)
	src, err := source.New(source.Config{
		Mirrors: mirrors, Renderer: renderer, Pool: pool,
		Dir: cfg.CacheDir, Reader: mgr.GetAPIReader(), Namespace: cfg.Control, Insecure: cfg.Insecure,
		Discovery: served,
	})
	if err != nil {
		return nil, err
	}
	clusters := cluster.NewPool(&cluster.Cluster{
		Live: cluster.New(mgr.GetCache(), mgr.GetRESTMapper(), cfg.Control, method), Reader: mgr.GetAPIReader(),
		Writers:   cluster.NewWriters(mgr.GetConfig(), mgr.GetRESTMapper(), mgr.GetClient()),
		Discovery: served,
	}, mgr.GetAPIReader(), cfg.Control)
	permitted := projects.New(mgr.GetClient(), cfg.Control, cfg.namespaces())
	common := []life.Part{
		life.Of("renderers", func(ctx context.Context) error {
			defer pool.Close()
			<-ctx.Done()
			return nil
		}),
		life.Of("kubernetes", func(ctx context.Context) error {
			defer clusters.Begin(ctx)()
			return mgr.Start(ctx)
		}),
	}
	shell := application.Shell{
		Client:   mgr.GetClient(),
		Reader:   mgr.GetAPIReader(),
		Bus:      base.Bus,
		Clusters: clusters,
		Sources:  src,
		Log:      base.Log,
		Refresh:  cfg.Refresh,
		Control:  cfg.Control,

		Projects: permitted,
		Account:  cfg.Account,
		Tracking: method,

		WaveDelay: cfg.WaveDelay,
		Recorder:  mgr.GetEventRecorder("argosy-sync-agent"),
		Agent:     cfg.Agent,
	}
	if cfg.Agent != "" {
		kept, err := copies(cfg, base, mgr, shell)
		return append(common, kept), err
	}
	handed := hub.NewHub(hub.HubConfig{
		Bus: base.Bus, Client: mgr.GetClient(), Agents: clusters.Agents, AgentOf: clusters.AgentOf,
		Owns: base.Members.Owns, Control: cfg.Control, Silence: cfg.Silence, Log: base.Log,
	}, base.Registry)
	shell.Hub = handed
	agent := application.New(shell, base.Registry)
	regain := make(chan event.GenericEvent)
	if err := agent.Watch(mgr, base.Members.Owns, regain); err != nil {
		return nil, err
	}
	regainSets := make(chan event.GenericEvent)
	sets, err := applicationSets(cfg, base, mgr, src, permitted)
	if err != nil {
		return nil, err
	}
	if err := sets.Watch(mgr, base.Members.Owns, regainSets); err != nil {
		return nil, err
	}
	toTell := make(chan event.GenericEvent)
	notifier := notification.New(notification.Shell{
		Client: mgr.GetClient(), Reader: mgr.GetAPIReader(), Bus: base.Bus, Sources: src, Projects: permitted,
		HTTP: http.DefaultClient, Control: cfg.Control, Log: base.Log,
	}, base.Registry)
	if err := notifier.Watch(mgr, base.Members.Owns, toTell); err != nil {
		return nil, err
	}
	push := refresh.New(mgr.GetClient(), agent.Unconcerned, base.Log)
	image := imageupdate.New(imageupdate.Shell{
		Client: mgr.GetClient(), Bus: base.Bus, Sources: src, Registry: registry.New(cfg.Insecure), Author: cfg.Author,
		Secrets: mgr.GetAPIReader(), Clouds: registry.NewClouds(cfg.Own, http.DefaultClient),
		Forges:   forge.New(http.DefaultClient, src.Token),
		Projects: permitted, Log: base.Log,
	}, base.Registry)
	toPromote := make(chan event.GenericEvent)
	if err := image.Watch(mgr, base.Members.Owns, toPromote); err != nil {
		return nil, err
	}
	hydrator := hydrate.New(hydrate.Shell{
		Client: mgr.GetClient(), Bus: base.Bus, Sources: src, Projects: permitted, Destination: agent.Destination,
		Author: cfg.Author, Control: cfg.Control, Refresh: cfg.Refresh, Log: base.Log,
	}, base.Registry)
	toHydrate := make(chan event.GenericEvent)
	if err := hydrator.Watch(mgr, base.Members.Owns, toHydrate); err != nil {
		return nil, err
	}
	arrived := newEventHandler(push, image, base.Registry)
	return append(
		common,
		life.Of("agents", func(ctx context.Context) error {
			if !mgr.GetCache().WaitForCacheSync(ctx) && ctx.Err() == nil {
				return errors.New("hand over to agents: the cache was stopped")
			}
			return handed.Run(ctx)
		}),
		life.Of("default project", func(ctx context.Context) error {
			return defaultProject(ctx, mgr.GetClient(), cfg.Control, base.Log)
		}),
		life.Of("regain", func(ctx context.Context) error {
			return kube.ResyncKinds(
				ctx, base.Members.Changed(), mgr.GetCache(),
				kube.Resync{List: object.NewList("Application"), Out: regain},
				kube.Resync{List: object.NewList("ApplicationSet"), Out: regainSets},
				kube.Resync{List: object.NewList("Application"), Out: toTell},
				kube.Resync{List: object.NewList("Application"), Out: toPromote},
				kube.Resync{List: object.NewList("Application"), Out: toHydrate},
			)
		}),
		life.Of("events", func(ctx context.Context) error { return arrived.run(ctx, base) }),
	), nil
}

// copies has this agent see to what a control cluster hands over to it, and to nothing that is the control cluster's
// own: events, sets, images and notifications.
func copies(cfg Config, base *service.Base, mgr manager.Manager, shell application.Shell) (life.Part, error) {
	everything := func(string) bool { return true }
	if err := application.New(shell, base.Registry).Watch(
		mgr, everything, make(chan event.GenericEvent),
	); err != nil {
		return life.Part{}, err
	}
	mirror := hub.NewMirror(hub.MirrorConfig{
		Bus: base.Bus, Client: mgr.GetClient(), Reader: mgr.GetAPIReader(), Agent: cfg.Agent, Control: cfg.Control,
		Instance: cfg.Instance, Log: base.Log,
	}, base.Registry)
	return life.Of("copies", mirror.Run), mirror.Watch(mgr)
}

// applicationSets makes the controller of ApplicationSets.
func applicationSets(
	cfg Config, base *service.Base, mgr manager.Manager, src *source.Sources, permitted *projects.Projects,
) (*applicationset.Reconciler, error) {
	clusters, err := generator.WatchClusters(mgr, cfg.Control)
	if err != nil {
		return nil, err
	}
	return applicationset.New(applicationset.Shell{
		Client:   mgr.GetClient(),
		Clusters: clusters,
		Generators: generator.New(generator.Shell{
			Cached: clusters, Reader: mgr.GetAPIReader(), Mapper: mgr.GetRESTMapper(), Sources: src,
			Projects: permitted, Control: cfg.Control, AllowedSCM: cut(cfg.SCM),
		}),
		Projects: permitted,
		Settings: appset.Settings{Policy: cfg.SetPolicy, Override: cfg.SetOwn == "true"},
		Log:      base.Log,
	}, base.Registry), nil
}

// projectPatience is how long it takes to look again for the namespace of the projects.
const projectPatience = 5 * time.Second

// defaultProject makes the default project once its namespace is there.
func defaultProject(ctx context.Context, c client.Client, control string, log *slog.Logger) error {
	for told := false; ; told = true {
		err := projects.EnsureDefault(ctx, c, control)
		if err == nil {
			<-ctx.Done()
			return nil
		}
		if !told {
			log.WarnContext(ctx, "there is no default project yet", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(projectPatience):
		}
	}
}

func newManager(kubeconfig string, base *service.Base, method track.Method) (manager.Manager, error) {
	return kube.NewManager(
		kubeconfig,
		base.Log,
		cache.Options{
			DefaultTransform: cluster.Lean(method),
		},
	)
}
