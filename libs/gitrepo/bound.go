package gitrepo

import (
	"errors"
	"os"
	"sync/atomic"

	"github.com/go-git/go-billy/v5"
)

// What a limit says.
var (
	errBytes = errors.New("the repository is larger than may be fetched")
	errFiles = errors.New("the repository has more files than may be fetched")
)

// bounded is a file system that takes so many bytes and files and no more, whoever writes: a transport, an index, or a
// checkout that unfolds.
type bounded struct {
	billy.Filesystem

	bytes, files *atomic.Int64
}

func bound(inner billy.Filesystem, l Limits) bounded {
	b := bounded{Filesystem: inner, bytes: &atomic.Int64{}, files: &atomic.Int64{}}
	b.bytes.Store(l.Bytes)
	b.files.Store(l.Files)
	return b
}

func (b bounded) file(f billy.File, err error) (billy.File, error) {
	if err != nil {
		return nil, err
	}
	return boundedFile{File: f, bytes: b.bytes}, nil
}

// one counts one more entry.
func (b bounded) one() error {
	if b.files.Add(-1) < 0 {
		return errFiles
	}
	return nil
}

// Create makes a file.
func (b bounded) Create(name string) (billy.File, error) {
	if err := b.one(); err != nil {
		return nil, err
	}
	return b.file(b.Filesystem.Create(name))
}

// OpenFile opens or makes a file.
func (b bounded) OpenFile(name string, flag int, perm os.FileMode) (billy.File, error) {
	if flag&os.O_CREATE != 0 {
		if err := b.one(); err != nil {
			return nil, err
		}
	}
	return b.file(b.Filesystem.OpenFile(name, flag, perm))
}

// TempFile makes a file of a new name.
func (b bounded) TempFile(dir, prefix string) (billy.File, error) {
	if err := b.one(); err != nil {
		return nil, err
	}
	return b.file(b.Filesystem.TempFile(dir, prefix))
}

// Symlink makes a link.
func (b bounded) Symlink(target, link string) error {
	if err := b.one(); err != nil {
		return err
	}
	return b.Filesystem.Symlink(target, link)
}

// MkdirAll makes a folder.
func (b bounded) MkdirAll(name string, perm os.FileMode) error {
	if err := b.one(); err != nil {
		return err
	}
	return b.Filesystem.MkdirAll(name, perm)
}

// Chroot is a folder of the file system, with the same bounds.
func (b bounded) Chroot(path string) (billy.Filesystem, error) {
	inner, err := b.Filesystem.Chroot(path)
	if err != nil {
		return nil, err
	}
	return bounded{Filesystem: inner, bytes: b.bytes, files: b.files}, nil
}

// boundedFile counts what is written.
type boundedFile struct {
	billy.File

	bytes *atomic.Int64
}

// Write appends p.
func (f boundedFile) Write(p []byte) (int, error) {
	if f.bytes.Add(-int64(len(p))) < 0 {
		return 0, errBytes
	}
	return f.File.Write(p)
}
