package render

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/sync/singleflight"
)

// listedEntries bounds the entries of trees that are remembered together: about 10 MB.
const listedEntries = 60_000

// listings remembers what is in the trees that were asked for last.
type listings struct {
	flight singleflight.Group

	mu    sync.Mutex
	used  int
	slots *simplelru.LRU[string, Listing]
}

func newListings() *listings {
	l := &listings{}
	// Of positive sizes it does not fail.
	l.slots, _ = simplelru.NewLRU(1<<16, func(_ string, list Listing) { l.used -= len(list) })
	return l
}

// list is what is below a tree; the tree itself has the path "".
func (l *listings) list(ctx context.Context, tree Tree, root string) (Listing, error) {
	l.mu.Lock()
	found, ok := l.slots.Get(root)
	l.mu.Unlock()
	if ok {
		return found, nil
	}
	listed := l.flight.DoChan(root, func() (any, error) {
		list, err := tree.List(context.WithoutCancel(ctx), root)
		if err != nil {
			return nil, err
		}
		list = maps.Clone(list)
		list[""] = Entry{ID: root, Kind: Folder}
		l.put(root, list)
		return list, nil
	})
	select {
	case r := <-listed:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(Listing), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *listings) put(root string, list Listing) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.slots.Remove(root) // or its size would stay
	l.slots.Add(root, list)
	for l.used += len(list); l.used > listedEntries && l.slots.Len() > 1; {
		l.slots.RemoveOldest()
	}
}

func sortedKeys[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }
