package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/life"
	"github.com/argosy-mesh/argosy/libs/kube"
	"github.com/argosy-mesh/argosy/libs/service"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/admission"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/checkout"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/driver"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/registry"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/store"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/task"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// Run is the service from its arguments to its end.
func Run(ctx context.Context, args []string, getenv func(string) string, out io.Writer) error {
	cfg, err := parse(args, getenv, out)
	if err != nil {
		return err
	}
	base, err := service.Boot(ctx, events.ServiceWorkflowRunner, cfg.Common, getenv, out)
	if err != nil {
		return err
	}
	if err := base.AwaitBus(ctx); err != nil {
		return err
	}
	parts, err := assemble(ctx, cfg, base)
	if err != nil {
		return err
	}
	return base.Run(ctx, parts...)
}

func assemble(ctx context.Context, cfg Config, base *service.Base) ([]life.Part, error) {
	mgr, err := newManager(cfg.Kubeconfig, base.Log)
	if err != nil {
		return nil, err
	}
	m := newMetrics(base.Registry)
	meters := newMeters(base.Registry, base.Members.Owns)
	base.Registry.MustRegister(&census{cache: mgr.GetClient(), owns: base.Members.Owns})
	regain := []chan event.GenericEvent{make(chan event.GenericEvent), make(chan event.GenericEvent), make(chan event.GenericEvent)}
	runner, err := newRunner(ctx, cfg, base, mgr, regain[0])
	if err != nil {
		return nil, err
	}
	runner.metrics, runner.meters = m, meters
	clock := &cronReconciler{client: mgr.GetClient(), meters: meters, log: base.Log, now: time.Now, seen: map[types.UID]time.Time{}}
	bind := &eventBindingReconciler{client: mgr.GetClient(), bus: base.Bus, owns: base.Members.Owns, metrics: m, meters: meters, log: base.Log, running: map[string]*listening{}}
	if err := errors.Join(control(mgr, base.Members, runner, regain[0]), clock.control(mgr, base.Members, regain[1]), bind.control(mgr, regain[2])); err != nil {
		return nil, err
	}
	submit := &submitter{accounts: runner.accounts.Accounts, metrics: m}
	keep := &archivist{bus: base.Bus, limits: cfg.Archive, owns: base.Members.Owns, log: base.Log, every: thinEvery}
	operate := &operator{accounts: runner.accounts.Accounts, archive: keep, metrics: m}
	parts := []life.Part{life.Of("kubernetes", mgr.Start)}
	var changed []chan struct{}
	for i, list := range []client.ObjectList{workflowList(), cronWorkflowList(), bindingList()} {
		changes := make(chan struct{}, 1)
		changed = append(changed, changes)
		parts = append(parts, life.Of(fmt.Sprintf("regain-%d", i), func(ctx context.Context) error {
			return kube.ResyncOnMembership(ctx, changes, mgr.GetCache(), list, regain[i])
		}))
	}
	if cfg.Archive.Count > 0 {
		parts = append(parts, life.Of("archive", func(ctx context.Context) error { return base.Bus.Consume(ctx, keep.consumer(), keep.handle) }), life.Of("archive-limits", keep.run))
	}
	judged, err := judging(cfg.Admission, mgr, base.Log)
	if err != nil {
		return nil, err
	}
	parts = append(parts, judged...)
	return append(parts,
		life.Of("members", func(ctx context.Context) error { return spread(ctx, base.Members.Changed(), changed) }),
		life.Of("tasks", runner.desk.Run),
		life.Of("artifacts", runner.janitor.run),
		life.Of("artifact-drivers", runner.janitor.stores.Drivers.Run),
		life.Of("bindings", bind.drain),
		life.Of("commands", func(ctx context.Context) error { return base.Bus.Consume(ctx, submit.consumer(), submit.handle) }),
		life.Of("operations", func(ctx context.Context) error { return base.Bus.Consume(ctx, operate.consumer(), operate.handle) }),
	), nil
}

