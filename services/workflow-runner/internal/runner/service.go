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
	"github.com/argosy-mesh/argosy/libs/gitrepo"
	"github.com/argosy-mesh/argosy/libs/kube"
	"github.com/argosy-mesh/argosy/libs/service"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/admission"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/archive"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/artifact"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/command"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/controller/binding"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/controller/cron"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/controller/workflow"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/driver"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/lock"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/meter"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/object"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/pods"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/registry"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/store"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/task"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/thin"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/manager"
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
	mgr, err := newManager(cfg.Kubeconfig, base.Members.Owns, base.Log)
	if err != nil {
		return nil, err
	}
	m := meter.NewOwn(base.Registry)
	meters := meter.NewUpstream(base.Registry, base.Members.Owns)
	base.Registry.MustRegister(&meter.Census{Cache: mgr.GetClient(), Owns: base.Members.Owns})
	regain := []chan event.GenericEvent{make(chan event.GenericEvent), make(chan event.GenericEvent),
		make(chan event.GenericEvent)}
	runner, err := newRunner(ctx, cfg, base, mgr, regain[0])
	if err != nil {
		return nil, err
	}
	runner.Metrics, runner.Meters = m, meters
	clock := &cron.Reconciler{Client: mgr.GetClient(), Meters: meters, Log: base.Log, Now: time.Now}
	bind := &binding.Reconciler{Client: mgr.GetClient(), Bus: base.Bus, Owns: base.Members.Owns, Metrics: m,
		Meters: meters, Log: base.Log}
	if err := errors.Join(runner.Control(mgr, base.Members.Owns, regain[0]),
		clock.Control(mgr, base.Members, regain[1]),
		bind.Control(mgr, regain[2])); err != nil {
		return nil, err
	}
	submit := &command.Submitter{Accounts: runner.Accounts.Accounts, Metrics: m}
	keep := &archive.Archivist{Bus: base.Bus, Limits: cfg.Archive, Owns: base.Members.Owns, Log: base.Log,
		Every: archive.ThinEvery}
	operate := &command.Operator{Accounts: runner.Accounts.Accounts, Archive: keep, Metrics: m}
	parts := []life.Part{life.Of("kubernetes", mgr.Start)}
	var changed []chan struct{}
	for i, list := range []client.ObjectList{object.WorkflowList(), cron.List(), binding.List()} {
		changes := make(chan struct{}, 1)
		changed = append(changed, changes)
		parts = append(parts, life.Of(fmt.Sprintf("regain-%d", i), func(ctx context.Context) error {
			return kube.ResyncOnMembership(ctx, changes, mgr.GetCache(), list, regain[i])
		}))
	}
	if cfg.Archive.Count > 0 {
		parts = append(parts, life.Of("archive",
			func(ctx context.Context) error { return base.Bus.Consume(ctx, keep.Consumer(), keep.Handle) }),
			life.Of("archive-limits", keep.Run))
	}
	judged, err := judging(cfg.Admission, mgr, base.Log)
	if err != nil {
		return nil, err
	}
	parts = append(parts, judged...)
	return append(parts,
		life.Of("members", func(ctx context.Context) error { return spread(ctx, base.Members.Changed(), changed) }),
		life.Of("tasks", runner.Desk.Run),
		life.Of("artifacts", runner.Janitor.Run),
		life.Of("artifact-drivers", runner.Janitor.Stores.Drivers.Run),
		life.Of("bindings", bind.Drain),
		life.Of("commands", func(ctx context.Context) error {
			return base.Bus.Consume(ctx, submit.Consumer(), submit.Handle)
		}),
		life.Of("operations", func(ctx context.Context) error {
			return base.Bus.Consume(ctx, operate.Consumer(), operate.Handle)
		}),
	), nil
}

