package pull

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/libs/eventsource"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
)

// resource watches objects of the cluster with the rights of the EventSource's service account, as upstream does. The
// version of an object names the event, so every replica watches and one event results. After a restart it goes on
// where it stopped: what is there already is not told again as new.
func resource(c v1alpha1.ResourceEventSource) Reader {
	return Reader{AllReplicas: true, Run: func(ctx context.Context, env Env, emit Emit) error {
		who, err := env.Accounts.As(env.Namespace, env.Account)
		if err != nil {
			return err
		}
		w := watcher{config: c, emit: emit, env: env, known: map[string]*unstructured.Unstructured{}}
		if w.filter, err = eventsource.NewObjects(c.Filter); err != nil {
			return err
		}
		// What labels say the API server judges; of fields it knows a few only, so that they are judged here.
		w.options.LabelSelector = w.filter.Labels.String()
		kind := schema.GroupVersionResource{Group: c.Group, Version: c.Version, Resource: c.Resource}
		w.objects = who.Objects.Resource(kind)
		if c.Namespace != "" {
			w.objects = who.Objects.Resource(kind).Namespace(c.Namespace)
		}
		return w.run(ctx)
	}}
}

// The types of events, with the names that manifests use.
const (
	typeAdd, typeUpdate, typeDelete = "ADD", "UPDATE", "DELETE"
)

// watcher follows one kind of objects.
type watcher struct {
	config  v1alpha1.ResourceEventSource
	options metav1.ListOptions
	filter  *eventsource.Objects
	objects dynamic.ResourceInterface
	emit    Emit
	env     Env
	known   map[string]*unstructured.Unstructured // by uid, for oldBody
}

func (w *watcher) run(ctx context.Context) error {
	saved, err := w.env.Positions.Load(ctx, w.env.Name())
	if err != nil {
		return err
	}
	from, err := w.list(ctx, string(saved))
	if err != nil {
		return err
	}
	options := w.options
	options.ResourceVersion, options.AllowWatchBookmarks = from, true
	stream, err := w.objects.Watch(ctx, options)
	if err != nil {
		return fmt.Errorf("watch %s: %w", w.config.Resource, err)
	}
	defer stream.Stop()
	w.env.Up()
	for e := range stream.ResultChan() {
		if err := w.one(ctx, e); err != nil {
			return err
		}
	}
	if over(ctx) {
		return nil
	}
	return fmt.Errorf("watch %s: it ended", w.config.Resource)
}

// list learns what is there, and where to go on. With a saved place that is where
// the watch goes on; without one, or when the server has forgotten it, what is newer
// than the place is told now. The first time everything is, as upstream does, unless
// afterStart asks for less.
func (w *watcher) list(ctx context.Context, saved string) (string, error) {
	list, err := w.objects.List(ctx, w.options)
	if err != nil {
		return "", fmt.Errorf("list %s: %w", w.config.Resource, err)
	}
	for i := range list.Items {
		o := &list.Items[i]
		w.known[string(o.GetUID())] = o
		version := o.GetResourceVersion()
		switch {
		case saved == "" && (w.config.Filter == nil || !w.config.Filter.AfterStart):
			err = w.tell(ctx, typeAdd, o, nil)
		case saved != "" && newer(version, saved) && o.GetGeneration() <= 1 && created(o):
			err = w.tell(ctx, typeAdd, o, nil)
		case saved != "" && newer(version, saved):
			err = w.tell(ctx, typeUpdate, o, nil)
		}
		if err != nil {
			return "", err
		}
	}
	return list.GetResourceVersion(), w.save(ctx, list.GetResourceVersion())
}

// created reports whether an object had no earlier version than the saved place:
// managed fields tell of nobody who wrote it twice.
func created(o *unstructured.Unstructured) bool {
	return len(o.GetManagedFields()) <= 1 && o.GetDeletionTimestamp() == nil
}

// newer compares versions, which are numbers of the store for all servers there are.
func newer(a, b string) bool {
	if len(a) != len(b) {
		return len(a) > len(b)
	}
	return a > b
}

func (w *watcher) one(ctx context.Context, e watch.Event) error {
	if e.Type == watch.Error {
		err := apierrors.FromObject(e.Object)
		return fmt.Errorf("watch %s: %w", w.config.Resource, err)
	}
	o, ok := e.Object.(*unstructured.Unstructured)
	if !ok {
		return fmt.Errorf("watch %s: %T is not an object", w.config.Resource, e.Object)
	}
	old := w.known[string(o.GetUID())]
	var err error
	switch e.Type {
	case watch.Added:
		w.known[string(o.GetUID())] = o
		err = w.tell(ctx, typeAdd, o, nil)
	case watch.Modified:
		w.known[string(o.GetUID())] = o
		err = w.tell(ctx, typeUpdate, o, old)
	case watch.Deleted:
		delete(w.known, string(o.GetUID()))
		err = w.tell(ctx, typeDelete, o, nil)
	case watch.Bookmark, watch.Error:
	}
	if err != nil {
		return err
	}
	return w.save(ctx, o.GetResourceVersion())
}

func (w *watcher) tell(ctx context.Context, kind string, o, old *unstructured.Unstructured) error {
	if !slices.Contains(w.config.EventTypes, kind) || !w.passes(o) {
		return nil
	}
	text, err := json.Marshal(o.Object)
	if err != nil {
		return err
	}
	if !w.filter.Keep(text) {
		return nil
	}
	data := resourceData{
		Type: kind, Body: text, Group: w.config.Group, Version: w.config.Version, Resource: w.config.Resource,
		Metadata: w.config.Metadata,
	}
	if old != nil {
		before, err := json.Marshal(old.Object)
		if err != nil {
			return err
		}
		data.OldBody = before
	}
	// A cluster that was restored gives versions again that it gave before.
	return w.emit(ctx, Key("resource", o.GetUID(), o.GetResourceVersion(), kind, text), data)
}

// passes is the part of the filter that is about the object's name and age.
func (w *watcher) passes(o *unstructured.Unstructured) bool {
	f := w.config.Filter
	if f == nil {
		return true
	}
	if !strings.HasPrefix(o.GetName(), f.Prefix) {
		return false
	}
	return f.CreatedBy == nil || !o.GetCreationTimestamp().After(f.CreatedBy.Time)
}

func (w *watcher) save(ctx context.Context, version string) error {
	return w.env.Positions.Save(ctx, w.env.Name(), []byte(version))
}

// resourceData is the view. Source: Argo Events, ResourceEventData.
type resourceData struct {
	Type     string          `json:"type"`
	Body     json.RawMessage `json:"body"`
	OldBody  json.RawMessage `json:"oldBody,omitempty"`
	Group    string          `json:"group"`
	Version  string          `json:"version"`
	Resource string          `json:"resource"`
	Metadata Metadata        `json:"metadata,omitempty"`
}
