package helmrepo

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// store keeps archives on disk, up to a budget of bytes; those that were not read longest go first. It may be lost.
type store struct {
	dir    string
	budget int64

	mu sync.Mutex
}

func newStore(dir string, budget int64) (*store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open the folder of charts: %w", err)
	}
	return &store{dir: dir, budget: budget}, nil
}

func (s *store) path(key string) string {
	sum := sha256.Sum256([]byte(key))
	return filepath.Join(s.dir, hex.EncodeToString(sum[:]))
}

// get returns what is kept whole: an archive carries its own digest in front.
func (s *store) get(key string) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text, err := os.ReadFile(s.path(key))
	if err != nil || len(text) < sha256.Size {
		return nil, false
	}
	data := text[sha256.Size:]
	if sum := sha256.Sum256(data); string(sum[:]) != string(text[:sha256.Size]) {
		return nil, false // it was cut
	}
	now := time.Now()
	_ = os.Chtimes(s.path(key), now, now) // at worst it goes sooner
	return data, true
}

// put keeps an archive. What cannot be kept is fetched again.
func (s *store) put(key string, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sum := sha256.Sum256(data)
	_ = os.WriteFile(s.path(key), append(sum[:], data...), 0o600)
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return
	}
	var all []os.FileInfo
	total := int64(0)
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			all = append(all, info)
			total += info.Size()
		}
	}
	slices.SortFunc(all, func(a, b os.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	for _, info := range all {
		if total <= s.budget {
			return
		}
		if os.Remove(filepath.Join(s.dir, info.Name())) == nil {
			total -= info.Size()
		}
	}
}
