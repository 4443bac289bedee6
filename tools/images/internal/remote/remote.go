// Package remote pushes images to registries and pulls bases from them.
package remote

import (
	"context"
	"fmt"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// Scratch is the base that is empty.
const Scratch = "scratch"

// Push pushes an image and returns its reference by digest.
func Push(ctx context.Context, image v1.Image, ref string, insecure bool) (string, error) {
	parsed, err := parse(ref, insecure)
	if err != nil {
		return "", err
	}
	if err := remote.Write(parsed, image, options(ctx)...); err != nil {
		return "", fmt.Errorf("push %s: %w", ref, err)
	}
	digest, err := image.Digest()
	if err != nil {
		return "", fmt.Errorf("digest of %s: %w", ref, err)
	}
	return parsed.Context().Digest(digest.String()).String(), nil
}

// Archive reads an archive that holds one image, whatever its tags.
func Archive(path string) (v1.Image, error) {
	manifest, err := tarball.LoadManifest(func() (readCloser, error) { return open(path) })
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if len(manifest) == 0 || len(manifest[0].RepoTags) == 0 {
		return tarball.ImageFromPath(path, nil)
	}
	tag, err := name.NewTag(manifest[0].RepoTags[0])
	if err != nil {
		return nil, fmt.Errorf("tag in %s: %w", path, err)
	}
	return tarball.ImageFromPath(path, &tag)
}

// Base pulls an image to build on.
func Base(ctx context.Context, ref string, insecure bool) (v1.Image, error) {
	if ref == Scratch {
		return empty.Image, nil
	}
	parsed, err := parse(ref, insecure)
	if err != nil {
		return nil, err
	}
	image, err := remote.Image(parsed, options(ctx)...)
	if err != nil {
		return nil, fmt.Errorf("pull base %s: %w", ref, err)
	}
	return image, nil
}

func parse(ref string, insecure bool) (name.Reference, error) {
	var options []name.Option
	if insecure {
		options = append(options, name.Insecure)
	}
	parsed, err := name.ParseReference(ref, options...)
	if err != nil {
		return nil, fmt.Errorf("reference %q: %w", ref, err)
	}
	return parsed, nil
}

func options(ctx context.Context) []remote.Option {
	return []remote.Option{remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)}
}
