package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/kube/object"
	core "github.com/argosy-mesh/argosy/services/sync-agent/internal/core/remote"
	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	ctrlsource "sigs.k8s.io/controller-runtime/pkg/source"
)

// MirrorConfig is what an agent works with.
type MirrorConfig struct {
	Bus      *bus.Bus
	Client   client.Client // reads are cached
	Reader   client.Reader // not cached
	Agent    string
	Control  string // namespace of the copies of Applications of the control cluster's control namespace
	Instance string
	Log      *slog.Logger
}

// Mirror keeps copies of the Applications and projects that the control cluster hands over, and reports of them.
type Mirror struct {
	MirrorConfig
	apps, projects chan event.GenericEvent
	connected      atomic.Bool
	heardOnce      atomic.Bool
	count          uint64 // of heartbeats; only the session's
	reports        *prometheus.CounterVec

	mu      sync.Mutex
	known   *heard // as of the last time that all was told
	fresh   *heard // while it is being told
	current bool   // this session told all
}

// NewMirror returns an agent's side; Run has it listen.
func NewMirror(cfg MirrorConfig, r prometheus.Registerer) *Mirror {
	m := &Mirror{
		MirrorConfig: cfg, apps: make(chan event.GenericEvent), projects: make(chan event.GenericEvent),
		known: newHeard(),
		reports: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "argosy_sync_agent_reports_total", Help: "Reports to the control cluster, by outcome.",
		}, []string{"outcome"}),
	}
	r.MustRegister(m.reports, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "argosy_sync_agent_control_connected", Help: "1 while the control cluster is heard.",
	}, func() float64 {
		if m.connected.Load() {
			return 1
		}
		return 0
	}))
	return m
}

// Watch has the manager keep the copies.
func (m *Mirror) Watch(mgr manager.Manager) error {
	enqueue := &handler.EnqueueRequestForObject{}
	for _, c := range []struct {
		name, kind string
		from       <-chan event.GenericEvent
		do         reconcile.Func
	}{
		{"copies", "Application", m.apps, m.application},
		{"copies-of-projects", "AppProject", m.projects, m.project},
	} {
		err := builder.ControllerManagedBy(mgr).Named(c.name).For(object.New(c.kind)).
			WatchesRawSource(ctrlsource.Channel(c.from, enqueue)).
			WithOptions(controller.Options{MaxConcurrentReconciles: copiers, SkipNameValidation: new(true)}).
			Complete(c.do)
		if err != nil {
			return fmt.Errorf("set up the controller of %s: %w", c.name, err)
		}
	}
	return nil
}

// copiers is how many copies are seen to at once.
const copiers = 8

func (m *Mirror) wake(ctx context.Context, apps []core.Key, projects []string) {
	send := func(to chan event.GenericEvent, kind string, name types.NamespacedName) {
		select {
		case to <- event.GenericEvent{Object: object.Named(kind, name.Namespace, name.Name)}:
		case <-ctx.Done():
		}
	}
	for _, name := range projects {
		send(m.projects, "AppProject", types.NamespacedName{Namespace: m.Control, Name: name})
	}
	for _, k := range apps {
		send(m.apps, "Application", k.In(m.Control))
	}
}

// application brings one copy to what was handed over, and reports of it.
func (m *Mirror) application(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	k := core.KeyOf(req.Namespace, req.Name, m.Control)
	m.mu.Lock()
	assigned, said := m.known.apps[k], m.known.reports[k]
	m.mu.Unlock()
	live := object.New("Application")
	err := m.Client.Get(ctx, req.NamespacedName, live)
	if client.IgnoreNotFound(err) != nil {
		return reconcile.Result{}, fmt.Errorf("read the copy %s: %w", req, err)
	}
	if err != nil {
		live = nil
	}
	if assigned == nil {
		return reconcile.Result{}, nil // it is somebody else's, or the control cluster was not heard yet
	}
	if live == nil {
		// The watch may be behind: what is not there has its objects left alone, or is made again.
		if live, err = m.read(ctx, req.NamespacedName); err != nil {
			return reconcile.Result{}, err
		}
	}
	last := reported(said)
	step := core.Copy(m.Agent, req.NamespacedName, *assigned, live, last)
	err = m.perform(ctx, step)
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
		return reconcile.Result{RequeueAfter: soon}, nil
	}
	if rerr := m.report(ctx, k, m.say(step, *assigned, live, last, err), said); rerr != nil {
		m.reports.WithLabelValues("failed").Inc()
		return reconcile.Result{RequeueAfter: again}, nil //nolint:nilerr // said when the control cluster can be reached
	}
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("copy of application %s: %w", req, err)
	}
	return reconcile.Result{}, nil
}

// soon is when a copy that somebody else wrote meanwhile is looked at again.
const soon = 50 * time.Millisecond

