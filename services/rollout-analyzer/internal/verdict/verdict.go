// Package verdict lets events decide about Rollouts at once: it keeps which Rollouts ask for which events, reads
// these from the bus, and writes what they mean. Replicas share the events; a Rollout is written to as a person
// would.
package verdict

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/kube/object"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core/verdict"
)

// Consumer is the durable name under which replicas share the events.
const Consumer = "rollout-analyzer-verdicts"

// gather is how long changes of what Rollouts ask for are gathered before the subscription follows.
const gather = 500 * time.Millisecond

// Listener carries out what events say.
type Listener struct {
	Client client.Client
	// Live reads past the cache: whether a Rollout is in progress must not be old news.
	Live   client.Reader
	Bus    *bus.Bus
	Events record.EventRecorder
	Log    *slog.Logger
	Now    func() time.Time

	mu sync.Mutex
	// wishes are the subjects that each Rollout asks for.
	wishes  map[types.NamespacedName][]string
	changed chan struct{}
	acted   *prometheus.CounterVec
}

// New returns a listener whose metrics are in registry.
func New(
	c client.Client, live client.Reader, b *bus.Bus, recorder record.EventRecorder, log *slog.Logger,
	registry prometheus.Registerer,
) *Listener {
	l := &Listener{
		Client: c, Live: live, Bus: b, Events: recorder, Log: log, Now: time.Now,
		wishes: map[types.NamespacedName][]string{}, changed: make(chan struct{}, 1),
		acted: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "argosy_rollout_verdicts_total", Help: "Events that decided about rollouts, by what they did.",
		}, []string{"act"}),
	}
	registry.MustRegister(l.acted)
	return l
}

// Watch follows what Rollouts ask for.
func (l *Listener) Watch(ctx context.Context, c cache.Cache) error {
	informer, err := c.GetInformer(ctx, object.New("Rollout"))
	if err != nil {
		return fmt.Errorf("watch what rollouts ask for: %w", err)
	}
	_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { l.see(o, false) },
		UpdateFunc: func(_, o any) { l.see(o, false) },
		DeleteFunc: func(o any) { l.see(o, true) },
	})
	if err != nil {
		return fmt.Errorf("watch what rollouts ask for: %w", err)
	}
	return nil
}