// newRunner makes what reconciles workflows, and what pods ask. A task that ends asks for another look through again.
func newRunner(ctx context.Context, cfg Config, base *service.Base, mgr manager.Manager,
	again chan event.GenericEvent) (*workflow.Reconciler, error) {
	sign, err := artifact.NewSigner(ctx, base.Bus, cfg.ArtifactURL)
	if err != nil {
		return nil, err
	}
	anywhere := cfg.HTTPReach == "any"
	programs, err := pods.ReadImages(cfg.ImagePrograms)
	if err != nil {
		return nil, err
	}
	insecure := strings.FieldsFunc(cfg.Insecure, separates)
	programs.Registry = registry.New(registry.Config{Reader: mgr.GetAPIReader(), Insecure: insecure,
		Dial: task.Dialer(anywhere)})
	accounts, err := task.NewAccounts(mgr.GetConfig(), mgr.GetRESTMapper())
	if err != nil {
		return nil, err
	}
	drivers := &driver.Pods{Core: accounts.Own(), Reader: mgr.GetAPIReader(), Namespace: cfg.Repositories,
		Image: cfg.BridgeImage, Dial: task.Dialer(anywhere), Log: base.Log}
	stores := &store.Stores{Drivers: drivers, Bus: base.Bus, Secrets: mgr.GetAPIReader(), Dial: task.Dialer(anywhere),
		GCS: cfg.GCS, Own: cfg.Own, Git: newFetcher(ctx, cfg, base.Log)}
	base.Probes.Handle(artifact.Path, &artifact.Server{Bus: base.Bus, Stores: stores, Signer: sign, Log: base.Log})
	gc := artifact.NewGC(artifact.GCConfig{KV: base.Bus.KV(bus.LocksBucket), Cached: mgr.GetClient(),
		Synced: mgr.GetCache().WaitForCacheSync, Reader: mgr.GetAPIReader(),
		Stores: stores, Bus: base.Bus, Log: base.Log})
	r := workflow.New(workflow.Config{Client: mgr.GetClient(), Reader: mgr.GetAPIReader(), Bus: base.Bus, Log: base.Log,
		Janitor: gc, Accounts: accounts,
		Pods:  &pods.Pods{Image: cfg.ExecutorImage, Images: programs, Signer: sign, Bus: base.Bus},
		Locks: &lock.Locks{KV: base.Bus.KV(bus.LocksBucket), Reader: mgr.GetAPIReader(), Now: time.Now},
		Repos: &artifact.Repositories{Reader: mgr.GetAPIReader(), Namespace: cfg.Repositories, Now: time.Now},
		Nudge: func(ctx context.Context, namespace, name string) { nudge(ctx, again, namespace, name) }})
	r.Desk = task.NewExecutor(task.Tools{Accounts: accounts, Store: stores, Local: anywhere,
		Plugins: task.Plugins{Namespace: cfg.Repositories, Announce: r.AnnouncePlugins}},
		r.Nudge)
	return r, nil
}

// judging serves the judgement of workflows before the API server takes them, where that is asked for.
func judging(c admissionConfig, mgr manager.Manager, log *slog.Logger) ([]life.Part, error) {
	if c.Address == "" {
		return nil, nil
	}
	namespace, name, _ := strings.Cut(c.Secret, "/")
	server, err := admission.New(admission.Config{Address: c.Address, Cert: c.Cert, Key: c.Key,
		Hosts: strings.FieldsFunc(c.Hosts, separates), Webhook: c.Webhook,
		Secret: types.NamespacedName{Namespace: namespace, Name: name}, Client: mgr.GetClient(),
		Reader: mgr.GetAPIReader(),
		Log:    log})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", service.ErrUsage, err)
	}
	return []life.Part{life.Of("admission", server.Run)}, nil
}

// separates reports whether a character parts the entries of a list in a flag.
func separates(r rune) bool { return r == ',' || r == ' ' }

// newFetcher makes what fetches Git repositories; nil where there is no folder for them, which is no reason not to
// start.
func newFetcher(ctx context.Context, cfg Config, log *slog.Logger) *gitrepo.Fetcher {
	f, err := gitrepo.New(gitrepo.Config{Dir: filepath.Join(cfg.Scratch, "argosy-"+bus.Key(cfg.Instance)),
		KnownHosts: cfg.KnownHosts,
		Dial:       task.Dialer(cfg.HTTPReach == "any"), Limits: gitrepo.DefaultLimits()})
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

func newManager(kubeconfig string, owns func(workflow string) bool, log *slog.Logger) (manager.Manager, error) {
	connection, err := kube.Config(kubeconfig)
	if err != nil {
		return nil, err
	}
	informers, err := thin.Informers(connection, owns)
	if err != nil {
		return nil, err
	}
	ours, err := labels.Parse(object.LabelWorkflow)
	if err != nil {
		return nil, err
	}
	return kube.NewManager(kubeconfig, log, cache.Options{NewInformer: informers,
		ByObject: map[client.Object]cache.ByObject{
			&corev1.Pod{}:     {Label: ours, Transform: object.Slim},
			object.Workflow(): {Transform: object.Slim},
		}})
}

// nudge asks for another look at a workflow.
func nudge(ctx context.Context, out chan<- event.GenericEvent, namespace, name string) {
	u := object.Workflow()
	u.SetNamespace(namespace)
	u.SetName(name)
	select {
	case out <- event.GenericEvent{Object: u}:
	case <-ctx.Done():
	}
}
