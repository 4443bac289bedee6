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
}

// Look reads the manifest behind a reference such as registry/repository:tag, and
// when the image was built.
func (c *Client) Look(ctx context.Context, reference string) (Image, error) {
	ref, err := c.parse(reference)
	if err != nil {
		return Image{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	d, err := remote.Get(ref, remote.WithContext(ctx))
	if err != nil {
		return Image{}, classed(reference, err)
	}
	var manifest struct {
		Annotations map[string]string `json:"annotations"`
	}
	if err := json.Unmarshal(d.Manifest, &manifest); err != nil {
		return Image{}, fmt.Errorf("manifest of %s: %w", reference, err)
	}
	return Image{Digest: d.Digest.String(), Annotations: manifest.Annotations, Created: created(d)}, nil
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

// created is best effort: not every image says it.
func created(d *remote.Descriptor) time.Time {
	image, err := d.Image()
	if err != nil {
		return time.Time{}
	}
	config, err := image.ConfigFile()
	if err != nil || config == nil || config.Created == (v1.Time{}) || config.Created.Unix() <= 0 {
		return time.Time{}
	}
	return config.Created.Time
}

func classed(reference string, err error) error {
	var t *transport.Error
	if errors.As(err, &t) && t.StatusCode == http.StatusNotFound {
		return fmt.Errorf("%s: %w: %w", reference, ErrAbsent, err)
	}
	return fmt.Errorf("ask the registry for %s: %w", reference, err)
}
