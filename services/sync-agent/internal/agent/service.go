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

	"github.com/argosy-mesh/argosy/libs/core/config"
	"github.com/argosy-mesh/argosy/libs/core/life"
	"github.com/argosy-mesh/argosy/libs/identity"
	"github.com/argosy-mesh/argosy/libs/kube"
	"github.com/argosy-mesh/argosy/libs/service"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/cluster"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/controller/application"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/controller/applicationset"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/appset"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/remote"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/forge"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/generator"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/imageupdate"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/notification"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/projects"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/refresh"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/registry"
	hub "github.com/argosy-mesh/argosy/services/sync-agent/internal/remote"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/render"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/source"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/source/git"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// renderBudget bounds the memory of rendered manifests.
const renderBudget = 16 << 20

// Config is what the service needs to know.
type Config struct {
	config.Common
	CacheDir   string        // where mirrors are kept; may be lost
	Refresh    time.Duration // how old an answer of Git may get without any event
	Control    string        // namespace whose applications use their bare name for tracking, and of repository Secrets
	Insecure   string        // registries that are reached by plain HTTP
	Author     string        // of commits
	AllowFiles string        // "true" allows file:// repositories
	WaveDelay  time.Duration // between waves of a sync
	Namespaces string        // further namespaces of Applications
	Account    string        // namespace:name of the service account that writes
	SetPolicy  string        // what ApplicationSets may do to Applications that are there
	SetOwn     string        // "true" lets an ApplicationSet that names a policy have its own
	SCM        string        // forges that ApplicationSets may ask
	Own        identity.Own  // whose Applications may use the cloud identity of the agent
	Plugins    string        // folder of the sockets of config management plugins
	Quota      int64         // bytes of all mirrors
	Agent      string        // name of this agent of a control cluster elsewhere
	Silence    time.Duration // after which an agent elsewhere counts as away
}

func parse(args []string, getenv func(string) string, out io.Writer) (Config, error) {
	var c Config
	f := config.New(events.ServiceSyncAgent, getenv, out)
	f.Common(&c.Common)
	identity.Declare(f, &c.Own)
	f.Text(&c.CacheDir, "cache-dir", "/var/cache/argosy", "folder of the repository mirrors; may be lost")
	f.Span(&c.Refresh, "refresh", 3*time.Minute, "how often Git is asked when no event comes")
	f.Text(
		&c.Control, "control-namespace", "argocd",
		"namespace of repository Secrets; its Applications mark objects by their bare name",
	)
	f.Text(&c.Insecure, "insecure-registry", "registry.local:5000", "registries reached by plain HTTP, comma separated")
	f.Text(&c.Author, "commit-author", "argosy <argosy@localhost>", "author of image commits, as name <address>")
	f.Text(
		&c.AllowFiles, "allow-file-repositories", "false", "true allows file:// repositories, for tests on one machine",
	)
	f.Text(
		&c.Namespaces, "application-namespaces", "",
		"further namespaces whose Applications are taken, comma separated patterns; their projects must list them, too",
	)
	f.Text(
		&c.Account, "deploy-account", "",
		"service account that writes where a project names none, as namespace:name; empty: the agent's own",
	)
	f.Span(
		&c.WaveDelay, "sync-wave-delay", 2*time.Second, "the least time between two waves of a sync, for controllers to see it",
	)
	f.Text(
		&c.SetPolicy, "applicationset-policy", "",
		"what all ApplicationSets may do: create-only, create-update, create-delete or sync; empty leaves it to each",
	)
	f.Text(
		&c.SetOwn, "applicationset-policy-override", "false",
		"true has the policy of an ApplicationSet that names one win over --applicationset-policy",
	)
	f.Text(
		&c.SCM, "allowed-scm-providers", "",
		"URLs of forges that ApplicationSets may ask, comma separated patterns; empty is all, in the control namespace alone",
	)
	f.Text(
		&c.Plugins, "plugin-sockets", render.PluginSockets,
		"folder of the sockets of config management plugins, which are sidecars",
	)
	quota := ""
	f.Text(
		&quota, "mirror-quota", "3Gi", "disk that mirrors of repositories may take; those not used for longest go first",
	)
	f.Text(
		&c.Agent, "agent", "",
		"name of this cluster's agent: Applications are then those that a control cluster hands over on the bus",
	)
	f.Span(&c.Silence, "agent-silence", 15*time.Second, "how long agents may be silent before they count as away")
	f.Check(func() error {
		if c.Agent != "" {
			if err := remote.CheckAgent(c.Agent); err != nil {
				return fmt.Errorf("--agent: %w", err)
			}
		}
		if c.Silence < 3*time.Second {
			return fmt.Errorf("--agent-silence: %s is under 3s: agents are heard of every second", c.Silence)
		}
		if err := appset.CheckPolicy(c.SetPolicy); err != nil {
			return fmt.Errorf("--applicationset-policy: %w", err)
		}
		if name, address, ok := strings.Cut(c.Author, " <"); !ok || name == "" || !strings.HasSuffix(address, ">") {
			return fmt.Errorf("--commit-author: %q is not of the form name <address>", c.Author)
		}
		if namespace, name, ok := strings.Cut(c.Account, ":"); c.Account != "" && (!ok || namespace == "" ||
			name == "") {
			return fmt.Errorf("--deploy-account: %q is not of the form namespace:name", c.Account)
		}
		bound, err := resource.ParseQuantity(quota)
		if err != nil || bound.Sign() < 0 {
			return fmt.Errorf("--mirror-quota: %q is no amount of bytes, such as 3Gi", quota)
		}
		c.Quota = bound.Value()
		if c.Refresh < time.Second {
			return fmt.Errorf("--refresh: %s is under a second", c.Refresh)
		}
		return nil
	})
	if err := f.Parse(args); err != nil {
		return c, fmt.Errorf("%w: %w", service.ErrUsage, err)
	}
	if c.Agent != "" {
		c.NATSInbox = "_AGENT." + c.Agent // an agent may not read the answers to others
	}
	return c, nil
}

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
