package core

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// manifestTypes are the media types whose push is the push of an image; blobs are
// announced too.
var manifestTypes = map[string]bool{
	"application/vnd.docker.distribution.manifest.v2+json":      true,
	"application/vnd.docker.distribution.manifest.list.v2+json": true,
	"application/vnd.oci.image.manifest.v1+json":                true,
	"application/vnd.oci.image.index.v1+json":                   true,
}

// read1 reads a payload of a known shape.
func read1[T any](text []byte) (T, error) {
	var into T
	if err := json.Unmarshal(PlainText(text), &into); err != nil {
		return into, reject(http.StatusBadRequest, "malformed", "the body is not a notification of a registry: %v", err)
	}
	return into, nil
}

// distributionEvent is one notification of CNCF distribution 2 and 3, and, alone,
// the payload of Azure's registry.
type distributionEvent struct {
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
}

func (e *distributionEvent) push() push {
	return push{
		id: e.ID, host: e.Request.Host, repository: e.Target.Repository, tag: e.Target.Tag, digest: e.Target.Digest,
		mediaType: e.Target.MediaType, actor: e.Actor.Name, at: when(e.Timestamp),
		confirmsNothing: e.Action != "push" || e.Target.Tag == "" || !manifestTypes[e.Target.MediaType],
	}
}

func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// readDistribution is also for self-managed GitLab, whose registry is the same.
func readDistribution(_ Request, p payload) ([]push, error) {
	list, err := read1[[]json.RawMessage](p["events"])
	if err != nil {
		return nil, err
	}
	var out []push
	for i, raw := range list {
		e, err := read1[distributionEvent](raw)
		if err != nil {
			return nil, err
		}
		one := e.push()
		one.raw = raw
		if one.id == "" && !one.confirmsNothing {
			return nil, reject(http.StatusBadRequest, "malformed", "events[%d].id is empty", i)
		}
		out = append(out, one)
	}
	return out, nil
}

// dockerHub is the host that images without one belong to.
const dockerHub = "docker.io"

// readDockerHub finds no digest and no host in it.
func readDockerHub(_ Request, p payload) ([]push, error) {
	data, err := read1[struct {
		PushedAt  json.RawMessage `json:"pushed_at"` // seconds; Alibaba writes a date
		Pusher    string          `json:"pusher"`
		Tag       string          `json:"tag"`
		MediaType string          `json:"media_type"`
		Digest    string          `json:"digest"` // of Alibaba's registry, which has the same form
	}](p["push_data"])
	if err != nil {
		return nil, err
	}
	repository, err := read1[struct {
		RepoName string `json:"repo_name"`
		FullName string `json:"repo_full_name"`
	}](p["repository"])
	if err != nil {
		return nil, err
	}
	one := push{
		host: dockerHub, repository: repository.RepoName, tag: data.Tag, actor: data.Pusher, mediaType: data.MediaType,
		digest: data.Digest,
	}
	if one.repository == "" {
		one.host, one.repository = "", repository.FullName
	}
	var seconds float64
	if json.Unmarshal(data.PushedAt, &seconds) == nil && seconds > 0 {
		one.at = when(time.Unix(int64(seconds), 0).UTC())
	}
	return []push{one}, nil
}

// readQuay makes a push of each tag; older servers send an object of tags.
func readQuay(_ Request, p payload) ([]push, error) {
	var tags []string
	if err := json.Unmarshal(p["updated_tags"], &tags); err != nil {
		var old map[string]json.RawMessage
		if json.Unmarshal(p["updated_tags"], &old) != nil {
			return nil, nil //nolint:nilerr // a build or a scan, not a push
		}
		for tag := range old {
			tags = append(tags, tag)
		}
	}
	host, _, _ := strings.Cut(p.text("docker_url"), "/")
	var out []push
	for _, tag := range tags {
		out = append(out, push{host: host, repository: p.text("repository"), tag: tag})
	}
	return out, nil
}

