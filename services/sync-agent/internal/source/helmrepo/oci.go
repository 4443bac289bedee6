package helmrepo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/services/sync-agent/internal/render"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// chartLayer is the media type of a chart's archive.
const chartLayer = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"

// maxTags bounds the tags among which a version is looked for.
const maxTags = 50_000

// Artifact is what a registry holds under a tag or digest.
type Artifact struct {
	Digest  string // of the manifest
	Version string // the tag, or the digest
	Data    []byte // of its one layer
	Zipped  bool
}

// fetchOCI returns the archive of a chart from a registry.
func (c *Client) fetchOCI(
	ctx context.Context, repo, constraint string, since time.Time, a Access,
) ([]byte, string, error) {
	found, err := c.artifact(ctx, repo, constraint, since, a, func(l v1.Descriptor) bool {
		return string(l.MediaType) == chartLayer
	})
	if err != nil {
		return nil, "", fmt.Errorf("registry: %s: %w", repo, err)
	}
	return found.Data, strings.ReplaceAll(found.Version, "_", "+"), nil
}

// layers are the media types of artifacts that hold files. Source: Argo CD's default for OCI sources.
var layers = map[string]bool{
	"application/vnd.oci.image.layer.v1.tar":      true,
	"application/vnd.oci.image.layer.v1.tar+gzip": true,
	chartLayer: true,
}

// Artifact returns the files of an artifact that is no chart, as the archive of its one layer.
func (c *Client) Artifact(
	ctx context.Context, repo, revision string, since time.Time, a Access,
) (Artifact, error) {
	found, err := c.artifact(
		ctx,
		repo,
		revision,
		since,
		a,
		func(l v1.Descriptor) bool { return layers[string(l.MediaType)] },
	)
	if err != nil {
		return found, fmt.Errorf("registry: %s: %w", repo, err)
	}
	return found, nil
}

func (c *Client) artifact(
	ctx context.Context, repo, revision string, since time.Time, a Access, wanted func(v1.Descriptor) bool,
) (Artifact, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var options []name.Option
	if a.PlainHTTP {
		options = append(options, name.Insecure)
	}
	at, err := name.NewRepository(repo, options...)
	if err != nil {
		return Artifact{}, fmt.Errorf("%w; it is of the form oci://host/name", err)
	}
	asked := []remote.Option{
		remote.WithContext(ctx),
		remote.WithAuth(a.authenticator()),
		remote.WithTransport(a.transport()),
	}
	ref, version, err := c.reference(ctx, at, revision, since, a, asked)
	if err != nil {
		return Artifact{}, err
	}
	head, err := remote.Get(ref, asked...)
	if err != nil {
		return Artifact{}, classed(version, err)
	}
	image, err := head.Image()
	if err != nil {
		return Artifact{}, fmt.Errorf("%s: %w", version, err)
	}
	manifest, err := image.Manifest()
	if err != nil {
		return Artifact{}, fmt.Errorf("%s: %w", version, err)
	}
	layer, err := one(manifest.Layers, wanted)
	if err != nil {
		return Artifact{}, fmt.Errorf("%s: %w", version, err)
	}
	data, err := c.layer(at, layer, a, asked)
	return Artifact{
		Digest: head.Digest.String(), Version: version, Data: data,
		Zipped: strings.HasSuffix(string(layer.MediaType), "gzip"),
	}, err
}

// one is the layer that holds the files.
func one(all []v1.Descriptor, wanted func(v1.Descriptor) bool) (v1.Descriptor, error) {
	var found []v1.Descriptor
	for _, l := range all {
		if wanted(l) {
			found = append(found, l)
		}
	}
	if len(found) != 1 {
		return v1.Descriptor{}, fmt.Errorf("%d of its %d layers hold files; exactly one must", len(found), len(all))
	}
	if found[0].Size > maxChart {
		return v1.Descriptor{}, fmt.Errorf("%w: its layer is over %d bytes", render.ErrLimit, maxChart)
	}
	return found[0], nil
}

