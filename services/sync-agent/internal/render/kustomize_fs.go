package render

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// mounted is the folder below which trees that were fetched appear to Kustomize.
const mounted = "/.argosy-fetched"

// buildFS is the file system of one build. It is only read; what is written over it is in memory.
type buildFS struct {
	job     *Job
	files   *files
	flags   buildFlags
	written map[string][]byte // by absolute path
	trees   []string          // those below mounted, by number
	byRef   map[Repository]int
	done    map[string]bool // kustomizations that have been made local
	problem error           // the first one that is ours
}

func newBuildFS(job *Job, f *files, flags buildFlags) *buildFS {
	return &buildFS{
		job: job, files: f, flags: flags, written: map[string][]byte{}, byRef: map[Repository]int{},
		done: map[string]bool{},
	}
}

// errReadOnly is what writing says.
var errReadOnly = errors.New("the sources cannot be written to")

// at tells which tree a path is in, and where.
func (b *buildFS) at(name string) (tree, in string) {
	name = path.Clean("/" + name)
	rest, ok := strings.CutPrefix(name, mounted+"/")
	if !ok {
		return "", strings.TrimPrefix(name, "/")
	}
	number, rest, _ := strings.Cut(rest, "/")
	if i, err := strconv.Atoi(number); err == nil && i >= 0 && i < len(b.trees) {
		return b.trees[i], rest
	}
	return "", strings.TrimPrefix(name, "/")
}

func (b *buildFS) fail(err error) error {
	if b.problem == nil {
		b.problem = err
	}
	return err
}

// ReadFile reads a file; kustomizations as they are once made local.
func (b *buildFS) ReadFile(name string) ([]byte, error) {
	name = path.Clean("/" + name)
	text, ok := b.written[name]
	if !ok {
		tree, in := b.at(name)
		var err error
		if text, ok, err = b.files.read(tree, in); err != nil {
			return nil, b.fail(err)
		}
		if !ok {
			return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrNotExist}
		}
	}
	if isKustomization(name) && !b.done[name] {
		b.done[name] = true
		local, err := b.local(name, text)
		if err != nil {
			return nil, b.fail(err)
		}
		b.written[name] = local
		return local, nil
	}
	return text, nil
}

func (b *buildFS) kind(name string) EntryKind {
	name = path.Clean("/" + name)
	if _, ok := b.written[name]; ok {
		return File
	}
	tree, in := b.at(name)
	kind, err := b.files.kind(tree, in)
	if err != nil {
		_ = b.fail(err) // Kustomize cannot be told here
	}
	return kind
}

// IsDir reports whether there is a folder.
func (b *buildFS) IsDir(name string) bool { return b.kind(name) == Folder }

// Exists reports whether there is anything.
func (b *buildFS) Exists(name string) bool { return b.kind(name) != Absent }

// CleanedAbs splits a path into a folder and a file.
func (b *buildFS) CleanedAbs(name string) (filesys.ConfirmedDir, string, error) {
	name = path.Clean("/" + name)
	switch b.kind(name) {
	case Folder:
		return filesys.ConfirmedDir(name), "", nil
	case File:
		return filesys.ConfirmedDir(path.Dir(name)), path.Base(name), nil
	case Absent, Link:
	}
	return "", "", fmt.Errorf("%q: there is no such file or directory", strings.TrimPrefix(name, "/"))
}

// ReadDir returns the names in a folder.
func (b *buildFS) ReadDir(name string) ([]string, error) {
	tree, in := b.at(name)
	names, ok, err := b.files.names(tree, in)
	if err != nil {
		return nil, b.fail(err)
	}
	if !ok {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrNotExist}
	}
	for i, n := range names {
		names[i] = strings.TrimSuffix(n, "/")
	}
	return names, nil
}

// Glob returns the paths that match a pattern.
func (b *buildFS) Glob(pattern string) ([]string, error) {
	clean := path.Clean("/" + pattern)
	base, _ := doublestar.SplitPattern(clean)
	tree, in := b.at(base)
	found, _, err := b.files.below(tree, in)
	if err != nil {
		return nil, b.fail(err)
	}
	var out []string
	for name := range found {
		full := path.Join(base, name)
		if ok, err := filepath.Match(clean, full); err != nil {
			return nil, err
		} else if ok {
			out = append(out, strings.TrimPrefix(full, strings.TrimSuffix(clean, strings.TrimPrefix(pattern, "/"))))
		}
	}
	slices.Sort(out)
	return out, nil
}

// Walk visits what is below a folder.
func (b *buildFS) Walk(name string, visit filepath.WalkFunc) error {
	tree, in := b.at(name)
	found, ok, err := b.files.below(tree, in)
	if err != nil {
		return b.fail(err)
	}
	if !ok {
		return visit(name, nil, fs.ErrNotExist)
	}
	all := map[string]entryInfo{".": {name: path.Base(name), dir: true}}
	for file, text := range found {
		all[file] = entryInfo{name: path.Base(file), size: len(text)}
		for dir := path.Dir(file); dir != "."; dir = path.Dir(dir) {
			all[dir] = entryInfo{name: path.Base(dir), dir: true}
		}
	}
	names := make([]string, 0, len(all))
	for file := range all {
		names = append(names, file)
	}
	slices.Sort(names)
	skip := ""
	for _, file := range names {
		if skip != "" && strings.HasPrefix(file, skip) {
			continue
		}
		err := visit(path.Join(name, file), all[file], nil)
		if errors.Is(err, filepath.SkipDir) {
			skip = file + "/"
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Open opens a file.
func (b *buildFS) Open(name string) (filesys.File, error) {
	text, err := b.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return &readFile{
		Reader: strings.NewReader(string(text)),
		info:   entryInfo{name: path.Base(name), size: len(text)},
	}, nil
}

// WriteFile is refused.
func (*buildFS) WriteFile(string, []byte) error { return errReadOnly }

// Create is refused.
func (*buildFS) Create(string) (filesys.File, error) { return nil, errReadOnly }

// Mkdir is refused.
func (*buildFS) Mkdir(string) error { return errReadOnly }

// MkdirAll is refused.
func (*buildFS) MkdirAll(string) error { return errReadOnly }

// RemoveAll is refused.
func (*buildFS) RemoveAll(string) error { return errReadOnly }

// readFile is a file that is open for reading.
type readFile struct {
	io.Reader

	info entryInfo
}

// Write is refused.
func (*readFile) Write([]byte) (int, error) { return 0, errReadOnly }

// Close does nothing.
func (*readFile) Close() error { return nil }

// Stat describes the file.
func (r *readFile) Stat() (fs.FileInfo, error) { return r.info, nil }
