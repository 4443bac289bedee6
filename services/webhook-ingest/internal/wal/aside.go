package wal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// asideShare is the part of the budget, beside the log's own, that what was set aside
// may take.
const asideShare = 4

// SetAside keeps, beside the log, what can never go where it belongs, so that a person
// can look at it. The oldest make room for it. It returns where it is; the same name
// replaces what it named before.
func (l *Log) SetAside(name string, content []byte) (path string, err error) {
	l.asideMu.Lock()
	defer l.asideMu.Unlock()
	if err := os.MkdirAll(l.asideDir(), 0o700); err != nil {
		return "", fmt.Errorf("make the folder of what is set aside: %w", err)
	}
	budget := l.budget / asideShare
	if int64(len(content)) > budget {
		return "", fmt.Errorf("set %s aside: its %d bytes are over the %d that are kept: %w", name, len(content), budget, ErrFull)
	}
	l.makeRoom(budget - int64(len(content)))
	path = filepath.Join(l.asideDir(), name)
	if err := replace(path, content); err != nil {
		return "", fmt.Errorf("set %s aside: %w", name, err)
	}
	return path, nil
}

// replace writes a file so that it is either as before or complete on disk.
func replace(path string, content []byte) error {
	f, err := os.OpenFile(path+".part", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(path+".part", path)
}

// makeRoom removes the oldest until no more than so many bytes are left.
func (l *Log) makeRoom(most int64) {
	infos := l.asideInfos()
	total := int64(0)
	for _, info := range infos {
		total += info.Size()
	}
	for _, info := range infos {
		if total <= most {
			return
		}
		total -= info.Size()
		_ = os.Remove(filepath.Join(l.asideDir(), info.Name())) // else it takes room until a person removes it
	}
}

// Aside returns what was set aside, the oldest first.
func (l *Log) Aside() []string {
	l.asideMu.Lock()
	defer l.asideMu.Unlock()
	var out []string
	for _, info := range l.asideInfos() {
		if filepath.Ext(info.Name()) != ".part" {
			out = append(out, filepath.Join(l.asideDir(), info.Name()))
		}
	}
	return out
}

func (l *Log) asideInfos() []fs.FileInfo {
	entries, err := os.ReadDir(l.asideDir())
	if err != nil {
		return nil // nothing was ever set aside
	}
	var out []fs.FileInfo
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			out = append(out, info)
		}
	}
	slices.SortStableFunc(out, func(a, b fs.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	return out
}

func (l *Log) asideDir() string { return filepath.Join(filepath.Dir(l.file.Name()), "set-aside") }
