// Package cluster is the live side of a destination: one watch for each kind, what it shows by application, and what
// was written and did not come back through a watch yet.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/libs/kube/object"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
)

// watchPatience bounds the wait for the first list of a kind.
const watchPatience = 20 * time.Second

// Cache knows the objects of the cluster through one watch per kind that some
// application uses, and tells applications when theirs change. Safe for
// concurrent use.
type Cache struct {
	cache   cache.Cache
	Mapper  meta.RESTMapper
	control string // namespace whose applications mark objects with their bare name
	method  track.Method
	out     chan event.GenericEvent
	stopped chan struct{} // closed when nobody listens to out any more

	mu      sync.Mutex
	watched map[schema.GroupVersionKind]*kindWatch
	owned   map[string]map[track.Key]*track.Object // by instance, as the watches saw them
	// localWrites holds what we wrote until the watch has caught up: reading our own
	// writes must not look like drift. Nil stands for a deletion.
	localWrites map[track.Key]written
}

type written struct {
	object  *track.Object
	uid     types.UID
	version uint64
}

// New returns the live side of the cluster of a cache. control is the namespace whose Applications mark objects with
// their bare name, in the way that method says.
func New(c cache.Cache, mapper meta.RESTMapper, control string, method track.Method) *Cache {
	return &Cache{
		cache:       c,
		Mapper:      mapper,
		control:     control,
		method:      method,
		out:         make(chan event.GenericEvent, 1024),
		stopped:     make(chan struct{}),
		watched:     map[schema.GroupVersionKind]*kindWatch{},
		owned:       map[string]map[track.Key]*track.Object{},
		localWrites: map[track.Key]written{},
	}
}

// Stop ends the waiting for watches: they must not wait for a controller that has stopped.
func (l *Cache) Stop() { close(l.stopped) }

// Changed receives the applications whose objects changed.
func (l *Cache) Changed() <-chan event.GenericEvent { return l.out }

// own are the kinds that say what the agent has to do; they are kept whole.
var own = map[string]bool{"Application": true, "AppProject": true, "ApplicationSet": true}

// Lean keeps of an untracked object only what says that it exists: most objects
// of a cluster belong to nobody here.
func Lean(method track.Method) func(any) (any, error) {
	return func(o any) (any, error) { return lean(method, o) }
}

func lean(method track.Method, o any) (any, error) {
	u, ok := o.(*unstructured.Unstructured)
	if !ok {
		return o, nil
	}
	u.SetManagedFields(nil)
	if gk := u.GroupVersionKind().GroupKind(); gk.Group == v1alpha1.Group && own[gk.Kind] {
		return u, nil // what we are told to do
	}
	if method.Tracked(u) {
		return u, nil
	}
	kept := map[string]any{"apiVersion": u.GetAPIVersion(), "kind": u.GetKind(), "metadata": map[string]any{
		"name":            u.GetName(),
		"namespace":       u.GetNamespace(),
		"uid":             string(u.GetUID()),
		"resourceVersion": u.GetResourceVersion(),
	}}
	out := &unstructured.Unstructured{Object: kept}
	if value := u.GetLabels()[method.Name()]; value != "" {
		out.SetLabels(map[string]string{method.Name(): value})
		out.SetOwnerReferences(u.GetOwnerReferences())
	}
	return out, nil
}

// kindWatch is the watch of one kind.
type kindWatch struct {
	mu           sync.Mutex // held while it is set up
	registration toolscache.ResourceEventHandlerRegistration
	silent       time.Time // when it last had not listed what there is in time
}

// Watch makes sure that a kind is watched, and returns when all that there is of it has been seen: whoever asks while
// the watch begins waits too, and one that did not come up in time is waited for again. known is false when the cluster
// does not have the kind.
func (l *Cache) Watch(ctx context.Context, gvk schema.GroupVersionKind) (known bool, err error) {
	l.mu.Lock()
	w := l.watched[gvk]
	if w == nil {
		w = &kindWatch{}
		l.watched[gvk] = w
	}
	l.mu.Unlock()
	asker := ctx
	ctx, cancel := context.WithTimeout(ctx, watchPatience)
	defer cancel()
	registration, known, err := l.register(ctx, w, gvk)
	if err != nil || !known {
		return false, err
	}
	if registration.HasSynced() {
		return true, nil
	}
	if w.rests() {
		return false, fmt.Errorf("watch %s: it has not listed what there is", gvk)
	}
	if !toolscache.WaitForCacheSync(ctx.Done(), registration.HasSynced) {
		if asker.Err() == nil {
			w.failed()
		}
		return false, fmt.Errorf("watch %s: it has not listed what there is: %w", gvk, ctx.Err())
	}
	return true, nil
}

// watchRest is how long nobody waits for a watch that did not come up: the applications of others must not wait behind
// those that use its kind.
const watchRest = 30 * time.Second

func (w *kindWatch) rests() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Since(w.silent) < watchRest
}

func (w *kindWatch) failed() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.silent = time.Now()
}

