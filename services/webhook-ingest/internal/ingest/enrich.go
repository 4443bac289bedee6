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
// truth is then vouched for by the registry, and an image that says what it was
// built from continues that chain. Only a registry that the manifest allows is
// asked, since the body of an unsigned hook could name any host.
func enrich(ctx context.Context, client *http.Client, route core.Route, item core.Item) (core.Item, lineage.Lineage) {
	image, ok := item.Data.(events.ImagePushed)
	if !ok || image.Digest == "" || route.Registry == "" {
		return item, lineage.Lineage{}
	}
	annotations, err := manifestAnnotations(ctx, client, route.Registry, image)
	if err != nil {
		return item, lineage.Lineage{}
	}
	image.Annotations = annotations
	if image.Verified == events.VerifiedByNone {
		image.Verified = events.VerifiedByRegistry
	}
	item.Data = image
	return item, lineage.FromOCI(annotations)
}

func manifestAnnotations(ctx context.Context, client *http.Client, registry string, image events.ImagePushed) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, lookPatience)
	defer cancel()
	url := fmt.Sprintf("%s/v2/%s/manifests/%s", strings.TrimSuffix(registry, "/"), image.Repository, image.Digest)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("ask for manifest: %w", err)
	}
	req.Header.Set("Accept", manifestAccept)
	res, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask for manifest: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("ask for manifest: the registry answered %s", res.Status)
	}
	raw, err := io.ReadAll(io.LimitReader(res.Body, manifestLimit))
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	sum := sha256.Sum256(raw)
	if "sha256:"+hex.EncodeToString(sum[:]) != image.Digest {
		return nil, fmt.Errorf("the manifest is not the one of %s", image.Digest)
	}
	var manifest struct {
		Annotations map[string]string `json:"annotations"`
	}
	if err := json.Unmarshal(raw, &manifest); err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	return manifest.Annotations, nil
}
