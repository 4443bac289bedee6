package pull

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
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
		t := tree{match: match, op: c.EventType, metadata: c.Metadata, every: pollFiles, list: func(context.Context) (map[string]entry, error) {
			return listFiles(c.WatchPathConfig.Directory)
		}}
		if c.Polling {
			return t.run(ctx, env, emit)
		}
		return t.notified(ctx, env, emit, c.WatchPathConfig.Directory)
	}}
}

func listFiles(folder string) (map[string]entry, error) {
	out := map[string]entry{}
	err := filepath.WalkDir(folder, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) || name == folder {
			return nil // gone since it was listed
		}
		if err != nil {
			return err
		}
		out[name] = entry{Size: info.Size(), Time: info.ModTime().UnixNano(), Mode: uint32(info.Mode())}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read folder %s: %w", folder, err)
	}
	return out, nil
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
	env.Up()
	for {
		select {
		case <-ctx.Done():
			return nil
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
				id := Key("file", env.Name(), e.Name, op, time.Now().UnixNano())
				if err := emit(ctx, id, treeData{Name: e.Name, Op: op, Metadata: t.metadata}); err != nil {
					return err
				}
			}
		}
	}
}
