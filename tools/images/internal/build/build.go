// Package build makes image archives from recipes. An archive is made again
// only when what goes into it has changed.
package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/argosy-mesh/argosy/tools/images/internal/debian"
	"github.com/argosy-mesh/argosy/tools/images/internal/recipe"
	"github.com/argosy-mesh/argosy/tools/images/internal/rootfs"
)

// revision is part of every key: raise it when the same recipe has to give
// another image.
const revision = "2"

// Builder makes archives in Out.
type Builder struct {
	Out      string
	Cache    string // downloaded packages
	Progress io.Writer
}

// Build makes the archive of an image unless it is there already, and returns
// its path.
func (b Builder) Build(ctx context.Context, image recipe.Image) (string, error) {
	archive := filepath.Join(b.Out, image.Name+".tar")
	key, err := key(image)
	if err != nil {
		return "", fmt.Errorf("image %s: %w", image.Name, err)
	}
	keyFile := filepath.Join(b.Out, "."+image.Name+".key")
	if old, err := os.ReadFile(keyFile); err == nil && string(old) == key {
		if _, err := os.Stat(archive); err == nil {
			return archive, nil
		}
	}
	if err := os.MkdirAll(b.Out, 0o755); err != nil {
		return "", fmt.Errorf("make output directory: %w", err)
	}
	built, err := b.image(ctx, image)
	if err != nil {
		return "", fmt.Errorf("image %s: %w", image.Name, err)
	}
	if err := save(archive, image.Tags, built); err != nil {
		return "", fmt.Errorf("image %s: %w", image.Name, err)
	}
	fmt.Fprintf(b.Progress, "%s: built %v\n", archive, image.Tags)
	return archive, os.WriteFile(keyFile, []byte(key), 0o644)
}

// key is a hash of all that goes into an image. Package versions are not in
// it: they follow the package cache.
func key(image recipe.Image) (string, error) {
	sum := sha256.New()
	encoded, err := json.Marshal(image)
	if err != nil {
		return "", fmt.Errorf("encode recipe: %w", err)
	}
	fmt.Fprintf(sum, "%s\n%s\n", revision, encoded)
	for _, path := range slices.Sorted(maps.Keys(image.Binaries)) {
		file, err := os.Open(path)
		if err != nil {
			return "", fmt.Errorf("open binary (build it first): %w", err)
		}
		_, err = io.Copy(sum, file)
		if err := errors.Join(err, file.Close()); err != nil {
			return "", fmt.Errorf("read binary: %w", err)
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

func (b Builder) image(ctx context.Context, image recipe.Image) (v1.Image, error) {
	root, err := os.MkdirTemp("", "image-")
	if err != nil {
		return nil, fmt.Errorf("make root: %w", err)
	}
	defer os.RemoveAll(root)
	if len(image.Packages) > 0 {
		closure, err := debian.Closure(ctx, image.Packages, image.Without)
		if err != nil {
			return nil, err
		}
		if err := debian.Unpack(ctx, closure, b.Cache, root); err != nil {
			return nil, err
		}
	}
	if err := furnish(root, image); err != nil {
		return nil, err
	}
	if image.Applets {
		if err := applets(ctx, root); err != nil {
			return nil, err
		}
	}
	layer, err := rootfs.Layer(root, "")
	if err != nil {
		return nil, err
	}
	return Assemble(empty.Image, image, layer)
}

// Assemble puts layers and the recipe's configuration onto a base.
func Assemble(base v1.Image, image recipe.Image, layers ...v1.Layer) (v1.Image, error) {
	withLayers, err := mutate.AppendLayers(base, layers...)
	if err != nil {
		return nil, fmt.Errorf("append layers: %w", err)
	}
	old, err := withLayers.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	config := old.DeepCopy()
	config.OS, config.Architecture = "linux", architecture
	config.Config.Entrypoint, config.Config.Cmd = image.Entrypoint, image.Cmd
	config.Config.User, config.Config.WorkingDir = image.User, image.WorkingDir
	env := map[string]string{"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	maps.Copy(env, image.Env)
	for _, name := range slices.Sorted(maps.Keys(env)) {
		config.Config.Env = append(config.Config.Env, name+"="+env[name])
	}
	for _, port := range image.Ports {
		if config.Config.ExposedPorts == nil {
			config.Config.ExposedPorts = map[string]struct{}{}
		}
		config.Config.ExposedPorts[port] = struct{}{}
	}
	return mutate.ConfigFile(withLayers, config)
}

func save(path string, tags []string, image v1.Image) error {
	images := make(map[name.Tag]v1.Image, len(tags))
	for _, tag := range tags {
		parsed, err := name.NewTag(tag)
		if err != nil {
			return fmt.Errorf("tag %q: %w", tag, err)
		}
		images[parsed] = image
	}
	next := path + ".next"
	if err := tarball.MultiWriteToFile(next, images); err != nil {
		return fmt.Errorf("write archive: %w", err)
	}
	return os.Rename(next, path)
}

// inRoot is a path of the image on this machine. Links that packages bring,
// such as /bin -> usr/bin, are relative and stay inside.
func inRoot(root, path string) (string, error) {
	target := filepath.Join(root, filepath.Join("/", path))
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return "", fmt.Errorf("make directory: %w", err)
	}
	if err := os.Remove(target); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("replace %s: %w", path, err)
	}
	return target, nil
}
