// Package notification tells what became of Applications, as argocd-notifications-cm of the control namespace says.
//
// Each Application is looked at by its owner alone, one at a time: so nothing is told twice at once. What was sent is
// recorded in the Application afterwards; libs/notify says what a crash in between does.
package notification

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/kube"
	"github.com/argosy-mesh/argosy/libs/kube/object"
	"github.com/argosy-mesh/argosy/libs/notify"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/projects"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/source"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	ctrlsource "sigs.k8s.io/controller-runtime/pkg/source"
)

const (
	configName = "argocd-notifications-cm"
	secretName = "argocd-notifications-secret" //nolint:gosec // the name of a Secret

	configMemory = 15 * time.Second // how long the configuration is remembered
	again        = 3 * time.Minute  // how long a change of it may take to reach what does not change itself
	workers      = 16               // Applications at once; a service works for fewer of them
)

// Shell is what notifications work with.
type Shell struct {
	Client   client.Client // reads are cached
	Reader   client.Reader // not cached
	Bus      *bus.Bus
	Sources  *source.Sources
	Projects *projects.Projects
	HTTP     *http.Client
	Control  string // namespace of the configuration
	Log      *slog.Logger
}

// Notifier sends notifications.
type Notifier struct {
	Shell
	sent *prometheus.CounterVec

	mu      sync.Mutex
	read    time.Time
	version string
	config  *notify.Config
	sender  *notify.Sender
}

// New returns a notifier whose metrics are in r.
func New(s Shell, r prometheus.Registerer) *Notifier {
	n := &Notifier{Shell: s, sent: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "argosy_sync_notifications_total", Help: "Looks at Applications that had something to be told, by error class.",
	}, []string{"class"})}
	r.MustRegister(n.sent)
	return n
}

// Watch has the manager run the notifier for what it owns; regain brings objects that others owned until now.
func (n *Notifier) Watch(mgr manager.Manager, owns func(key string) bool, regain <-chan event.GenericEvent) error {
	err := builder.ControllerManagedBy(mgr).Named("notification").
		For(object.New("Application")).
		WatchesRawSource(ctrlsource.Channel(regain, &handler.EnqueueRequestForObject{})).
		// Tests run several replicas in one process, whose controllers share a name.
		WithOptions(controller.Options{MaxConcurrentReconciles: workers, SkipNameValidation: new(true)}).
		Complete(kube.OwnedOnly(owns, n))
	if err != nil {
		return fmt.Errorf("set up notifications: %w", err)
	}
	return nil
}

// Reconcile tells what is to be told about one Application.
func (n *Notifier) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	app := object.New("Application")
	if err := n.Client.Get(ctx, req.NamespacedName, app); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	config, sender, err := n.configured(ctx)
	if err != nil || config == nil || !n.Projects.Serves(req.Namespace) {
		return reconcile.Result{}, err
	}
	to, err := n.destinations(ctx, config, app)
	if err != nil || len(to) == 0 {
		return reconcile.Result{}, err
	}
	decided := config.Decide(n.subject(ctx, app), to, told(app))
	for _, wrong := range decided.Wrong {
		n.Log.DebugContext(ctx, "a condition does not hold", "application", req.String(), "error", wrong)
	}
	if len(decided.Send)+len(decided.Forget) == 0 {
		return reconcile.Result{RequeueAfter: again}, nil
	}
	// The cache may be from before the last record; what counts is what is there.
	if err := n.Reader.Get(ctx, req.NamespacedName, app); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if to, err = n.destinations(ctx, config, app); err != nil {
		return reconcile.Result{}, err
	}
	state, changed, err := sender.Deliver(ctx, n.subject(ctx, app), to, told(app), time.Now())
	n.sent.WithLabelValues(string(fault.Of(err))).Inc()
	if changed {
		if failed := n.record(ctx, app, state); failed != nil {
			return reconcile.Result{}, failed
		}
	}
	if fault.Of(err) == fault.Poison {
		n.Log.WarnContext(ctx, "a notification will never be sent", "application", req.String(), "error", err)
		err = nil
	}
	return reconcile.Result{RequeueAfter: again}, err
}

