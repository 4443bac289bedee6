package application

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/argosy-mesh/argosy/libs/kube/object"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/health"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/operation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"k8s.io/client-go/util/workqueue"
)

// dependsOn, on an Application, names others that must be synced and healthy before it syncs by itself: names, or
// namespace/name, separated by commas.
const dependsOn = "argosy.dev/depends-on"

// dependencies reads what an application depends on.
func dependencies(o client.Object) []types.NamespacedName {
	var out []types.NamespacedName
	for part := range strings.SplitSeq(o.GetAnnotations()[dependsOn], ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		namespace, name, ok := strings.Cut(part, "/")
		if !ok {
			namespace, name = o.GetNamespace(), part
		}
		out = append(out, types.NamespacedName{Namespace: namespace, Name: name})
	}
	return out
}

// dependents remembers who waits for whom, so that a dependency that becomes healthy wakes what it holds back.
type dependents struct {
	mu  sync.Mutex
	who map[types.NamespacedName]map[types.NamespacedName]bool
}

// wait notes that an application waits for others, and for nobody else.
func (d *dependents) wait(app types.NamespacedName, others []types.NamespacedName) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for other, waiting := range d.who {
		if delete(waiting, app); len(waiting) == 0 {
			delete(d.who, other)
		}
	}
	for _, other := range others {
		if d.who[other] == nil {
			d.who[other] = map[types.NamespacedName]bool{}
		}
		d.who[other][app] = true
	}
}

func (d *dependents) of(app types.NamespacedName) []types.NamespacedName {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []types.NamespacedName
	for waiting := range d.who[app] {
		out = append(out, waiting)
	}
	return out
}

// wake enqueues what waits for an application that changed.
func (d *dependents) wake() handler.EventHandler {
	enqueue := func(o client.Object, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
		for _, name := range d.of(client.ObjectKeyFromObject(o)) {
			queue.Add(reconcile.Request{NamespacedName: name})
		}
	}
	return handler.Funcs{
		CreateFunc: func(
			_ context.Context, e event.CreateEvent, q workqueue.TypedRateLimitingInterface[reconcile.Request],
		) {
			enqueue(e.Object, q)
		},
		UpdateFunc: func(
			_ context.Context, e event.UpdateEvent, q workqueue.TypedRateLimitingInterface[reconcile.Request],
		) {
			enqueue(e.ObjectNew, q)
		},
	}
}

// blocked says which of the applications that this one depends on holds it back, "" when none does.
func (p *pass) blocked(ctx context.Context) (string, error) {
	self := client.ObjectKeyFromObject(p.raw)
	all := dependencies(p.raw)
	var waits []types.NamespacedName
	defer func() { p.dependents.wait(self, waits) }()
	for _, name := range all {
		o := object.New("Application")
		err := p.Client.Get(ctx, name, o)
		if client.IgnoreNotFound(err) != nil {
			return "", fmt.Errorf("read application %s: %w", name, err)
		}
		reason := "does not exist"
		if err == nil {
			reason = unready(o)
		}
		if reason == "" {
			continue
		}
		waits = all
		if cycle := p.cycle(ctx, name, []types.NamespacedName{self}); cycle != "" {
			reason = "depends on this one: " + cycle
		}
		return fmt.Sprintf("blocked by application %s, which %s", name, reason), nil
	}
	return "", nil
}

// unready says why an application may not be built upon yet.
func unready(o *unstructured.Unstructured) string {
	sync, _, _ := unstructured.NestedString(o.Object, "status", "sync", "status")
	if sync != "Synced" {
		return "is " + or(sync, "not compared yet")
	}
	state, _, _ := unstructured.NestedString(o.Object, "status", "health", "status")
	if state != health.Healthy {
		return "is " + or(state, "of unknown health")
	}
	return ""
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// longestChain bounds how far dependencies are followed.
const longestChain = 64

// cycle follows dependencies and returns the path that comes back to its beginning, "" when there is none.
func (p *pass) cycle(ctx context.Context, from types.NamespacedName, path []types.NamespacedName) string {
	path = append(path, from)
	if from == path[0] {
		names := make([]string, len(path))
		for i, n := range path {
			names[i] = n.String()
		}
		return strings.Join(names, " -> ")
	}
	o := object.New("Application")
	if len(path) > longestChain || slices.Contains(path[:len(path)-1], from) || p.Client.Get(ctx, from, o) != nil {
		return ""
	}
	for _, next := range dependencies(o) {
		if found := p.cycle(ctx, next, path); found != "" {
			return found
		}
	}
	return ""
}

// hold, on an Application, keeps automation from doing anything until it is taken away; its value says why.
const hold = "argosy.dev/hold"

// held says what keeps operations from beginning.
func (p *pass) held(ctx context.Context) (operation.Held, error) {
	if why, is := p.app.Annotations[hold]; is {
		return operation.Held{Automated: fmt.Sprintf(
			"automation is held: %s; remove the annotation %s to release it", or(why, "no reason given"), hold,
		)}, nil
	}
	reason, err := p.blocked(ctx)
	return operation.Held{Automated: reason}, err
}

// holds says why automation is held from now on: somebody asked for a revision that it would undo at once.
func (p *pass) holds(o *operation.World) string {
	asked := p.app.Operation
	automated := o.Policy.Automated
	if asked == nil || asked.Sync == nil || automated == nil || (automated.Enabled != nil && !*automated.Enabled) ||
		asked.Sync.DryRun || (asked.Sync.Revision == "" && len(asked.Sync.Revisions) == 0) {
		return ""
	}
	compared := p.app.Status.Sync
	if (o.Target.Revision != "" && o.Target.Revision == compared.Revision) ||
		(len(o.Target.Revisions) > 0 && slices.Equal(o.Target.Revisions, compared.Revisions)) ||
		(len(p.sources) == 1 && asked.Sync.Revision == p.sources[0].TargetRevision) {
		return ""
	}
	return "set to revision " + o.Target.String()
}
