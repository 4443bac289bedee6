package sensor

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/argosy-mesh/argosy/libs/core/config"
	"github.com/argosy-mesh/argosy/libs/core/life"
	"github.com/argosy-mesh/argosy/libs/kube"
	"github.com/argosy-mesh/argosy/libs/service"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

type metrics struct {
	events   *prometheus.HistogramVec
	rejected *prometheus.CounterVec
	fired    *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		events:   prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "argosy_sensor_event_seconds", Help: "Time to handle one event, by error class."}, []string{"namespace", "sensor", "class"}),
		rejected: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "argosy_sensor_events_rejected_total", Help: "Events that a filter rejected."}, []string{"namespace", "sensor"}),
		fired:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: "argosy_sensor_triggers_total", Help: "Triggers that fired, by error class."}, []string{"namespace", "sensor", "trigger", "class"}),
	}
	r.MustRegister(m.events, m.rejected, m.fired)
	return m
}

// Run is the service from its arguments to its end.
func Run(ctx context.Context, args []string, getenv func(string) string, out io.Writer) error {
	var cfg config.Common
	f := config.New(events.ServiceSensor, getenv, out)
	f.Common(&cfg)
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
	mgr, err := newManager(cfg.Kubeconfig, base)
	if err != nil {
		return err
	}
	parts, err := assemble(ctx, base, mgr)
	if err != nil {
		return err
	}
	return base.Run(ctx, parts...)
}

func newManager(kubeconfig string, base *service.Base) (manager.Manager, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	rest, err := kube.Config(kubeconfig)
	if err != nil {
		return nil, err
	}
	return kube.NewManager(rest, scheme, base.Log, cache.Options{})
}

func assemble(ctx context.Context, base *service.Base, mgr manager.Manager) ([]life.Part, error) {
	m := newMetrics(base.Registry)
	x := &effects{rest: mgr.GetConfig(), mapper: mgr.GetRESTMapper(), log: base.Log, metrics: m, clients: map[string]dynamic.Interface{}}
	r := &reconciler{client: mgr.GetClient(), bus: base.Bus, owns: base.Members.Owns, effects: x, metrics: m, log: base.Log,
		serving: context.WithoutCancel(ctx), running: map[string]*listening{}}
	regain := make(chan event.GenericEvent)
	watched := &unstructured.Unstructured{}
	watched.SetGroupVersionKind(v1alpha1.Kind("Sensor"))
	err := builder.ControllerManagedBy(mgr).Named("sensor").For(watched).
		WatchesRawSource(source.Channel(regain, &handler.EnqueueRequestForObject{})).Complete(r)
	if err != nil {
		return nil, fmt.Errorf("set up the sensor controller: %w", err)
	}
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(v1alpha1.Kind("SensorList"))
	return []life.Part{
		life.Of("listeners", r.drain),
		life.Of("kubernetes", mgr.Start),
		life.Of("regain", func(ctx context.Context) error {
			return kube.Regain(ctx, base.Members.Changed(), mgr.GetCache(), list, regain)
		}),
	}, nil
}
