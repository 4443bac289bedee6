package core

import (
	"encoding/hex"
	"encoding/json"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/schemas/events"
)

// push is one image that a registry says was pushed, before it is an event.
type push struct {
	id                            string // of the delivery or notification; empty when it has none
	host, repository, tag, digest string
	mediaType, actor              string
	at                            *time.Time
	raw                           []byte // the part of the body that says so; nil means all of it
	confirmsNothing               bool   // the payload is no push: it is skipped
}

// form is the payload of one kind of registry.
type form struct {
	name string
	// tells reports whether a payload is of this kind.
	tells func(req Request, p payload) bool
	// read finds the pushes in it; other events give none.
	read func(req Request, p payload) ([]push, error)
}

// payload is the outermost object, looked at to tell the forms apart.
type payload map[string]json.RawMessage

func (p payload) has(keys ...string) bool {
	for _, key := range keys {
		if _, ok := p[key]; !ok {
			return false
		}
	}
	return true
}

func (p payload) text(key string) string {
	var s string
	if json.Unmarshal(p[key], &s) != nil {
		return ""
	}
	return s
}

// forms are tried in this order; the names are what a manifest may say.
var forms = []form{
	{"distribution", func(_ Request, p payload) bool { return p.has("events") }, readDistribution},
	{"ghcr", func(req Request, p payload) bool {
		return req.Header.Get("X-GitHub-Event") != "" && (p.has("package") || p.has("registry_package"))
	}, readGHCR},
	{"gitea", func(req Request, p payload) bool { return giteaHeader(req, "Event") != "" && p.has("package") }, readGiteaPackage},
	{"zot", func(req Request, p payload) bool { return strings.HasPrefix(cloudType(req, p), "zotregistry.") }, readZot},
	{"harbor", func(req Request, p payload) bool {
		return p.has("event_data") || strings.HasPrefix(cloudType(req, p), "harbor.")
	}, readHarbor},
	{"acr", func(req Request, p payload) bool {
		return p.has("target", "request", "action") || strings.HasPrefix(cloudType(req, p), "Microsoft.ContainerRegistry.")
	}, readACR},
	{"ecr", func(_ Request, p payload) bool { return p.text("source") == "aws.ecr" }, readECR},
	{"artifactRegistry", func(_ Request, p payload) bool { return p.has("message", "subscription") }, readArtifactRegistry},
	{"quay", func(_ Request, p payload) bool { return p.has("docker_url") }, readQuay},
	{"jfrog", func(_ Request, p payload) bool { return p.has("event_type", "data") && p.text("domain") != "" }, readJFrog},
	{"dockerhub", func(_ Request, p payload) bool { return p.has("push_data", "repository") }, readDockerHub},
}

// registrySignatures are the headers in which registries sign, with what stands
// before the hex digits. Source: GitHub, Gitea and JFrog on webhooks.
var registrySignatures = []struct{ name, prefix string }{
	{"X-Hub-Signature-256", "sha256="}, {"X-Gitea-Signature", ""}, {"X-Forgejo-Signature", ""}, {"X-JFrog-Event-Auth", ""},
}

// verifyRegistry checks whatever the manifest has a secret for. A registry without
// one may knock: its word is then a hint only.
func verifyRegistry(route Route, req Request) error {
	if route.Bearer != "" && !same(req.Header.Get("Authorization"), route.Bearer) {
		// Harbor sends its secret as the whole header.
		if err := verifyBearer(route, req); err != nil {
			return err
		}
	}
	if route.Secret == "" {
		return nil
	}
	for _, s := range registrySignatures {
		if got := req.Header.Get(s.name); got != "" {
			return matchMAC(s.name, sign(route.Secret, req.Body), encodedMAC{text: got, prefix: s.prefix, decode: hex.DecodeString})
		}
	}
	return reject(http.StatusUnauthorized, "unauthorized", "the signature is missing")
}

// decodeRegistry makes one event of each tag that a manifest was pushed to.
func decodeRegistry(route Route, req Request) ([]Item, error) {
	reqs, err := registryRequests(req)
	if err != nil {
		return nil, err
	}
	verified := events.VerifiedByNone
	if route.Bearer != "" || route.Secret != "" || route.PathSecret != "" {
		verified = events.VerifiedBySender
	}
	var items []Item
	for _, one := range reqs {
		pushes, err := readPushes(route, one)
		if err != nil {
			return nil, err
		}
		for _, p := range pushes {
			if p.confirmsNothing || p.repository == "" || !matches(route.Repositories, p.repository) {
				continue
			}
			items = append(items, p.item(one, verified))
		}
	}
	if len(items) == 0 {
		return nil, errIgnored
	}
	return items, nil
}

// registryRequests takes a list of Event Grid apart.
func registryRequests(req Request) ([]Request, error) {
	b, known, err := jsonBody(req.Body)
	if err != nil {
		return nil, err
	}
	req.Body = b.text
	if known.Object {
		return []Request{req}, nil
	}
	list, err := eventGridList(req)
	if err != nil {
		return nil, err
	}
	out := make([]Request, 0, len(list))
	for _, e := range list {
		one := req
		one.Body = e
		out = append(out, one)
	}
	return out, nil
}

func readPushes(route Route, req Request) ([]push, error) {
	var p payload
	if err := json.Unmarshal(req.Body, &p); err != nil || p == nil {
		return nil, reject(http.StatusBadRequest, "malformed", "the body is not a notification of a registry")
	}
	for _, f := range forms {
		if route.Form == f.name || route.Form == "" && f.tells(req, p) {
			return f.read(req, p)
		}
	}
	if route.Form != "" {
		return nil, reject(http.StatusServiceUnavailable, "broken", "this route is not ready")
	}
	return nil, errIgnored // a ping, or what is no news of an image
}

// item names an event by the registry's id, or else by what is known of the push
// and when it was: the tag alone would hide one that is moved back.
func (p push) item(req Request, verified string) Item {
	raw := p.raw
	if raw == nil {
		raw = req.Body
	}
	image := events.ImagePushed{
		Registry: strings.ToLower(p.host), Repository: strings.ToLower(p.repository), Tag: p.tag, Digest: p.digest,
		MediaType: p.mediaType, PushedAt: p.at, Actor: p.actor, Verified: verified, Raw: raw,
	}
	id := p.id
	if id == "" {
		when := digest(string(raw))
		if p.at != nil {
			when = p.at.UTC().Format(time.RFC3339Nano)
		}
		id = digest(image.Registry, image.Repository, image.Tag, image.Digest, when)
	}
	return Item{ID: id, Type: events.TypeImagePushed, Image: &image}
}

// KnownForm reports whether a manifest may name this kind of registry.
func KnownForm(name string) bool {
	for _, f := range forms {
		if f.name == name {
			return true
		}
	}
	return name == ""
}

// cloudType is the type of a CloudEvent or of an Event Grid event, in either place.
func cloudType(req Request, p payload) string {
	if t := req.Header.Get("Ce-Type"); t != "" {
		return t
	}
	if t := p.text("eventType"); t != "" {
		return t
	}
	if p.has("specversion") {
		return p.text("type")
	}
	return ""
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
