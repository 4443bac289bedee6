package git

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// upkeepEvery is how often mirrors are looked after.
	upkeepEvery = 10 * time.Minute
	// manyPacks is how many packs a mirror may have: each fetch adds one, and every look at an object asks all.
	manyPacks = 50
	// restless is how long a mirror that was used is not removed: whoever has it may be at work in it.
	restless = 10 * time.Minute
	// trash begins the names of mirrors that are being removed; a process that ended meanwhile leaves them.
	trash = "removed-"
)

// Upkeep keeps mirrors small and few: what is of no use any more leaves them, and those that were not used for longest
// go when all together are over the quota.
type Upkeep struct {
	Quota int64 // bytes of all mirrors; 0 is no bound
	Log   *slog.Logger

	store   *Store
	bytes   prometheus.Gauge
	removed prometheus.Counter
}

// NewUpkeep looks after the mirrors of a store. Its metrics are in r.
func NewUpkeep(s *Store, quota int64, log *slog.Logger, r prometheus.Registerer) *Upkeep {
	u := &Upkeep{
		Quota: quota, Log: log, store: s,
		bytes: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "argosy_sync_mirrors_bytes", Help: "Disk that mirrors of Git repositories take.",
		}),
		removed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "argosy_sync_mirrors_removed_total", Help: "Mirrors that were removed for the quota.",
		}),
	}
	r.MustRegister(u.bytes, u.removed)
	return u
}

// Run looks after the mirrors until ctx ends.
func (u *Upkeep) Run(ctx context.Context) error {
	for {
		if err := u.Once(ctx); err != nil && ctx.Err() == nil {
			u.Log.WarnContext(ctx, "upkeep of mirrors", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(upkeepEvery):
		}
	}
}

// Once looks after all mirrors once. One that cannot be looked after keeps no other from it.
func (u *Upkeep) Once(ctx context.Context) error {
	var errs []error
	for _, m := range u.store.mirrors() {
		if err := m.compact(ctx); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, u.shrink(ctx))...)
}

func (s *Store) mirrors() []*Mirror {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*Mirror
	for _, m := range s.all {
		out = append(out, m)
	}
	return out
}

// compact makes one pack of many, and drops what no ref has reached for two hours: what an operation at work is of may
// be left by its branch.
func (m *Mirror) compact(ctx context.Context) error {
	packs, err := filepath.Glob(filepath.Join(m.dir, "objects/pack/*.pack"))
	if err != nil || len(packs) <= manyPacks {
		return err
	}
	if _, err := m.run(ctx, nil, nil, "gc", "--quiet", "--prune=2.hours.ago"); err != nil {
		return fmt.Errorf("compact the mirror of %s: %w", redact(m.url), err)
	}
	return nil
}

// folder is a mirror on disk.
type folder struct {
	id   string
	size int64
	used time.Time
}

// shrink removes mirrors until all together are within the quota.
func (u *Upkeep) shrink(ctx context.Context) error {
	folders, total, err := u.folders()
	if err != nil {
		return err
	}
	defer func() { u.bytes.Set(float64(total)) }()
	if u.Quota <= 0 {
		return nil
	}
	slices.SortFunc(folders, func(a, b folder) int { return cmp.Compare(a.used.UnixNano(), b.used.UnixNano()) })
	for _, f := range folders {
		if total <= u.Quota {
			return nil
		}
		if u.store.now().Sub(f.used) < restless {
			return fmt.Errorf(
				"mirrors take %d bytes, over the quota of %d, and all of them are in use; raise --mirror-quota", total, u.Quota,
			)
		}
		if err := u.store.remove(f.id); err != nil {
			return err
		}
		u.removed.Inc()
		u.Log.InfoContext(ctx, "a mirror is removed for the quota", "folder", f.id, "bytes", f.size)
		total -= f.size
	}
	return nil
}

// folders measures all mirrors, those of earlier processes included, and takes away what was being removed.
func (u *Upkeep) folders() (out []folder, total int64, err error) {
	entries, err := os.ReadDir(u.store.dir)
	if err != nil {
		return nil, 0, fmt.Errorf("list mirrors: %w", err)
	}
	used := map[string]time.Time{}
	u.store.mu.Lock()
	for id, m := range u.store.all {
		used[id] = m.used
	}
	u.store.mu.Unlock()
	for _, e := range entries {
		path := filepath.Join(u.store.dir, e.Name())
		if strings.HasPrefix(e.Name(), trash) {
			if err := os.RemoveAll(path); err != nil {
				return nil, 0, fmt.Errorf("remove a mirror: %w", err)
			}
			continue
		}
		f := folder{id: e.Name(), used: used[e.Name()]}
		err := filepath.WalkDir(path, func(_ string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // git writes and removes files all the time
			}
			if err != nil || d.IsDir() {
				return err
			}
			info, err := d.Info()
			if err == nil {
				f.size += info.Size()
			}
			return nil
		})
		if err != nil {
			return nil, 0, fmt.Errorf("measure mirror %s: %w", e.Name(), err)
		}
		out, total = append(out, f), total+f.size
	}
	return out, total, nil
}

// remove takes a mirror away: who wants it next makes it anew.
func (s *Store) remove(id string) error {
	s.mu.Lock()
	m := s.all[id]
	if m != nil && s.now().Sub(m.used) < restless {
		s.mu.Unlock()
		return nil // somebody came meanwhile
	}
	delete(s.all, id)
	gone := filepath.Join(s.dir, trash+id)
	err := os.Rename(filepath.Join(s.dir, id), gone)
	s.mu.Unlock()
	if m != nil {
		m.objects.end()
	}
	if err == nil {
		err = os.RemoveAll(gone)
	}
	if err != nil {
		return fmt.Errorf("remove mirror %s: %w", id, err)
	}
	return nil
}
