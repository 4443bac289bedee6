package core

import (
	"encoding/json"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/schemas/events"
)

// manifestTypes are the media types whose push is the push of an image; blobs are
// announced too.
var manifestTypes = map[string]bool{
	"application/vnd.docker.distribution.manifest.v2+json":      true,
	"application/vnd.docker.distribution.manifest.list.v2+json": true,
	"application/vnd.oci.image.manifest.v1+json":                true,
	"application/vnd.oci.image.index.v1+json":                   true,
}

// notification is the envelope of CNCF distribution 2 and 3.
type notification struct {
	Events []struct {
		ID        string    `json:"id"`
		Timestamp time.Time `json:"timestamp"`
		Action    string    `json:"action"`
		Target    struct {
			MediaType  string `json:"mediaType"`
			Digest     string `json:"digest"`
			Repository string `json:"repository"`
			Tag        string `json:"tag"`
		} `json:"target"`
		Request struct {
			Host string `json:"host"`
		} `json:"request"`
		Actor struct {
			Name string `json:"name"`
		} `json:"actor"`
	} `json:"events"`
}

// verifyRegistry checks the static header that a registry can be told to send. A
// registry without one may knock: its word is then a hint only.
func verifyRegistry(route Route, req Request) error { return verifyBearer(route, req) }

// decodeRegistry makes one event of each tag that a manifest was pushed to.
func decodeRegistry(route Route, req Request) ([]Item, error) {
	var n notification
	if err := json.Unmarshal(req.Body, &n); err != nil {
		return nil, reject(http.StatusBadRequest, "malformed", "the body is not a notification of a registry: %v", err)
	}
	verified := events.VerifiedByNone
	if route.Bearer != "" {
		verified = events.VerifiedBySender
	}
	var items []Item
	for i := range n.Events {
		e := &n.Events[i]
		if e.Action != "push" || e.Target.Tag == "" || !manifestTypes[e.Target.MediaType] || !matches(route.Repositories, e.Target.Repository) {
			continue
		}
		if e.ID == "" {
			return nil, reject(http.StatusBadRequest, "malformed", "events[%d].id is empty", i)
		}
		raw, err := json.Marshal(e)
		if err != nil {
			return nil, reject(http.StatusBadRequest, "malformed", "events[%d]: %v", i, err)
		}
		items = append(items, Item{ID: e.ID, Type: events.TypeImagePushed, Data: events.ImagePushed{
			Registry: strings.ToLower(e.Request.Host), Repository: e.Target.Repository, Tag: e.Target.Tag, Digest: e.Target.Digest,
			MediaType: e.Target.MediaType, PushedAt: &e.Timestamp, Actor: e.Actor.Name, Verified: verified, Raw: raw,
		}})
	}
	if len(items) == 0 {
		return nil, errIgnored
	}
	return items, nil
}

// matches takes names and patterns such as "team/*".
func matches(patterns []string, repository string) bool {
	for _, p := range patterns {
		if ok, err := path.Match(p, repository); err == nil && ok {
			return true
		}
	}
	return len(patterns) == 0
}
