package ingest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/lineage"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/argosy-mesh/argosy/services/webhook-ingest/internal/core"
)

// lookPatience bounds the look at the registry: its hooks time out in half a
// second, and what is not found out here others can still find out.
const lookPatience = 300 * time.Millisecond

// manifestLimit bounds a manifest. Source: the OCI distribution spec asks
// registries to take at least 4 MiB.
const manifestLimit = 4 << 20

// manifestAccept are the kinds of manifests asked for.
const manifestAccept = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, " +
	"application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json"

// enrich asks the registry about a pushed image: an unsigned hook that tells the
// truth is then vouched for by the registry, a digest that the sender did not say is
// found out, and an image that says what it was built from continues that chain.
// Only a registry that the manifest allows is asked, since the body of an unsigned
// hook could name any host.
//
// A manifest with a subject is attached to an image, and is none.
func enrich(
	ctx context.Context, client *http.Client, route core.Route, image *events.ImagePushed,
) (cause lineage.Lineage, attached bool) {
	if route.Registry == "" || image.Digest == "" && image.Tag == "" {
		return lineage.Lineage{}, false
	}
	m, err := askManifest(ctx, client, route.Registry, *image)
	if err != nil {
		return lineage.Lineage{}, false
	}
	if m.Subject != nil {
		return lineage.Lineage{}, true
	}
	image.Annotations, image.Digest = m.Annotations, m.digest
	if image.MediaType == "" {
		image.MediaType = m.MediaType
	}
	if image.Verified == events.VerifiedByNone {
		image.Verified = events.VerifiedByRegistry
	}
	return lineage.FromOCI(m.Annotations), false
}

// manifest is what is read of one.
type manifest struct {
	MediaType   string            `json:"mediaType"`
	Subject     *struct{}         `json:"subject"`
	Annotations map[string]string `json:"annotations"`
	digest      string
}

// askManifest asks for a manifest by digest, or by tag when that is all there is.
func askManifest(
	ctx context.Context, client *http.Client, registry string, image events.ImagePushed,
) (manifest, error) {
	ctx, cancel := context.WithTimeout(ctx, lookPatience)
	defer cancel()
	reference := image.Digest
	if reference == "" {
		reference = image.Tag
	}
	url := fmt.Sprintf("%s/v2/%s/manifests/%s", strings.TrimSuffix(registry, "/"), image.Repository, reference)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return manifest{}, fmt.Errorf("ask for manifest: %w", err)
	}
	req.Header.Set("Accept", manifestAccept)
	res, err := client.Do(req)
	if err != nil {
		return manifest{}, fmt.Errorf("ask for manifest: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return manifest{}, fmt.Errorf("ask for manifest: the registry answered %s", res.Status)
	}
	raw, err := io.ReadAll(io.LimitReader(res.Body, manifestLimit))
	if err != nil {
		return manifest{}, fmt.Errorf("read manifest: %w", err)
	}
	sum := sha256.Sum256(raw)
	m := manifest{digest: "sha256:" + hex.EncodeToString(sum[:])}
	if image.Digest != "" && m.digest != image.Digest {
		return manifest{}, fmt.Errorf("the manifest is not the one of %s", image.Digest)
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return manifest{}, fmt.Errorf("read manifest: %w", err)
	}
	return m, nil
}
