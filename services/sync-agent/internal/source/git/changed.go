package git

import (
	"context"
	"fmt"
	"strings"

	lru "github.com/hashicorp/golang-lru/v2"
)

// Bounds of what is remembered of differences between commits.
const (
	keptChanges = 64
	maxChanged  = 20_000
)

// changes remembers what lies between pairs of commits: a push concerns many applications of one repository.
type changes struct {
	known *lru.Cache[[2]string, []string]
}

func newChanges() changes {
	known, err := lru.New[[2]string, []string](keptChanges)
	if err != nil {
		panic(err) // only for a size under one
	}
	return changes{known: known}
}

// Changed returns the paths that differ between two commits that are in the mirror; ok is false when there are too many
// to tell.
func (m *Mirror) Changed(ctx context.Context, from, to string) (paths []string, ok bool, err error) {
	if from == to {
		return nil, true, nil
	}
	key := [2]string{from, to}
	if paths, is := m.changes.known.Get(key); is {
		return paths, paths != nil, nil
	}
	if !isSHA(from) || !isSHA(to) {
		return nil, false, nil
	}
	out, err := m.run(ctx, nil, nil, "diff-tree", "-r", "-z", "--name-only", "--no-renames", from, to)
	if err != nil {
		return nil, false, fmt.Errorf("compare %s with %s: %w", from, to, err)
	}
	paths = []string{}
	for path := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		if path != "" {
			paths = append(paths, path)
		}
		if len(paths) > maxChanged {
			paths = nil
			break
		}
	}
	m.changes.known.Add(key, paths)
	return paths, paths != nil, nil
}
