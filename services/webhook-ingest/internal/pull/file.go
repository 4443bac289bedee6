package pull

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/fsnotify/fsnotify"
)

// pollFiles is how often a folder is read whose file system tells nothing.
const pollFiles = time.Second

// file watches a folder of the pod.
func file(c v1alpha1.FileEventSource) Reader {
	return Reader{Filter: c.Filter, Run: func(ctx context.Context, env Env, emit Emit) error {
		match, err := matcher(c.WatchPathConfig)
		if err != nil {
			return err
		}
		t := tree{
			match:    match,
			op:       c.EventType,
			metadata: c.Metadata,
			every:    pollFiles,
			list: func(context.Context) (map[string]entry, error) {
				return listFiles(c.WatchPathConfig.Directory)
			},
		}
		if c.Polling {
			return t.run(ctx, env, emit)
		}
		return t.notified(ctx, env, emit, c.WatchPathConfig.Directory)
	}}
}

func listFiles(folder string) (map[string]entry, error) {
	out := map[string]entry{}
	// With a slash behind it, a folder that is a link is looked into.
	root := strings.TrimSuffix(folder, "/") + "/"
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if name == root {
			return err
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil // gone since it was listed
		}
		if err != nil {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		out[name] = entryAt(name, info)
		if d.IsDir() && strings.HasPrefix(d.Name(), "..") {
			return fs.SkipDir // what a volume of Kubernetes keeps its versions in; links lead there
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read folder %s: %w", folder, err)
	}
	return out, nil
}

// linkMost is how much is read behind a link to tell whether the content is another one.
const linkMost = 1 << 20

// entryAt is the entry of a file, or of what stands behind a link to one.
func entryAt(name string, info fs.FileInfo) entry {
	if info.Mode()&fs.ModeSymlink == 0 {
		return entryOf(info)
	}
	behind, err := os.Stat(name)
	if err != nil || !behind.Mode().IsRegular() {
		return entryOf(info) // it leads nowhere, or to a folder: only the link itself is known
	}
	e := entryOf(behind)
	if behind.Size() > linkMost {
		return e
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return e
	}
	e.Time, e.Content = 0, Key(text)
	return e
}

// links are the entries of the links in a folder that lead to files.
func links(folder string) map[string]entry {
	out := map[string]entry{}
	list, err := os.ReadDir(folder)
	if err != nil {
		return out // whoever watches the folder hears of that
	}
	for _, d := range list {
		name := filepath.Join(folder, d.Name())
		if d.Type()&fs.ModeSymlink == 0 {
			continue
		}
		if behind, err := os.Stat(name); err != nil || !behind.Mode().IsRegular() {
			continue
		}
		if info, err := d.Info(); err == nil {
			out[name] = entryAt(name, info)
		}
	}
	return out
}

// notified is told of changes by the kernel. It tells once, so nothing is known of
// what happened while nobody listened.
func (t tree) notified(ctx context.Context, env Env, emit Emit, folder string) error {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch %s: %w", folder, err)
	}
	defer func() { _ = w.Close() }()
	if err := w.Add(folder); err != nil {
		return fmt.Errorf("watch %s: %w", folder, err)
	}
	behind := links(folder)
	look := time.NewTicker(pollFiles)
	defer look.Stop()
	env.Up()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
			// The kernel does not tell of what changes behind links.
			if behind, err = t.followed(ctx, env, emit, behind, folder); err != nil {
				return err
			}
		case err := <-w.Errors:
			return fmt.Errorf("watch %s: %w", folder, err)
		case e, open := <-w.Events:
			if !open {
				return fmt.Errorf("watch %s: it ended", folder)
			}
			if e.Name == folder && e.Has(fsnotify.Remove) {
				return fmt.Errorf("watch %s: the folder is gone", folder)
			}
			for op := range strings.SplitSeq(e.Op.String(), "|") {
				if !t.wants(e.Name, op) {
					continue
				}
				if err := t.now(ctx, env, emit, e.Name, op); err != nil {
					return err
				}
			}
		}
	}
}

// now tells of what happened just now.
func (t tree) now(ctx context.Context, env Env, emit Emit, name, op string) error {
	id := Key("file", env.Name(), name, op, time.Now().UnixNano())
	return emit(ctx, id, treeData{Name: name, Op: op, Metadata: t.metadata})
}

// followed tells which files changed behind links that were there before, and returns
// how they are now.
func (t tree) followed(
	ctx context.Context, env Env, emit Emit, before map[string]entry, folder string,
) (map[string]entry, error) {
	now := links(folder)
	for _, name := range slices.Sorted(maps.Keys(now)) {
		was, known := before[name]
		is := now[name]
		if !known || !t.wants(name, opWrite) ||
			was.Size == is.Size && was.Time == is.Time && was.Content == is.Content {
			continue
		}
		if err := t.now(ctx, env, emit, name, opWrite); err != nil {
			return before, err
		}
	}
	return now, nil
}
