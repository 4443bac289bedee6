package sensor

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/config"
	"github.com/argosy-mesh/argosy/libs/core/life"
	"github.com/argosy-mesh/argosy/libs/identity"
	"github.com/argosy-mesh/argosy/libs/kube"
	"github.com/argosy-mesh/argosy/libs/kube/actas"
	"github.com/argosy-mesh/argosy/libs/service"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/argosy-mesh/argosy/services/sensor/internal/source"
	"github.com/argosy-mesh/argosy/services/sensor/internal/trigger"
	"github.com/argosy-mesh/argosy/services/sensor/internal/value"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
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
	var cfg config.Common
	var files string
	var own identity.Own
	f := config.New(events.ServiceSensor, getenv, out)
	f.Common(&cfg)
	f.Text(&files, "files", "", "folder below which sources of kind file are read; empty means nowhere")
	identity.Declare(f, &own)
	if err := f.Parse(args); err != nil {
		return fmt.Errorf("%w: %w", service.ErrUsage, err)
	}
	base, err := service.Boot(ctx, events.ServiceSensor, cfg, getenv, out)
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
	parts, err := assemble(ctx, base, mgr, files, own)
	if err != nil {
		return err
	}
	return base.Run(ctx, parts...)
}

// reconcilers is how many Sensors are looked at side by side: each may have to wait for the API server or the bus.
const reconcilers = 8

func assemble(ctx context.Context, base *service.Base, mgr manager.Manager, files string, own identity.Own) ([]life.Part, error) {
	m := newMetrics(base.Registry)
	// Secrets are read one by one; a cache would watch those of the whole cluster.
	values := value.NewReader(mgr.GetAPIReader(), time.Now)
	accounts, err := actas.New(mgr.GetConfig())
	if err != nil {
		return nil, err
	}
	world := trigger.World{Values: values, Sources: source.NewFetcher(values, files), Objects: &trigger.Objects{Accounts: accounts, Mapper: mgr.GetRESTMapper()}, Own: own, Log: base.Log, Now: time.Now}
	r := &reconciler{client: mgr.GetClient(), bus: base.Bus, owns: base.Members.Owns, performer: &performer{bus: base.Bus, log: base.Log, metrics: m},
		world: world, live: func() int { return len(base.Members.Live()) }, metrics: m, log: base.Log, tell: mgr.GetEventRecorder("argosy-sensor")}
	regain, news := make(chan event.GenericEvent), make(chan event.GenericEvent)
	r.news = news
	r.listeners = &listeners{serving: context.WithoutCancel(ctx), log: base.Log, now: time.Now, news: r.heard, running: map[string]*listening{}}
	watched := &unstructured.Unstructured{}
	watched.SetGroupVersionKind(v1alpha1.Kind("Sensor"))
	err = builder.ControllerManagedBy(mgr).Named("sensor").For(watched).
		WatchesRawSource(ctrlsource.Channel(regain, &handler.EnqueueRequestForObject{})).
		WatchesRawSource(ctrlsource.Channel(news, &handler.EnqueueRequestForObject{})).
		WithOptions(controller.Options{MaxConcurrentReconciles: reconcilers}).Complete(r)
	if err != nil {
		return nil, fmt.Errorf("set up the sensor controller: %w", err)
	}
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(v1alpha1.Kind("SensorList"))
	return []life.Part{
		life.Of("listeners", r.listeners.drain),
		life.Of("kubernetes", mgr.Start),
		life.Of("regain", func(ctx context.Context) error {
			return kube.ResyncOnMembership(ctx, base.Members.Changed(), mgr.GetCache(), list, regain)
		}),
	}, nil
}
