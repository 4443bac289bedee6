package core

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/tidwall/gjson"
)

var registryProvider = Provider{
	Hooks:   func(s *v1alpha1.EventSourceSpec) map[string]Hook { return eachHook(s.Registry, registryHook) },
	Greet:   greetCloudEvents,
	Verify:  verifyRegistry,
	Secrets: []string{"X-Jfrog-Event-Auth"},
	Decode:  decodeRegistry,
	Answer:  answerRegistry,
}

func registryHook(c v1alpha1.RegistryEventSource) Hook {
	h := Hook{
		Filter: c.Filter,
		Route:  Route{Form: c.Provider, Repositories: c.Repositories, Registry: c.RegistryURL, Metadata: c.Metadata},
	}
	h.listen(c.Webhook)
	h.secret(c.AuthSecret, intoBearer)
	h.secret(c.WebhookSecret, intoSecret)
	h.secret(c.PathSecret, intoPathSecret)
	return h
}

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
	{
		"gitea",
		func(req Request, p payload) bool { return giteaHeader(req, "Event") != "" && p.has("package") },
		readGiteaPackage,
	},
	{"zot", func(req Request, p payload) bool { return strings.HasPrefix(cloudType(req, p), "zotregistry.") }, readZot},
	{"harbor", func(req Request, p payload) bool {
		return p.has("event_data") || strings.HasPrefix(cloudType(req, p), "harbor.")
	}, readHarbor},
	{"acr", func(req Request, p payload) bool {
		return p.has("target", "request", "action") ||
			strings.HasPrefix(cloudType(req, p), "Microsoft.ContainerRegistry.")
	}, readACR},
	{"ecr", func(_ Request, p payload) bool { return p.text("source") == "aws.ecr" }, readECR},
	{
		"artifactRegistry",
		func(_ Request, p payload) bool { return p.has("message", "subscription") },
		readArtifactRegistry,
	},
	{"quay", func(_ Request, p payload) bool { return p.has("docker_url") }, readQuay},
	{
		"jfrog",
		func(_ Request, p payload) bool { return p.has("event_type", "data") && p.text("domain") != "" },
		readJFrog,
	},
	{"dockerhub", func(_ Request, p payload) bool { return p.has("push_data", "repository") }, readDockerHub},
}

// registrySignatures are the headers in which registries sign, with what stands
// before the hex digits. Source: GitHub, Gitea and JFrog on webhooks. JFrog sends the
// secret itself unless it is told to sign with it.
var registrySignatures = []struct {
	name, prefix string
	plain        bool
}{
	{
		"X-Hub-Signature-256", "sha256=", false,
	},
	{"X-Gitea-Signature", "", false},
	{"X-Forgejo-Signature", "", false},
	{"X-JFrog-Event-Auth", "", true},
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
			if s.plain && same(got, route.Secret) {
				return nil
			}
			return matchMAC(
				s.name, sign(route.Secret, req.Body), encodedMAC{text: got, prefix: s.prefix, decode: hex.DecodeString},
			)
		}
	}
	return reject(http.StatusUnauthorized, "unauthorized", "the signature is missing")
}

// decodeRegistry makes one event of each tag that a manifest was pushed to.
func decodeRegistry(route Route, req Request) ([]Item, error) {
	reqs, err := registryRequests(route, req)
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
			if p.confirmsNothing || p.repository == "" || events.Attachment(p.tag) ||
				!matches(route.Repositories, p.repository) {
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

// registryRequests unpacks what stands around a notification: a list of Event Grid, a
// message of SNS. Handshakes of both are answered, and hold no notification.
func registryRequests(route Route, req Request) ([]Request, error) {
	b, known, err := jsonBody(req.Body)
	if err != nil {
		return nil, err
	}
	req.Body = b.text
	if known.Object {
		return unwrapSNS(route, req)
	}
	list, err := eventGridList(req)
	if err != nil {
		return nil, err
	}
	out := make([]Request, 0, len(list))
	for _, e := range list {
		if gjson.GetBytes(e, "eventType").String() == eventGridValidation {
			continue
		}
		one := req
		one.Body = e
		out = append(out, one)
	}
	return out, nil
}

// envelopeOfSNS tells a message of SNS from what registries send themselves.
func envelopeOfSNS(body []byte) (kind string, is bool) {
	kind = gjson.GetBytes(body, "Type").String()
	return kind, kind != "" && gjson.GetBytes(body, "TopicArn").Exists() && gjson.GetBytes(body, "MessageId").Exists()
}

func unwrapSNS(route Route, req Request) ([]Request, error) {
	kind, is := envelopeOfSNS(req.Body)
	if !is {
		return []Request{req}, nil
	}
	switch kind {
	case snsConfirmation:
		return nil, pinnedOrIgnored(route, gjson.GetBytes(req.Body, "SubscribeURL").String())
	case snsNotification:
		inner, _, err := jsonBody([]byte(gjson.GetBytes(req.Body, "Message").String()))
		if err != nil {
			return nil, err
		}
		req.Body = inner.text
		return []Request{req}, nil
	case snsFarewell:
		return nil, errIgnored
	default:
		return nil, errUnknown
	}
}

// answerRegistry answers the handshakes of what stands around notifications.
func answerRegistry(route Route, req Request) Outcome {
	plain := PlainText(req.Body)
	if kind, is := envelopeOfSNS(plain); is && kind == snsConfirmation {
		return answerSNS(route, req)
	}
	if trimmed := bytes.TrimSpace(plain); len(trimmed) > 0 && trimmed[0] == '[' {
		return answerEventGrid(route, req)
	}
	return Outcome{Status: http.StatusOK, Text: "accepted"}
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
	if p.text("action") == "ping" || req.Header.Get("X-GitHub-Event") != "" || giteaHeader(req, "Event") != "" {
		return nil, nil // a test, or news of something else
	}
	return nil, errUnknown
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
		// Nothing tells this push from the next one of the tag: each delivery is news.
		when := digest(string(raw), strconv.FormatInt(req.Now.UnixNano(), 10))
		if p.at != nil {
			when = p.at.UTC().Format(time.RFC3339Nano)
		}
		id = digest(image.Registry, image.Repository, image.Tag, image.Digest, when)
	}
	return Item{ID: id, Type: events.TypeImagePushed, Image: &image}
}

// Forms are the kinds of registries that a manifest may name.
func Forms() []string {
	out := make([]string, 0, len(forms))
	for _, f := range forms {
		out = append(out, f.name)
	}
	slices.Sort(out)
	return out
}

// sourceAndID names an event whose id counts only for its source.
func sourceAndID(source, id string) string {
	if source == "" || id == "" {
		return id
	}
	return digest(source, id)
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
