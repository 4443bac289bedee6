package source

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/argosy-mesh/argosy/tools/images/internal/rootfs"
)

// Context is a checkout to build from. What a commit can hold is not trusted:
// no file outside of the directory is read, and not more than MaxBytes.
type Context struct {
	Dir      string
	MaxBytes int64
}

// errTooLarge is returned when the files to copy exceed the context's limit.
var errTooLarge = errors.New("the files to copy exceed --max-context-bytes")

// Build applies the instructions to a base. FROM is not looked at: the caller
// has pulled it.
func (c Context) Build(base v1.Image, instructions []Instruction) (v1.Image, error) {
	root, err := os.OpenRoot(c.Dir)
	if err != nil {
		return nil, fmt.Errorf("open context: %w", err)
	}
	defer root.Close()
	old, err := base.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("read base: %w", err)
	}
	config := old.Config.DeepCopy()
	left := c.MaxBytes
	image := base
	for _, i := range instructions {
		if i.Name != "COPY" {
			configure(config, i)
			continue
		}
		layer, err := copyLayer(root, i, config.WorkingDir, &left)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i.Line, err)
		}
		if image, err = mutate.AppendLayers(image, layer); err != nil {
			return nil, fmt.Errorf("line %d: append layer: %w", i.Line, err)
		}
	}
	return mutate.Config(image, *config)
}

// configure applies an instruction that only changes the configuration.
func configure(config *v1.Config, i Instruction) {
	switch i.Name {
	case "WORKDIR":
		config.WorkingDir = absolute(config.WorkingDir, i.Args[0])
	case "ENTRYPOINT":
		config.Entrypoint, config.Cmd = i.Args, nil
	case "CMD":
		config.Cmd = i.Args
	case "USER":
		config.User = i.Args[0]
	case "ENV":
		for name, value := range pairs(i.Args) {
			config.Env = setEnv(config.Env, name, value)
		}
	case "LABEL":
		if config.Labels == nil {
			config.Labels = map[string]string{}
		}
		maps.Insert(config.Labels, pairs(i.Args))
	case "EXPOSE":
		if config.ExposedPorts == nil {
			config.ExposedPorts = map[string]struct{}{}
		}
		for _, port := range i.Args {
			if !strings.Contains(port, "/") {
				port += "/tcp"
			}
			config.ExposedPorts[port] = struct{}{}
		}
	}
}

// pairs yields name=value arguments, or the old form "name value" once.
func pairs(args []string) func(func(string, string) bool) {
	return func(yield func(string, string) bool) {
		if !strings.Contains(args[0], "=") {
			yield(args[0], strings.Join(args[1:], " "))
			return
		}
		for _, arg := range args {
			if name, value, _ := strings.Cut(arg, "="); !yield(name, value) {
				return
			}
		}
	}
}

func setEnv(env []string, name, value string) []string {
	for i, old := range env {
		if strings.HasPrefix(old, name+"=") {
			env[i] = name + "=" + value
			return env
		}
	}
	return append(env, name+"="+value)
}

func absolute(workdir, target string) string {
	if path.IsAbs(target) {
		return path.Clean(target)
	}
	return path.Join("/", workdir, target)
}

// copyLayer stages what a COPY names and packs it.
func copyLayer(root *os.Root, i Instruction, workdir string, left *int64) (v1.Layer, error) {
	stage, err := os.MkdirTemp("", "copy-")
	if err != nil {
		return nil, fmt.Errorf("make stage: %w", err)
	}
	defer os.RemoveAll(stage)
	sources, destination := i.Args[:len(i.Args)-1], i.Args[len(i.Args)-1]
	into := strings.HasSuffix(destination, "/") || destination == "." || len(sources) > 1
	for _, source := range sources {
		matches, err := fs.Glob(root.FS(), path.Clean(strings.TrimPrefix(source, "/")))
		if err != nil {
			return nil, fmt.Errorf("pattern %q: %w", source, err)
		}
		if len(matches) == 0 {
			return nil, fmt.Errorf("COPY %s: no such file in the context", source)
		}
		for _, match := range matches {
			target := absolute(workdir, destination)
			info, err := root.Stat(match)
			if err != nil {
				return nil, fmt.Errorf("COPY %s: %w", source, err)
			}
			if !info.IsDir() && (into || len(matches) > 1) {
				target = path.Join(target, path.Base(match))
			}
			if err := stageTree(root, match, filepath.Join(stage, target), left); err != nil {
				return nil, fmt.Errorf("COPY %s: %w", source, err)
			}
		}
	}
	return rootfs.Layer(stage, "")
}

// stageTree copies a file or directory out of the context. os.Root refuses
// every path and link that leaves it; links that stay are kept as links.
func stageTree(root *os.Root, from, to string, left *int64) error {
	return fs.WalkDir(root.FS(), from, func(at string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && entry.Name() == ".git" {
			return fs.SkipDir
		}
		inside := strings.TrimPrefix(strings.TrimPrefix(at, from), "/")
		if from == "." {
			inside = at
		}
		return stageEntry(root, at, filepath.Join(to, inside), entry, left)
	})
}

func stageEntry(root *os.Root, at, target string, entry fs.DirEntry, left *int64) error {
	switch {
	case entry.IsDir():
		return os.MkdirAll(target, 0o755)
	case entry.Type()&fs.ModeSymlink != 0:
		if _, err := root.Stat(at); err != nil {
			return fmt.Errorf("link %s leaves the context or leads nowhere: %w", at, err)
		}
		link, err := root.Readlink(at)
		if err != nil {
			return err
		}
		return errors.Join(os.MkdirAll(filepath.Dir(target), 0o755), os.Symlink(link, target))
	case !entry.Type().IsRegular():
		return fmt.Errorf("%s is no file, directory or link", at)
	}
	return stageFile(root, at, target, left)
}

func stageFile(root *os.Root, at, target string, left *int64) error {
	source, err := root.Open(at)
	if err != nil {
		return err
	}
	defer source.Close()
	info, err := source.Stat()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	// Git keeps one bit of the mode; the rest depends on the umask of who checked out.
	mode := fs.FileMode(0o644)
	if info.Mode()&0o100 != 0 {
		mode = 0o755
	}
	file, err := os.OpenFile(target, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	n, err := io.Copy(file, io.LimitReader(source, *left+1))
	if *left -= n; *left < 0 {
		err = errTooLarge
	}
	return errors.Join(err, file.Close())
}
