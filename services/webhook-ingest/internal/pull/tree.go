package pull

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// treeMost is how large the memory of a watched tree may be to outlive a restart:
// it is one message of the bus.
const treeMost = 512 << 10

// treeData is the view of file, sftp and hdfs. Source: Argo Events, fsevent.Event.
type treeData struct {
	Name     string   `json:"name"`
	Op       string   `json:"op"`
	Metadata Metadata `json:"metadata,omitempty"`
}

// entry is what tells one version of a file from another.
type entry struct {
	Size int64  `json:"s"`
	Time int64  `json:"t"` // of its last change, in nanoseconds; 0 where the content is known
	Mode uint32 `json:"m"`
	// Content is a digest of what stands behind a link: a link may come to lead to another file with the same content.
	Content string `json:"c,omitempty"`
}

// treeState is what is remembered of a tree.
type treeState struct {
	// Round counts the changes that were told. It is part of their ids: a file that comes back as it was is news.
	Round int64            `json:"round"`
	Files map[string]entry `json:"files"`
}

// The operations on files, with the names that manifests use.
const (
	opCreate = "CREATE"
	opWrite  = "WRITE"
	opRemove = "REMOVE"
	opRename = "RENAME"
	opChmod  = "CHMOD"
)

// tree is a folder that is looked at again and again.
type tree struct {
	match    func(name string) bool
	op       string // empty means all
	metadata map[string]string
	every    time.Duration
	// list reads what is there now, by path.
	list func(ctx context.Context) (map[string]entry, error)
}

// matcher says which files of a folder are meant: path names one, pathRegexp some.
func matcher(c v1alpha1.WatchPathConfig) (func(string) bool, error) {
	if c.Directory == "" {
		return nil, fmt.Errorf("watchPathConfig.directory is empty")
	}
	if c.PathRegexp != "" {
		r, err := regexp.Compile(c.PathRegexp)
		if err != nil {
			return nil, fmt.Errorf("watchPathConfig.pathRegexp: %w", err)
		}
		return func(name string) bool { return r.MatchString(relative(c.Directory, name)) }, nil
	}
	if c.Path == "" {
		return nil, fmt.Errorf("one of watchPathConfig.path and pathRegexp is needed")
	}
	return func(name string) bool { return name == path.Join(c.Directory, c.Path) }, nil
}

func relative(folder, name string) string {
	return strings.TrimPrefix(strings.TrimPrefix(name, strings.TrimSuffix(folder, "/")), "/")
}

func (t tree) wants(name, op string) bool {
	return t.match(name) && (t.op == "" || strings.Contains(strings.ToUpper(t.op), op))
}

// run looks until ctx ends. What was seen is remembered, so that what changed while
// nobody looked is told later; the very first look tells nothing.
func (t tree) run(ctx context.Context, env Env, emit Emit) error {
	known, err := t.load(ctx, env)
	if err != nil {
		return err
	}
	if known.Files == nil {
		// Nothing is remembered, or too much to be saved: ids of earlier rounds must not come again.
		known.Round = time.Now().UnixNano()
	}
	for {
		now, err := t.list(ctx)
		if err != nil {
			return err
		}
		env.Up()
		if known.Files != nil {
			if err := t.tell(ctx, known, now, emit); err != nil {
				return err
			}
		}
		if !maps.Equal(known.Files, now) || known.Files == nil {
			// A kill right before tells the same changes again, in the same round.
			known = treeState{Round: known.Round + 1, Files: now}
			if err := t.save(ctx, env, known); err != nil {
				return err
			}
		}
		if !pause(ctx, t.every) {
			return nil
		}
	}
}

// tell emits the differences in the order of names.
func (t tree) tell(ctx context.Context, known treeState, now map[string]entry, emit Emit) error {
	names, before := map[string]bool{}, known.Files
	for name := range before {
		names[name] = true
	}
	for name := range now {
		names[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		was, existed := before[name]
		is, exists := now[name]
		op := ""
		switch {
		case !existed:
			op = opCreate
		case !exists:
			op, is = opRemove, was
		case was.Size != is.Size || was.Time != is.Time || was.Content != is.Content:
			op = opWrite
		case was.Mode != is.Mode:
			op = opChmod
		}
		if op == "" || !t.wants(name, op) {
			continue
		}
		id := Key("tree", name, op, is.Size, is.Time, is.Mode, is.Content, known.Round)
		if err := emit(ctx, id, treeData{Name: name, Op: op, Metadata: t.metadata}); err != nil {
			return err
		}
	}
	return nil
}

func (t tree) load(ctx context.Context, env Env) (treeState, error) {
	text, err := env.Positions.Load(ctx, env.Name())
	if err != nil || text == nil {
		return treeState{}, err
	}
	var state treeState
	if json.Unmarshal(text, &state) == nil && state.Files != nil {
		return state, nil
	}
	if json.Unmarshal(text, &state.Files) != nil { // as older versions wrote it
		return treeState{}, nil //nolint:nilerr // of another kind that had this name before
	}
	return state, nil
}

func (t tree) save(ctx context.Context, env Env, state treeState) error {
	if state.Files == nil {
		state.Files = map[string]entry{}
	}
	text, err := json.Marshal(state)
	if err != nil || len(text) > treeMost {
		return err
	}
	return env.Positions.Save(ctx, env.Name(), text)
}
