package analyzer

import (
	"context"
	"io"

	"github.com/argosy-mesh/argosy/libs/kube/secret"

	"github.com/argosy-mesh/argosy/libs/facts"

	"github.com/argosy-mesh/argosy/libs/kube/object"

	"github.com/argosy-mesh/argosy/libs/core/life"
	"github.com/argosy-mesh/argosy/libs/kube"
	"github.com/argosy-mesh/argosy/libs/service"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/prometheus/client_golang/prometheus"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/controller/analysisrun"
	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/controller/experiment"
	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/controller/rollout"
	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core"
	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/metric"
	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/verdict"
)

// Run runs the service until ctx ends.
func Run(ctx context.Context, args []string, getenv func(string) string, out io.Writer) error {
	cfg, err := parse(args, getenv, out)
	if err != nil {
		return err
	}
	base, err := service.Boot(ctx, events.ServiceRolloutAnalyzer, cfg.Common, getenv, out)
	if err != nil {
		return err
	}
	mgr, err := kube.NewManager(cfg.Kubeconfig, base.Log, cacheOptions())
	if err != nil {
		return err
	}
	box := facts.NewOutbox(base.Bus, events.ServiceRolloutAnalyzer, base.Log)
	again, err := control(ctx, mgr, parts{cfg: cfg, base: base, tell: box})
	if err != nil {
		return err
	}
	recorder := mgr.GetEventRecorderFor("rollouts-controller") //nolint:staticcheck // people read core/v1 events
	heard := verdict.New(mgr.GetClient(), mgr.GetAPIReader(), base.Bus, recorder, base.Log, base.Registry)
	if err := heard.Watch(ctx, mgr.GetCache()); err != nil {
		return err
	}
	base.Probes.Ready("cache", kube.Synced(ctx, mgr.GetCache(), "rollouts and runs"))
	base.Registry.MustRegister(
		prometheus.NewGaugeFunc(
			prometheus.GaugeOpts{Name: "argosy_rollout_facts_waiting", Help: "Facts that wait for the bus."},
			func() float64 { return float64(box.Waiting()) },
		),
	)
	return base.Run(
		ctx,
		base.Declare(),
		life.Of("outbox", box.Run),
		life.Of(
			"regain",
			func(ctx context.Context) error { return again.run(ctx, base.Members.Changed(), mgr.GetCache()) },
		),
		life.Of("verdicts", heard.Run),
		life.Of("controllers", mgr.Start),
	)
}

// cacheOptions keeps only the ReplicaSets that rollouts made, and the Jobs that measure.
func cacheOptions() cache.Options {
	return cache.Options{ByObject: map[client.Object]cache.ByObject{
		&appsv1.ReplicaSet{}: {Label: having(core.HashLabel)}, &batchv1.Job{}: {Label: having(metric.JobRunUID)},
	}}
}

// having selects what has a label, whatever its value.
func having(label string) labels.Selector {
	has, err := labels.NewRequirement(label, selection.Exists, nil)
	if err != nil {
		return labels.Everything()
	}
	return labels.NewSelector().Add(*has)
}

// parts are what the controllers work with.
type parts struct {
	cfg  Config
	base *service.Base
	tell rollout.Teller
}

// control adds both controllers to the manager.
func control(ctx context.Context, mgr manager.Manager, p parts) (*regain, error) {
	if err := rollout.Index(ctx, mgr); err != nil {
		return nil, err
	}
	out := &regain{
		rollouts: make(
			chan event.GenericEvent,
		),
		runs:        make(chan event.GenericEvent),
		experiments: make(chan event.GenericEvent),
	}
	recorder := mgr.GetEventRecorderFor("rollouts-controller") //nolint:staticcheck // people read core/v1 events
	ro := rollout.New(mgr.GetClient(), mgr.GetAPIReader(), p.tell, recorder, p.base.Log, p.base.Registry)
	if err := rollout.Watch(mgr, ro, kube.OwnedOnly(p.base.Members.Owns, ro), out.rollouts); err != nil {
		return nil, err
	}
	ex := experiment.New(mgr.GetClient(), recorder, p.base.Log)
	if err := experiment.Watch(mgr, kube.OwnedOnly(p.base.Members.Owns, ex), out.experiments); err != nil {
		return nil, err
	}
	secrets := secret.NewReader(mgr.GetAPIReader(), 0)
	providers := metric.New(metric.Options{
		PrometheusAddress: p.cfg.PrometheusAddress, Namespace: p.cfg.ProviderNamespace, Secrets: secrets,
		Objects: mgr.GetClient(), Live: mgr.GetAPIReader(), Traffic: traffic{p.base.Bus},
	})
	runs := analysisrun.New(mgr.GetClient(), secrets, providers, p.tell, p.base.Registry)
	runs.Events, runs.Log = recorder, p.base.Log
	p.base.Registry.MustRegister(analysisrun.State{Runs: mgr.GetClient(), Owns: p.base.Members.Owns})
	return out, analysisrun.Watch(mgr, kube.OwnedOnly(p.base.Members.Owns, runs), out.runs)
}

// regain brings back what others owned until now.
type regain struct{ rollouts, runs, experiments chan event.GenericEvent }

func (r *regain) run(ctx context.Context, changed <-chan struct{}, reader cache.Cache) error {
	return kube.ResyncKinds(
		ctx,
		changed,
		reader,
		kube.Resync{
			List: object.NewList("Rollout"), Out: r.rollouts,
		},
		kube.Resync{List: object.NewList("AnalysisRun"), Out: r.runs},
		kube.Resync{List: object.NewList("Experiment"), Out: r.experiments},
	)
}
