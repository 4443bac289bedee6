package application

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/services/sync-agent/internal/cluster"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Bounds of the search for orphans: what is in a namespace is remembered, and no kind is read to its end.
const (
	orphanMemory   = time.Minute
	orphanPatience = 20 * time.Second
	orphansOfKind  = 500
	orphansNamed   = 5 // in a condition
)

// strays remembers what of namespaces nobody tracks.
type strays struct {
	mu    sync.Mutex
	known map[strayKey]*strayList
}

type strayKey struct{ server, namespace string }

type strayList struct {
	mu   sync.Mutex // held while the namespace is read
	at   time.Time
	keys []track.Key
	err  error
}

// of returns the objects of a namespace that belong to no application and no other object, as they were at most a
// minute ago. One who reads a namespace holds back those alone who ask about the same one.
func (s *strays) of(ctx context.Context, c *cluster.Cluster, namespace string) ([]track.Key, error) {
	s.mu.Lock()
	if s.known == nil {
		s.known = map[strayKey]*strayList{}
	}
	for key, l := range s.known {
		if l.mu.TryLock() {
			if time.Since(l.at) > 10*orphanMemory {
				delete(s.known, key)
			}
			l.mu.Unlock()
		}
	}
	key := strayKey{c.Server, namespace}
	l := s.known[key]
	if l == nil {
		l = &strayList{at: time.Now().Add(-2 * orphanMemory)}
		s.known[key] = l
	}
	s.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Since(l.at) > orphanMemory {
		l.keys, l.err = readStrays(ctx, c, namespace)
		l.at = time.Now()
	}
	return l.keys, l.err
}

// readStrays lists the metadata of whatever a namespace holds.
func readStrays(ctx context.Context, c *cluster.Cluster, namespace string) ([]track.Key, error) {
	ctx, cancel := context.WithTimeout(ctx, orphanPatience)
	defer cancel()
	served, err := c.Discovery.ServerPreferredResources()
	if err != nil && len(served) == 0 {
		return nil, fmt.Errorf("list kinds: %w", err)
	}
	var out []track.Key
	for _, list := range served {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			continue
		}
		for _, r := range list.APIResources {
			if !r.Namespaced || strings.Contains(r.Name, "/") || !slices.Contains(r.Verbs, "list") ||
				r.Kind == "Event" || gv.Group == "metrics.k8s.io" {
				continue
			}
			objects := &metav1.PartialObjectMetadataList{}
			objects.SetGroupVersionKind(gv.WithKind(r.Kind + "List"))
			err := c.Reader.List(ctx, objects, client.InNamespace(namespace), client.Limit(orphansOfKind))
			switch {
			case apierrors.IsForbidden(err) || apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err):
				continue
			case err != nil:
				return nil, fmt.Errorf("list %s of namespace %s: %w", r.Kind, namespace, err)
			}
			for _, o := range objects.Items {
				if len(o.OwnerReferences) == 0 && o.Annotations[track.TrackingAnnotation] == "" &&
					!c.Live.Labelled(o.Labels) {
					out = append(out, track.Key{Group: gv.Group, Kind: r.Kind, Namespace: o.Namespace, Name: o.Name})
				}
			}
		}
	}
	return out, nil
}

// orphaned tells of the objects in the application's namespace that no application has, where its project asks for
// that.
func (p *pass) orphaned(ctx context.Context) {
	shown, warn := p.project.Orphans()
	namespace := p.app.Spec.Destination.Namespace
	if !shown || namespace == "" {
		p.metrics.orphans(p.app, -1)
		return
	}
	found, err := p.strays.of(ctx, p.cluster, namespace)
	if err != nil {
		p.report.condition("OrphanedResourceWarning", "orphaned resources are not known: "+err.Error())
		return
	}
	var orphans []string
	for _, key := range found {
		kind := schema.GroupKind{Group: key.Group, Kind: key.Kind}
		if p.manages(kind) && p.project.Kind(kind, key.Name, true) == "" && p.project.Orphan(kind, key.Name) {
			orphans = append(orphans, key.String())
		}
	}
	p.metrics.orphans(p.app, len(orphans))
	if len(orphans) == 0 || !warn {
		return
	}
	named := orphans[:min(len(orphans), orphansNamed)]
	text := fmt.Sprintf("Application has %d orphaned resources: %s", len(orphans), strings.Join(named, ", "))
	if len(named) < len(orphans) {
		text += ", ..."
	}
	p.report.condition("OrphanedResourceWarning", text)
}