// layer fetches what a digest names, unless it is kept.
func (c *Client) layer(at name.Repository, l v1.Descriptor, a Access, asked []remote.Option) ([]byte, error) {
	key := strings.Join([]string{at.Name(), a.identity(), l.Digest.String()}, "\x00")
	if data, ok := c.store.get(key); ok {
		return data, nil
	}
	blob, err := remote.Layer(at.Digest(l.Digest.String()), asked...)
	if err != nil {
		return nil, classed(l.Digest.String(), err)
	}
	r, err := blob.Compressed() // as it is there, and judged by its digest
	if err != nil {
		return nil, classed(l.Digest.String(), err)
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, maxChart+1))
	if err != nil {
		return nil, classed(l.Digest.String(), err)
	}
	if len(data) > maxChart {
		return nil, fmt.Errorf("%w: a layer is over %d bytes", render.ErrLimit, maxChart)
	}
	c.store.put(key, data)
	return data, nil
}

// reference is the tag or digest of a revision: what is named, else the highest version among the tags.
func (c *Client) reference(
	ctx context.Context, at name.Repository, revision string, since time.Time, a Access, asked []remote.Option,
) (name.Reference, string, error) {
	if strings.HasPrefix(revision, "sha256:") {
		ref, err := name.NewDigest(at.Name() + "@" + revision)
		if err != nil {
			return nil, revision, err
		}
		return at.Digest(ref.DigestStr()), revision, nil
	}
	// In tags + cannot be written.
	plain := strings.ReplaceAll(revision, "+", "_")
	if _, err := name.NewTag(at.Name() + ":" + plain); err == nil && plain != "" && !strings.ContainsAny(plain, "xX*") {
		ref := at.Tag(plain)
		if _, err := remote.Head(ref, asked...); err == nil {
			return ref, plain, nil
		} else if !absent(err) {
			return nil, plain, classed(plain, err)
		}
	}
	tags, err := c.tags(ctx, at, since, a, asked)
	if err != nil {
		return nil, revision, err
	}
	chosen, err := choose(tags, strings.ReplaceAll(revision, "_", "+"))
	if err != nil {
		return nil, revision, err
	}
	tag := strings.ReplaceAll(chosen.Version, "+", "_")
	return at.Tag(tag), tag, nil
}

func (c *Client) tags(
	ctx context.Context, at name.Repository, since time.Time, a Access, asked []remote.Option,
) ([]render.ChartVersion, error) {
	key := "oci://" + at.Name() + "\x00" + a.identity()
	c.mu.Lock()
	known := c.indexes[key]
	c.mu.Unlock()
	if known.versions != nil && !known.at.Before(since) {
		return known.versions, nil
	}
	began := c.now()
	puller, err := remote.NewPuller(asked...)
	if err != nil {
		return nil, err
	}
	lister, err := puller.Lister(ctx, at)
	if err != nil {
		return nil, classed("tags", err)
	}
	versions := []render.ChartVersion{}
	for lister.HasNext() && len(versions) < maxTags {
		page, err := lister.Next(ctx)
		if err != nil {
			return nil, classed("tags", err)
		}
		for _, tag := range page.Tags {
			versions = append(versions, render.ChartVersion{Version: strings.ReplaceAll(tag, "_", "+")})
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.indexes) >= maxIndexes {
		clear(c.indexes)
	}
	c.indexes[key] = listed{versions: versions, at: began}
	return versions, nil
}

func (a Access) authenticator() authn.Authenticator {
	switch {
	case a.BearerToken != "":
		return &authn.Bearer{Token: a.BearerToken}
	case a.Password != "" || a.Username != "":
		return &authn.Basic{Username: a.Username, Password: a.Password}
	}
	return authn.Anonymous
}

func absent(err error) bool {
	t, ok := errors.AsType[*transport.Error](err)
	return ok && t.StatusCode == http.StatusNotFound
}

func classed(what string, err error) error {
	if absent(err) {
		return fmt.Errorf("%s: %w: %w", what, ErrNoVersion, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}
