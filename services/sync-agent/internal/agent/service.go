package agent

import (
	"context"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/kube/object"

	"github.com/argosy-mesh/argosy/libs/core/config"
	"github.com/argosy-mesh/argosy/libs/core/life"
	"github.com/argosy-mesh/argosy/libs/kube"
	"github.com/argosy-mesh/argosy/libs/service"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/registry"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/render"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/source/git"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/source"
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
}

func parse(args []string, getenv func(string) string, out io.Writer) (Config, error) {
	var c Config
	f := config.New(events.ServiceSyncAgent, getenv, out)
	f.Common(&c.Common)
	f.Text(&c.CacheDir, "cache-dir", "/var/cache/argosy", "folder of the repository mirrors; may be lost")
	f.Span(&c.Refresh, "refresh", 3*time.Minute, "how often Git is asked when no event comes")
	f.Text(&c.Control, "control-namespace", "argocd", "namespace of repository Secrets; its Applications mark objects by their bare name")
	f.Text(&c.Insecure, "insecure-registry", "registry.local:5000", "registries reached by plain HTTP, comma separated")
	f.Text(&c.Author, "commit-author", "argosy <argosy@localhost>", "author of image commits, as name <address>")
	f.Text(&c.AllowFiles, "allow-file-repositories", "false", "true allows file:// repositories, for tests on one machine")
	f.Check(func() error {
		if name, address, ok := strings.Cut(c.Author, " <"); !ok || name == "" || !strings.HasSuffix(address, ">") {
			return fmt.Errorf("--commit-author: %q is not of the form name <address>", c.Author)
		}
		if c.Refresh < time.Second {
			return fmt.Errorf("--refresh: %s is under a second", c.Refresh)
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
	base, err := service.Boot(ctx, events.ServiceSyncAgent, cfg.Common, getenv, out)
	if err != nil {
		return err
	}
	if err := base.AwaitBus(ctx); err != nil {
		return err
	}
	parts, err := assemble(cfg, base)
	if err != nil {
		return err
	}
	return base.Run(ctx, parts...)
}

func assemble(cfg Config, base *service.Base) ([]life.Part, error) {
	mgr, err := newManager(cfg.Kubeconfig, base)
	if err != nil {
		return nil, err
	}
	mirrors, err := git.Open(filepath.Join(cfg.CacheDir, "mirrors"), cfg.AllowFiles == "true")
	if err != nil {
		return nil, err
	}
	m := newMetrics(base.Registry)
	src := &sources{mirrors: mirrors, renderer: render.New(renderBudget), repoCredentials: &repoCredentials{reader: mgr.GetAPIReader(), namespace: cfg.Control}}
	agent := &Agent{
		client: mgr.GetClient(), reader: mgr.GetAPIReader(), bus: base.Bus, live: newLive(mgr.GetCache(), mgr.GetRESTMapper(), cfg.Control),
		sources: src, log: base.Log, metrics: m, refresh: cfg.Refresh, control: cfg.Control, known: map[string]*known{},
	}
	regain := make(chan event.GenericEvent)
	if err := control(mgr, base, agent, regain); err != nil {
		return nil, err
	}
	push := &gitEvents{client: mgr.GetClient(), log: base.Log, metrics: m, sources: map[types.UID]knownSources{}}
	image := &images{
		client: mgr.GetClient(), bus: base.Bus, sources: src, registry: registry.New(cfg.Insecure), author: cfg.Author, log: base.Log, metrics: m,
		newest: map[string]uint64{},
	}
	arrived := &eventHandler{pushes: push, images: image, metrics: m}
	return []life.Part{
		life.Of("kubernetes", func(ctx context.Context) error {
			// Watches must not wait for a controller that has stopped.
			defer context.AfterFunc(ctx, func() { close(agent.live.stopped) })()
			return mgr.Start(ctx)
		}),
		life.Of("regain", func(ctx context.Context) error {
			return kube.ResyncOnMembership(ctx, base.Members.Changed(), mgr.GetCache(), object.NewList("Application"), regain)
		}),
		life.Of("events", func(ctx context.Context) error { return arrived.run(ctx, base) }),
	}, nil
}

func newManager(kubeconfig string, base *service.Base) (manager.Manager, error) {
	whole := cache.ByObject{Transform: cache.TransformStripManagedFields()}
	return kube.NewManager(kubeconfig, base.Log, cache.Options{DefaultTransform: lean, ByObject: map[client.Object]cache.ByObject{object.New("Application"): whole}})
}

func control(mgr manager.Manager, base *service.Base, agent *Agent, regain <-chan event.GenericEvent) error {
	enqueue := &handler.EnqueueRequestForObject{}
	err := builder.ControllerManagedBy(mgr).Named("application").
		For(object.New("Application"), builder.WithPredicates(predicate.Funcs{UpdateFunc: matters})).
		WatchesRawSource(source.Channel(regain, enqueue)).
		WatchesRawSource(source.Channel(agent.live.out, enqueue)).
		// Tests run several replicas in one process, whose controllers share a name.
		WithOptions(controller.Options{MaxConcurrentReconciles: 16, SkipNameValidation: new(true)}).
		Complete(kube.OwnedOnly(base.Members.Owns, agent))
	if err != nil {
		return fmt.Errorf("set up the application controller: %w", err)
	}
	return nil
}

// matters leaves out updates of status alone, which are our own.
func matters(e event.UpdateEvent) bool {
	before, _ := e.ObjectOld.(*unstructured.Unstructured)
	after, _ := e.ObjectNew.(*unstructured.Unstructured)
	if before == nil || after == nil {
		return true
	}
	return !same(before.Object["spec"], after.Object["spec"]) || !same(before.Object["operation"], after.Object["operation"]) ||
		!maps.Equal(before.GetAnnotations(), after.GetAnnotations()) || after.GetDeletionTimestamp() != nil
}

func same(a, b any) bool { return reflect.DeepEqual(a, b) }
