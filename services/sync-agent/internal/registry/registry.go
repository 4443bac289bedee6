// Package registry asks container registries about images.
package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// timeout bounds each question.
const timeout = 10 * time.Second

// ErrAbsent is wrapped when the registry does not have an image.
var ErrAbsent = errors.New("the registry does not have the image")

// Client asks registries. Safe for concurrent use.
type Client struct {
	insecure []string
}

// New makes a client; the insecure hosts, comma separated, speak plain HTTP.
func New(insecure string) *Client {
	c := &Client{}
	for host := range strings.SplitSeq(insecure, ",") {
		if host = strings.TrimSpace(host); host != "" {
			c.insecure = append(c.insecure, host)
		}
	}
	return c
}

// Image is what is known about one image.
type Image struct {
	Digest      string
	Annotations map[string]string // of the manifest
	Created     time.Time         // zero when unknown or reproducible
	Platforms   []string          // os/architecture[/variant]; none when it does not say
}

// Access opens a registry; the zero value is for what everybody may read.
type Access struct {
	Username, Password string
}

func (a Access) option() remote.Option {
	if a == (Access{}) {
		return remote.WithAuth(authn.Anonymous)
	}
	return remote.WithAuth(&authn.Basic{Username: a.Username, Password: a.Password})
}

// Reference is how a tag of a repository is written. The parts come from whoever sent an event: what has other
// characters than names have, and so would ask for another path, is an error of class poison.
func Reference(host, repository, tag string) (string, error) {
	for _, part := range [][2]string{{"registry", host}, {"repository", repository}, {"tag", tag}} {
		if part[1] == "" || strings.ContainsAny(part[1], "@?#%\\ \t\n") ||
			slices.Contains(strings.Split(part[1], "/"), "..") {
			return "", fault.Poisonf("image %s/%s:%s: %s %q is no name", host, repository, tag, part[0], part[1])
		}
	}
	if strings.ContainsAny(host, "/") || strings.ContainsAny(tag, "/:") || strings.Contains(repository, ":") {
		return "", fault.Poisonf("image %s/%s:%s: a part holds what separates parts", host, repository, tag)
	}
	return host + "/" + repository + ":" + tag, nil
}

// Look reads the manifest behind a reference such as registry/repository:tag, and
// when the image was built.
func (c *Client) Look(ctx context.Context, reference string, access Access) (Image, error) {
	ref, err := c.parse(reference)
	if err != nil {
		return Image{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	d, err := remote.Get(ref, remote.WithContext(ctx), access.option())
	if err != nil {
		return Image{}, classed(reference, err)
	}
	var manifest struct {
		Annotations map[string]string `json:"annotations"`
	}
	if err := json.Unmarshal(d.Manifest, &manifest); err != nil {
		return Image{}, fmt.Errorf("manifest of %s: %w", reference, err)
	}
	made, platforms := built(d)
	return Image{
		Digest: d.Digest.String(), Annotations: manifest.Annotations, Created: made, Platforms: platforms,
	}, nil
}

func (c *Client) parse(reference string) (name.Reference, error) {
	host, _, _ := strings.Cut(reference, "/")
	var options []name.Option
	if slices.Contains(c.insecure, host) {
		options = append(options, name.Insecure)
	}
	ref, err := name.ParseReference(reference, options...)
	if err != nil {
		return nil, fmt.Errorf("image reference %q: %w", reference, err)
	}
	return ref, nil
}

// built is when an image was made and what it runs on, as far as it says: of an index by its list, and by the first
// image in it.
func built(d *remote.Descriptor) (made time.Time, platforms []string) {
	if index, err := d.ImageIndex(); d.MediaType.IsIndex() && err == nil {
		if list, err := index.IndexManifest(); err == nil {
			for _, m := range list.Manifests {
				// Attestations stand in an index as images of an unknown platform.
				if m.Platform != nil && m.Platform.OS != "unknown" {
					platforms = append(platforms, platform(*m.Platform))
				}
			}
		}
	}
	image, err := d.Image()
	if err != nil {
		return time.Time{}, platforms
	}
	config, err := image.ConfigFile()
	if err != nil || config == nil {
		return time.Time{}, platforms
	}
	if len(platforms) == 0 && config.OS != "" && config.Architecture != "" {
		platforms = []string{platform(v1.Platform{
			OS: config.OS, Architecture: config.Architecture, Variant: config.Variant,
		})}
	}
	if config.Created == (v1.Time{}) || config.Created.Unix() <= 0 {
		return time.Time{}, platforms
	}
	return config.Created.Time, platforms
}

func platform(p v1.Platform) string {
	out := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		out += "/" + p.Variant
	}
	return out
}

func classed(reference string, err error) error {
	var t *transport.Error
	if errors.As(err, &t) && t.StatusCode == http.StatusNotFound {
		return fmt.Errorf("%s: %w: %w", reference, ErrAbsent, err)
	}
	return fmt.Errorf("ask the registry for %s: %w", reference, err)
}