// newRunner makes what reconciles workflows, and what pods ask. A task that ends asks for another look through again.
func newRunner(ctx context.Context, cfg Config, base *service.Base, mgr manager.Manager, again chan event.GenericEvent) (*Runner, error) {
	sign, err := newSigner(ctx, base.Bus, cfg.ArtifactURL)
	if err != nil {
		return nil, err
	}
	anywhere := cfg.HTTPReach == "any"
	programs, err := readImages(cfg.ImagePrograms)
	if err != nil {
		return nil, err
	}
	insecure := strings.FieldsFunc(cfg.Insecure, separates)
	programs.registry = registry.New(registry.Config{Reader: mgr.GetAPIReader(), Insecure: insecure, Dial: task.Dialer(anywhere)})
	accounts, err := task.NewAccounts(mgr.GetConfig(), mgr.GetRESTMapper())
	if err != nil {
		return nil, err
	}
	drivers := &driver.Pods{Core: accounts.Own(), Reader: mgr.GetAPIReader(), Namespace: cfg.Repositories, Image: cfg.BridgeImage, Dial: task.Dialer(anywhere), Log: base.Log}
	stores := &store.Stores{Drivers: drivers, Bus: base.Bus, Secrets: mgr.GetAPIReader(), Dial: task.Dialer(anywhere), GCS: cfg.GCS, Own: cfg.Own, Git: newFetcher(ctx, cfg, base.Log)}
	base.Probes.Handle(artifactPath, &artifactServer{bus: base.Bus, stores: stores, signer: sign, log: base.Log})
	r := &Runner{client: mgr.GetClient(), reader: mgr.GetAPIReader(), bus: base.Bus, runs: newRuns(base.Bus), sightings: newSightings(), shows: newShows(), log: base.Log, pods: &pods{image: cfg.ExecutorImage, images: programs, signer: sign, bus: base.Bus},
		locks: &locks{kv: base.Bus.KV(bus.LocksBucket), reader: mgr.GetAPIReader(), now: time.Now},
		repos: &repositories{reader: mgr.GetAPIReader(), namespace: cfg.Repositories, now: time.Now},
		nudge: func(ctx context.Context, namespace, name string) { nudge(ctx, again, namespace, name) }}
	r.janitor = &artifactGC{kv: base.Bus.KV(bus.LocksBucket), cached: mgr.GetClient(), synced: mgr.GetCache().WaitForCacheSync, reader: mgr.GetAPIReader(), stores: stores, bus: base.Bus, log: base.Log, wake: make(chan string, 1024)}
	r.accounts = accounts
	r.desk = task.NewExecutor(task.Tools{Accounts: accounts, Store: stores, Local: anywhere, Plugins: task.Plugins{Namespace: cfg.Repositories, Announce: r.announcePlugins}},
		r.nudge)
	return r, nil
}

// judging serves the judgement of workflows before the API server takes them, where that is asked for.
func judging(c admissionConfig, mgr manager.Manager, log *slog.Logger) ([]life.Part, error) {
	if c.Address == "" {
		return nil, nil
	}
	namespace, name, _ := strings.Cut(c.Secret, "/")
	server, err := admission.New(admission.Config{Address: c.Address, Cert: c.Cert, Key: c.Key, Hosts: strings.FieldsFunc(c.Hosts, separates), Webhook: c.Webhook,
		Secret: types.NamespacedName{Namespace: namespace, Name: name}, Client: mgr.GetClient(), Reader: mgr.GetAPIReader(), Log: log})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", service.ErrUsage, err)
	}
	return []life.Part{life.Of("admission", server.Run)}, nil
}

// separates reports whether a character parts the entries of a list in a flag.
func separates(r rune) bool { return r == ',' || r == ' ' }

// newFetcher makes what fetches Git repositories; nil where there is no folder for them, which is no reason not to start.
func newFetcher(ctx context.Context, cfg Config, log *slog.Logger) *checkout.Fetcher {
	f, err := checkout.New(checkout.Config{Dir: filepath.Join(cfg.Scratch, "argosy-"+bus.Key(cfg.Instance)), KnownHosts: cfg.KnownHosts,
		Dial: task.Dialer(cfg.HTTPReach == "any"), Limits: checkout.DefaultLimits()})
	if err != nil {
		log.WarnContext(ctx, "no Git repository will be fetched; give --scratch", "error", err)
		return nil
	}
	return f
}

// spread passes what one channel tells on to several listeners; what they did not get to yet coalesces.
func spread(ctx context.Context, from <-chan struct{}, to []chan struct{}) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-from:
		}
		for _, out := range to {
			select {
			case out <- struct{}{}:
			default:
			}
		}
	}
}

func newManager(kubeconfig string, log *slog.Logger) (manager.Manager, error) {
	ours, err := labels.Parse(labelWorkflow)
	if err != nil {
		return nil, err
	}
	return kube.NewManager(kubeconfig, log, cache.Options{ByObject: map[client.Object]cache.ByObject{
		&corev1.Pod{}: {Label: ours, Transform: slim},
		workflow():    {Transform: slim},
	}})
}

func control(mgr manager.Manager, members *bus.Members, runner *Runner, regain <-chan event.GenericEvent) error {
	err := builder.ControllerManagedBy(mgr).Named("workflow").
		For(workflow()).
		Watches(&corev1.Pod{}, runner.sightings.handler()).
		WatchesRawSource(source.Channel(regain, &handler.EnqueueRequestForObject{})).
		WithOptions(controller.Options{MaxConcurrentReconciles: 16}).
		Complete(runner.Owned(members.Owns))
	if err != nil {
		return fmt.Errorf("set up the workflow controller: %w", err)
	}
	return nil
}
