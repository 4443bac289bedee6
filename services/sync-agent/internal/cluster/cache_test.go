package cluster

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// slowCache is a cache whose watch of any kind lists what there is when it is told to.
type slowCache struct {
	cache.Cache
	cache.Informer

	synced atomic.Bool
	begun  atomic.Int32
}

func (c *slowCache) GetInformer(context.Context, client.Object, ...cache.InformerGetOption) (cache.Informer, error) {
	return c, nil
}

func (c *slowCache) AddEventHandler(
	toolscache.ResourceEventHandler,
) (toolscache.ResourceEventHandlerRegistration, error) {
	c.begun.Add(1)
	return registered{c: c}, nil
}

// registered is the handler of such a watch.
type registered struct {
	toolscache.ResourceEventHandlerRegistration

	c *slowCache
}

func (r registered) HasSynced() bool { return r.c.synced.Load() }

// Whoever deletes what there is must have seen it: while a watch has not listed it, nobody may take it for nothing.
func TestAKindIsWatchedOnlyWhenItWasListed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gvk := corev1.SchemeGroupVersion.WithKind("ConfigMap")
		mapper := meta.NewDefaultRESTMapper([]schema.GroupVersion{gvk.GroupVersion()})
		mapper.Add(gvk, meta.RESTScopeNamespace)
		c := &slowCache{}
		l := New(c, mapper, "argocd", track.Method{})
		if known, err := l.Watch(t.Context(), gvk); known || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("before the list: %v, %v", known, err)
		}
		if known, err := l.Watch(t.Context(), gvk); known || err == nil {
			t.Errorf("the next one, before the list: %v, %v", known, err)
		}
		time.Sleep(watchRest) // of the bubble's clock: until then nobody waits for it again
		done := make(chan error, 2)
		for range 2 {
			go func() {
				known, err := l.Watch(t.Context(), gvk)
				if err == nil && !known {
					err = errors.New("it is not known")
				}
				done <- err
			}()
		}
		synctest.Wait()
		c.synced.Store(true)
		for range 2 {
			if err := <-done; err != nil {
				t.Errorf("after the list: %v", err)
			}
		}
		if n := c.begun.Load(); n != 1 {
			t.Errorf("%d watches", n)
		}
		if known, err := l.Watch(t.Context(), corev1.SchemeGroupVersion.WithKind("Nothing")); known || err != nil {
			t.Errorf("a kind that there is not: %v, %v", known, err)
		}
	})
}