func (m *Mirror) read(ctx context.Context, name types.NamespacedName) (*unstructured.Unstructured, error) {
	o := object.New("Application")
	err := m.Reader.Get(ctx, name, o)
	if apierrors.IsNotFound(err) {
		return nil, nil //nolint:nilnil // that it is not there is an answer
	}
	if err != nil {
		return nil, fmt.Errorf("read the copy %s: %w", name, err)
	}
	return o, nil
}

func reported(text []byte) *core.Report {
	var r core.Report
	if text == nil || json.Unmarshal(text, &r) != nil {
		return nil
	}
	return &r
}

func (m *Mirror) perform(ctx context.Context, s core.Step) error {
	switch s.Action {
	case core.Create:
		return m.Client.Create(ctx, s.Next)
	case core.Update:
		return m.Client.Update(ctx, s.Next)
	case core.Delete:
		now := object.Named("Application", s.Next.GetNamespace(), s.Next.GetName())
		if err := m.Client.Get(ctx, client.ObjectKeyFromObject(now), now); err != nil {
			return client.IgnoreNotFound(err)
		}
		if !reflect.DeepEqual(now.GetFinalizers(), s.Next.GetFinalizers()) {
			if err := m.Client.Update(ctx, s.Next); err != nil {
				return client.IgnoreNotFound(err)
			}
		}
		if s.Next.GetDeletionTimestamp() != nil {
			return nil
		}
		uid := s.Next.GetUID()
		return client.IgnoreNotFound(m.Client.Delete(ctx, s.Next, client.Preconditions{UID: &uid}))
	case core.None, core.Refused, core.Gone:
	}
	return nil
}

// say is what there is to report after a step; nil leaves what was said.
func (m *Mirror) say(
	s core.Step, a core.Assignment, live *unstructured.Unstructured, last *core.Report, failed error,
) *core.Report {
	switch {
	case s.Action == core.Gone:
		return &core.Report{UID: a.UID, Gone: true}
	case s.Action == core.Refused:
		return &core.Report{UID: a.UID, Problem: fmt.Sprintf(
			"the agent's cluster has an application %s/%s of its own: give it the label %s=%s to have this one take its place",
			live.GetNamespace(), live.GetName(), core.Label, m.Agent,
		)}
	case failed != nil && s.Action == core.Create:
		return &core.Report{UID: a.UID, Problem: "the agent cannot make the application: " + failed.Error()}
	case s.Next != nil && (s.Action == core.Create || s.Action == core.Update):
		live = s.Next
	}
	if live == nil || core.CopyUID(live) != a.UID {
		return nil
	}
	r := core.ReportOf(live).WithPast(last)
	return &r
}

// report tells the control cluster, unless it knows.
func (m *Mirror) report(ctx context.Context, k core.Key, r *core.Report, said []byte) error {
	if r == nil {
		return nil
	}
	text, err := r.Encode()
	if err != nil {
		return err
	}
	if bytes.Equal(text, said) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, deafAfter)
	defer cancel()
	if err := m.Bus.Mailbox(m.Agent).Send(ctx, k.Up(), text); err != nil {
		return err
	}
	m.reports.WithLabelValues("ok").Inc()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.known.reports[k] = text
	return nil
}

// project brings one copy of a project to what was handed over.
func (m *Mirror) project(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	m.mu.Lock()
	said := m.known.projects[req.Name]
	m.mu.Unlock()
	if said == nil || req.Namespace != m.Control {
		return reconcile.Result{}, nil
	}
	live := object.New("AppProject")
	err := m.Client.Get(ctx, req.NamespacedName, live)
	if client.IgnoreNotFound(err) != nil {
		return reconcile.Result{}, fmt.Errorf("read project %s: %w", req.Name, err)
	}
	switch there := err == nil; {
	case there && !core.Owned(live, m.Agent):
		m.Log.WarnContext(
			ctx, "a project of this cluster has the name of one that is handed over: label it to have it taken", "project",
			req.Name, "label", core.Label+"="+m.Agent,
		)
		return reconcile.Result{}, nil
	case said.text == nil && there:
		err = client.IgnoreNotFound(m.Client.Delete(ctx, live))
	case said.text == nil:
		err = nil
	default:
		err = m.write(ctx, live, there, req.Name, said.text)
	}
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
		return reconcile.Result{RequeueAfter: soon}, nil
	}
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("copy of project %s: %w", req.Name, err)
	}
	return reconcile.Result{}, nil
}

func (m *Mirror) write(
	ctx context.Context, live *unstructured.Unstructured, there bool, name string, text []byte,
) error {
	var spec map[string]any
	if err := json.Unmarshal(text, &spec); err != nil {
		return fmt.Errorf("what was handed over: %w", err)
	}
	next := object.Named("AppProject", m.Control, name)
	if there {
		next = live.DeepCopy()
	}
	next.SetLabels(map[string]string{core.Label: m.Agent})
	next.Object["spec"] = spec
	if !there {
		return m.Client.Create(ctx, next)
	}
	if reflect.DeepEqual(next.Object, live.Object) {
		return nil
	}
	return m.Client.Update(ctx, next)
}