// readHarbor takes its own format and its CloudEvents.
func readHarbor(req Request, p payload) ([]push, error) {
	kind, text := p.text("type"), p["event_data"]
	if cloud := cloudType(req, p); cloud != "" {
		kind, text = cloud, p["data"]
		if req.Header.Get("Ce-Type") != "" {
			text = req.Body
		}
	}
	if kind != "PUSH_ARTIFACT" && kind != "harbor.artifact.pushed" {
		return nil, nil
	}
	data, err := read1[struct {
		Resources []struct {
			Digest      string `json:"digest"`
			Tag         string `json:"tag"`
			ResourceURL string `json:"resource_url"`
		} `json:"resources"`
		Repository struct {
			FullName string `json:"repo_full_name"`
		} `json:"repository"`
	}](text)
	if err != nil {
		return nil, err
	}
	var out []push
	for _, r := range data.Resources {
		host, _, _ := strings.Cut(r.ResourceURL, "/")
		tag := r.Tag
		if tag == r.Digest {
			tag = "" // a push by digest
		}
		// The id of a CloudEvent is made anew for each delivery, so it names nothing.
		out = append(
			out,
			push{
				host: host, repository: data.Repository.FullName, tag: tag, digest: r.Digest, actor: p.text("operator"),
				at: harborTime(p),
			},
		)
	}
	return out, nil
}

func harborTime(p payload) *time.Time {
	var seconds int64
	if json.Unmarshal(p["occur_at"], &seconds) == nil && seconds > 0 {
		return when(time.Unix(seconds, 0).UTC())
	}
	if at, err := time.Parse(time.RFC3339Nano, p.text("time")); err == nil {
		return &at
	}
	return nil
}

// readZot takes CloudEvents whose reference is a tag or a digest.
func readZot(req Request, p payload) ([]push, error) {
	if cloudType(req, p) != "zotregistry.image.updated" {
		return nil, nil
	}
	text, id := p["data"], sourceAndID(p.text("source"), p.text("id"))
	if req.Header.Get("Ce-Type") != "" {
		text, id = req.Body, sourceAndID(req.Header.Get("Ce-Source"), req.Header.Get("Ce-Id"))
	}
	data, err := read1[struct {
		Name, Reference, Digest, MediaType string
	}](text)
	if err != nil {
		return nil, err
	}
	one := push{id: id, repository: data.Name, tag: data.Reference, digest: data.Digest, mediaType: data.MediaType}
	if strings.HasPrefix(one.tag, "sha256:") {
		one.tag = ""
	}
	return []push{one}, nil
}

// readECR takes what EventBridge says of Amazon's registry.
func readECR(_ Request, p payload) ([]push, error) {
	detail, err := read1[struct {
		Result     string `json:"result"`
		Repository string `json:"repository-name"`
		Digest     string `json:"image-digest"`
		Action     string `json:"action-type"`
		Tag        string `json:"image-tag"`
		MediaType  string `json:"manifest-media-type"`
	}](p["detail"])
	if err != nil {
		return nil, err
	}
	domain := "amazonaws.com"
	if strings.HasPrefix(p.text("region"), "cn-") {
		domain = "amazonaws.com.cn"
	}
	one := push{
		id:         p.text("id"),
		host:       fmt.Sprintf("%s.dkr.ecr.%s.%s", p.text("account"), p.text("region"), domain),
		repository: detail.Repository,
		tag:        detail.Tag,
		digest:     detail.Digest,
		mediaType:  detail.MediaType,
		confirmsNothing: p.text("detail-type") != "ECR Image Action" || detail.Action != "PUSH" ||
			detail.Result != "SUCCESS",
	}
	if at, err := time.Parse(time.RFC3339Nano, p.text("time")); err == nil {
		one.at = &at
	}
	return []push{one}, nil
}

// readArtifactRegistry takes a push of Pub/Sub, whose message is in base64.
func readArtifactRegistry(_ Request, p payload) ([]push, error) {
	message, err := read1[struct {
		Data        string `json:"data"`
		MessageID   string `json:"messageId"`
		PublishTime string `json:"publishTime"`
	}](p["message"])
	if err != nil {
		return nil, err
	}
	text, err := base64.StdEncoding.DecodeString(message.Data)
	if err != nil {
		return nil, reject(http.StatusBadRequest, "malformed", "message.data is not base64")
	}
	data, err := read1[struct{ Action, Digest, Tag string }](text)
	if err != nil {
		return nil, err
	}
	one := push{id: message.MessageID, confirmsNothing: data.Action != "INSERT", raw: text}
	name := data.Tag
	if cut := strings.LastIndex(data.Digest, "@"); cut >= 0 {
		one.digest = data.Digest[cut+1:]
		if name == "" {
			name = data.Digest[:cut]
		}
	}
	one.host, name, _ = strings.Cut(name, "/")
	one.repository = name
	if cut := strings.LastIndex(name, ":"); data.Tag != "" && cut >= 0 {
		one.repository, one.tag = name[:cut], name[cut+1:]
	}
	if at, err := time.Parse(time.RFC3339Nano, message.PublishTime); err == nil {
		one.at = &at
	}
	return []push{one}, nil
}