func told(app *unstructured.Unstructured) notify.State {
	return notify.ReadState(app.GetAnnotations()[notify.NotifiedAnnotation])
}

// record writes the annotation. Nobody else writes it, so it does not have to be as it was read.
func (n *Notifier) record(ctx context.Context, app *unstructured.Unstructured, state notify.State) error {
	// A process that is told to end still says what it has sent.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	var value any
	if text := state.Text(); text != "" {
		value = text
	}
	err := object.MergePatch(ctx, n.Client, app, map[string]any{
		"metadata": map[string]any{"annotations": map[string]any{notify.NotifiedAnnotation: value}},
	})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("record the notifications of application %s/%s: %w", app.GetNamespace(), app.GetName(), err)
	}
	return nil
}

// destinations are who is subscribed to an Application, by itself, its project, or the configuration.
func (n *Notifier) destinations(
	ctx context.Context, config *notify.Config, app *unstructured.Unstructured,
) (map[string][]notify.Destination, error) {
	name, _, _ := unstructured.NestedString(app.Object, "spec", "project")
	if name == "" {
		name = projects.Default
	}
	project := object.New("AppProject")
	err := n.Client.Get(ctx, client.ObjectKey{Namespace: n.Control, Name: name}, project)
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("read project %s: %w", name, err)
	}
	return config.Destinations(app.GetLabels(), app.GetAnnotations(), project.GetAnnotations()), nil
}

// subject tells one state of an Application from another by its last operation, what is synced and its health.
func (n *Notifier) subject(ctx context.Context, app *unstructured.Unstructured) notify.Subject {
	fact := []string{string(app.GetUID())}
	for _, path := range [][]string{
		{"status", "operationState", "startedAt"}, {"status", "operationState", "phase"}, {"status", "sync",
			"revision"},
		{"status", "sync", "status"}, {"status", "health", "status"},
	} {
		value, _, _ := unstructured.NestedString(app.Object, path...)
		fact = append(fact, value)
	}
	return notify.Subject{
		Object: app.Object, Fact: strings.Join(fact, "/"), Variables: n.variables(ctx, app),
	}
}

// configured returns the configuration as it is now, nil when there is none.
func (n *Notifier) configured(ctx context.Context) (*notify.Config, *notify.Sender, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if time.Since(n.read) < configMemory {
		return n.config, n.sender, nil
	}
	var cm corev1.ConfigMap
	err := n.Reader.Get(ctx, client.ObjectKey{Namespace: n.Control, Name: configName}, &cm)
	if apierrors.IsNotFound(err) {
		n.read, n.version, n.config, n.sender = time.Now(), "", nil, nil
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read ConfigMap %s/%s: %w", n.Control, configName, err)
	}
	var secret corev1.Secret
	err = n.Reader.Get(ctx, client.ObjectKey{Namespace: n.Control, Name: secretName}, &secret)
	if client.IgnoreNotFound(err) != nil {
		return nil, nil, fmt.Errorf("read Secret %s/%s: %w", n.Control, secretName, err)
	}
	n.read = time.Now()
	version := string(cm.UID) + cm.ResourceVersion + "/" + string(secret.UID) + secret.ResourceVersion
	if version == n.version {
		return n.config, n.sender, nil
	}
	config, problems := notify.Read(cm.Data, secret.Data)
	for _, p := range problems {
		n.Log.WarnContext(ctx, "an entry of the notifications' configuration is not read", "error", p.String())
	}
	n.version, n.config = version, config
	n.sender = notify.NewSender(config, notify.Env{Client: n.HTTP, Publish: n.publish})
	return n.config, n.sender, nil
}

// notificationSource is the last part but one of the subject of events that notifications publish.
const notificationSource = "notifications"

// publish puts an event on the bus below events.NAMESPACE.notifications: what is said in the name of an object stays in
// its namespace.
func (n *Notifier) publish(ctx context.Context, id, namespace, name string, data any) error {
	e, err := bus.NewEvent(id, events.ServiceSyncAgent, "dev.argosy.notification.v1", data)
	if err != nil {
		return fault.AsPoison(err)
	}
	return n.Bus.Publish(ctx, events.EventSubject(namespace, notificationSource, name), e)
}