func (l *Listener) see(o any, gone bool) {
	if last, is := o.(toolscache.DeletedFinalStateUnknown); is {
		o = last.Obj
	}
	u, is := o.(client.Object)
	if !is {
		return
	}
	var subjects []string
	if !gone {
		wishes, _ := verdict.Wishes(u.GetNamespace(), u.GetAnnotations())
		for _, w := range wishes {
			subjects = append(subjects, w.Subject)
		}
	}
	key := client.ObjectKeyFromObject(u)
	l.mu.Lock()
	defer l.mu.Unlock()
	if slices.Equal(l.wishes[key], subjects) {
		return
	}
	l.wishes[key] = subjects
	if len(subjects) == 0 {
		delete(l.wishes, key)
	}
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// subjects are all that somebody asks for, in order.
func (l *Listener) subjects() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := map[string]bool{}
	for _, subjects := range l.wishes {
		for _, s := range subjects {
			all[s] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// asking are the Rollouts that ask for a subject.
func (l *Listener) asking(subject string) (out []types.NamespacedName) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, subjects := range l.wishes {
		if slices.Contains(subjects, subject) {
			out = append(out, key)
		}
	}
	return out
}

// Run reads the events that somebody asks for until ctx ends. Nobody asking, nothing is read: a subscription costs
// every publisher a little.
func (l *Listener) Run(ctx context.Context) error {
	began := l.Now()
	for ctx.Err() == nil {
		filters := l.subjects()
		reading, stop := context.WithCancel(ctx)
		var done sync.WaitGroup
		if len(filters) > 0 {
			done.Go(func() {
				if err := l.Bus.Consume(reading, bus.Consumer{
					Stream: bus.Events, Name: Consumer, Since: began, Filters: filters, Concurrency: 8,
				}, l.handle); err != nil {
					l.Log.ErrorContext(ctx, "read events that decide about rollouts", "error", err)
				}
			})
		}
		select {
		case <-ctx.Done():
		case <-l.changed:
			l.settle(ctx)
		}
		stop()
		done.Wait()
	}
	return nil
}

// settle waits until a burst of changes is over: they are seen together.
func (l *Listener) settle(ctx context.Context) {
	quiet := time.NewTimer(gather)
	defer quiet.Stop()
	select {
	case <-ctx.Done():
	case <-quiet.C:
	}
	select {
	case <-l.changed:
	default:
	}
}

func (l *Listener) handle(ctx context.Context, d bus.Delivery) ([]bus.Outgoing, error) {
	e := verdict.Event{
		ID: d.ID(), Source: d.Source(), Type: d.Type(), Subject: d.Subject, Stored: d.Stored, Data: d.Data(),
	}
	var failed error
	for _, key := range l.asking(d.Subject) {
		if err := l.decide(ctx, key, e); err != nil {
			failed = errors.Join(failed, fmt.Errorf("decide about rollout %s by %s: %w", key, verdict.Cause(e), err))
		}
	}
	return nil, failed
}

// decide carries out what an event means for one Rollout. Its cause is written first: a crash in between lets the
// event come again, and then only the verdict is missing.
func (l *Listener) decide(ctx context.Context, key types.NamespacedName, e verdict.Event) error {
	u := object.New("Rollout")
	if err := l.Live.Get(ctx, key, u); err != nil {
		return client.IgnoreNotFound(err)
	}
	ro, _, _ := v1alpha1.DecodeTolerant[v1alpha1.Rollout](u.Object)
	act, err := verdict.Decide(ro, e, l.Now())
	if err != nil {
		// The Rollout's own fault: told to its owner, and no reason to hold up others.
		l.Events.Event(u, corev1.EventTypeWarning, "EventCannotBeJudged", err.Error())
	}
	if act == "" {
		return nil
	}
	if err := l.write(ctx, u, ro, act, e); err != nil {
		if apierrors.IsConflict(err) {
			return err
		}
		return client.IgnoreNotFound(err)
	}
	l.acted.WithLabelValues(string(act)).Inc()
	l.Events.Event(u, corev1.EventTypeNormal, "DecidedByEvent", string(act)+" by "+verdict.Cause(e))
	l.Log.InfoContext(ctx, "an event decided", "rollout", key.String(), "act", string(act), "event", e.ID)
	return nil
}

// write does what a person would do by hand, with the event as the reason.
func (l *Listener) write(
	ctx context.Context, u *unstructured.Unstructured, ro *v1alpha1.Rollout, act verdict.Act, e verdict.Event,
) error {
	version := ro.ResourceVersion
	status := map[verdict.Act]string{
		verdict.Abort:   `{"metadata":{"resourceVersion":%q},"status":{"abort":true}}`,
		verdict.Promote: `{"metadata":{"resourceVersion":%q},"status":{"pauseConditions":null}}`,
	}[act]
	cause := ro.Status.CurrentPodHash + " " + verdict.Cause(e)
	if act == verdict.Abort {
		// An abort shows its cause, so that the cause is there before it.
		next, err := l.mark(ctx, u, version, cause, false)
		if err != nil {
			return err
		}
		version = next
	}
	if status != "" {
		patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, status, version))
		if err := l.Client.Status().Patch(ctx, u, patch); err != nil {
			return err
		}
		version = u.GetResourceVersion()
	}
	if act == verdict.Abort {
		return nil
	}
	_, err := l.mark(ctx, u, version, cause, act == verdict.Pause)
	return err
}

// mark writes the cause, and pauses.
func (l *Listener) mark(
	ctx context.Context, u *unstructured.Unstructured, version, cause string, pause bool,
) (string, error) {
	spec := ""
	if pause {
		spec = `,"spec":{"paused":true}`
	}
	patch := fmt.Appendf(nil, `{"metadata":{"resourceVersion":%q,"annotations":{%q:%q}}%s}`, version,
		verdict.AnnotationCause, strings.ToValidUTF8(cause, "?"), spec)
	if err := l.Client.Patch(ctx, u, client.RawPatch(types.MergePatchType, patch)); err != nil {
		return "", err
	}
	return u.GetResourceVersion(), nil
}