// register begins the watch of a kind that is not watched yet.
func (l *Cache) register(
	ctx context.Context, w *kindWatch, gvk schema.GroupVersionKind,
) (r toolscache.ResourceEventHandlerRegistration, known bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.registration != nil {
		return w.registration, true, nil
	}
	if _, err := l.Mapper.RESTMapping(gvk.GroupKind(), gvk.Version); err != nil {
		if meta.IsNoMatchError(err) || isDiscovery(err) {
			return nil, false, nil
		}
		return nil, false, fmt.Errorf("look up kind %s: %w", gvk, err)
	}
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(gvk)
	informer, err := l.cache.GetInformer(ctx, u)
	if err != nil {
		return nil, false, fmt.Errorf("watch %s: %w", gvk, err)
	}
	registration, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { l.see(nil, o) },
		UpdateFunc: func(before, o any) { l.see(before, o) },
		DeleteFunc: func(o any) { l.lose(o) },
	})
	if err != nil {
		return nil, false, fmt.Errorf("watch %s: %w", gvk, err)
	}
	w.registration = registration
	return registration, true, nil
}

func isDiscovery(err error) bool {
	var s apierrors.APIStatus
	return errors.As(err, &s) && apierrors.IsNotFound(err)
}

func (l *Cache) see(before, o any) {
	u, ok := o.(*unstructured.Unstructured)
	if !ok {
		return
	}
	old, _ := before.(*unstructured.Unstructured)
	key, instance := track.KeyOf(u), l.method.Owner(u)
	l.mu.Lock()
	former := ""
	if old != nil {
		former = l.method.Owner(old)
	}
	if former != "" && former != instance {
		delete(l.owned[former], key)
	}
	if instance != "" {
		if l.owned[instance] == nil {
			l.owned[instance] = map[track.Key]*track.Object{}
		}
		l.owned[instance][key] = u
	}
	l.catchUp(key, Version(u))
	l.mu.Unlock()
	l.tell(instance)
	if former != instance {
		l.tell(former)
	}
}

func (l *Cache) lose(o any) {
	if tombstone, ok := o.(toolscache.DeletedFinalStateUnknown); ok {
		o = tombstone.Obj
	}
	u, ok := o.(*unstructured.Unstructured)
	if !ok {
		return
	}
	key, instance := track.KeyOf(u), l.method.Owner(u)
	l.mu.Lock()
	delete(l.owned[instance], key)
	if w, ok := l.localWrites[key]; ok && (w.uid == u.GetUID() || Version(u) >= w.version) {
		delete(l.localWrites, key)
	}
	l.mu.Unlock()
	l.tell(instance)
}

// catchUp forgets what the watch has seen itself. The caller holds mu.
func (l *Cache) catchUp(key track.Key, seen uint64) {
	if w, ok := l.localWrites[key]; ok && w.object != nil && seen >= w.version {
		delete(l.localWrites, key)
	}
}

func (l *Cache) tell(instance string) {
	if instance == "" {
		return
	}
	namespace, name := track.InstanceName(instance, l.control)
	o := object.New("Application")
	o.SetNamespace(namespace)
	o.SetName(name)
	select {
	case l.out <- event.GenericEvent{Object: o}:
	case <-l.stopped:
	}
}

// Get returns an object as last seen or written; nil when there is none.
func (l *Cache) Get(ctx context.Context, gvk schema.GroupVersionKind, key track.Key) (*track.Object, error) {
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(gvk)
	err := l.cache.Get(ctx, client.ObjectKey{Namespace: key.Namespace, Name: key.Name}, u)
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	if err != nil {
		u = nil
	}
	return l.newer(key, u), nil
}

func (l *Cache) newer(key track.Key, u *track.Object) *track.Object {
	l.mu.Lock()
	defer l.mu.Unlock()
	w, ok := l.localWrites[key]
	switch {
	case !ok:
		return u
	case w.object == nil:
		if u != nil && u.GetUID() != w.uid {
			return u
		}
		return nil
	case u != nil && Version(u) >= w.version:
		return u
	}
	return w.object
}

// Extras returns the objects of an instance.
func (l *Cache) Extras(instance string) map[track.Key]*track.Object {
	l.mu.Lock()
	out := make(map[track.Key]*track.Object, len(l.owned[instance]))
	maps.Copy(out, l.owned[instance])
	l.mu.Unlock()
	for key, o := range out {
		if fresh := l.newer(key, o); fresh == nil {
			delete(out, key)
		} else {
			out[key] = fresh
		}
	}
	return out
}

// Labelled reports whether the labels of an object without annotation say whose it is.
func (l *Cache) Labelled(labels map[string]string) bool {
	return l.method.ByLabel && labels[l.method.Name()] != ""
}

// Wrote remembers what an apply returned.
func (l *Cache) Wrote(o *track.Object) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := track.KeyOf(o)
	if instance := l.method.Owner(o); instance != "" && l.owned[instance][key] != nil &&
		Version(l.owned[instance][key]) >= Version(o) {
		return // the watch was faster
	}
	l.localWrites[key] = written{object: o, uid: o.GetUID(), version: Version(o)}
}

// Removed remembers a deletion.
func (l *Cache) Removed(key track.Key, uid types.UID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.localWrites[key] = written{uid: uid}
}

// Version is the place of an object's state among all that its kind had; 0 when it cannot be told.
func Version(o *track.Object) uint64 {
	v, err := strconv.ParseUint(o.GetResourceVersion(), 10, 64)
	if err != nil {
		return 0 // never newer than anything
	}
	return v
}
