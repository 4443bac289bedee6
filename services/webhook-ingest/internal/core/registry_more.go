package core

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// readGHCR takes the events package and registry_package of GitHub. Type and owner
// come in either case, and untagged manifests come with an empty tag.
func readGHCR(req Request, p payload) ([]push, error) {
	text := p["package"]
	if kind := req.Header.Get("X-GitHub-Event"); kind == "registry_package" || len(text) == 0 {
		text = p["registry_package"]
	}
	if len(text) == 0 {
		return nil, nil
	}
	pkg := gjson.ParseBytes(text)
	action := p.text("action")
	if kind := strings.ToLower(pkg.Get("package_type").String()); kind != "container" && kind != "docker" ||
		action != "published" && action != "updated" {
		return nil, nil
	}
	owner := pkg.Get("owner.login").String()
	if owner == "" {
		owner = pkg.Get("namespace").String()
	}
	version := pkg.Get("package_version")
	tag := version.Get("container_metadata.tag")
	one := push{
		id:         req.Header.Get("X-GitHub-Delivery"),
		host:       "ghcr.io",
		repository: owner + "/" + pkg.Get("name").String(),
		tag:        tag.Get("name").String(),
		digest:     tag.Get("digest").String(),
		mediaType:  version.Get("container_metadata.manifest.media_type").String(),
		actor:      gjson.ParseBytes(p["sender"]).Get("login").String(),
		raw:        text,
	}
	if one.digest == "" {
		one.digest = version.Get("container_metadata.manifest.digest").String()
	}
	if one.digest == "" && strings.HasPrefix(version.Get("version").String(), "sha256:") {
		one.digest = version.Get("version").String()
	}
	if at, err := time.Parse(time.RFC3339, version.Get("updated_at").String()); err == nil {
		one.at = &at
	}
	return []push{one}, nil
}

// readGiteaPackage takes the event package of Gitea and Forgejo: the version of a
// container is its tag, or its digest when it has none.
func readGiteaPackage(req Request, p payload) ([]push, error) {
	pkg := gjson.ParseBytes(p["package"])
	if pkg.Get("type").String() != "container" || p.text("action") != "created" {
		return nil, nil
	}
	one := push{
		id: giteaHeader(req, "Delivery"), repository: pkg.Get("owner.login").String() + "/" + pkg.Get("name").String(),
		actor: gjson.ParseBytes(p["sender"]).Get("login").String(), host: hostOf(pkg.Get("html_url").String()),
	}
	if version := pkg.Get("version").String(); strings.HasPrefix(version, "sha256:") {
		one.digest = version
	} else {
		one.tag = version
	}
	if at, err := time.Parse(time.RFC3339, pkg.Get("created_at").String()); err == nil {
		one.at = &at
	}
	return []push{one}, nil
}

func hostOf(url string) string {
	_, rest, ok := strings.Cut(url, "://")
	if !ok {
		return ""
	}
	host, _, _ := strings.Cut(rest, "/")
	return host
}

// readACR takes Azure's own webhook and what Event Grid makes of it, in either
// schema.
func readACR(req Request, p payload) ([]push, error) {
	text := json.RawMessage(req.Body)
	if kind := cloudType(req, p); kind != "" {
		if kind != "Microsoft.ContainerRegistry.ImagePushed" {
			return nil, nil
		}
		if req.Header.Get("Ce-Type") == "" {
			text = p["data"]
		}
	}
	e, err := read1[distributionEvent](text)
	if err != nil {
		return nil, err
	}
	one := e.push()
	if one.id == "" {
		one.id = sourceAndID(p.text("source")+p.text("topic"), p.text("id"))
	}
	return []push{one}, nil
}

// readJFrog takes the predefined webhook for images. The manifest of one platform
// and the list of all are both announced.
func readJFrog(_ Request, p payload) ([]push, error) {
	data, err := read1[struct {
		RepoKey   string `json:"repo_key"`
		SHA256    string `json:"sha256"`
		ImageName string `json:"image_name"`
		Tag       string `json:"tag"`
	}](p["data"])
	if err != nil {
		return nil, err
	}
	one := push{
		host: hostOf(p.text("jpd_origin")), repository: data.RepoKey + "/" + data.ImageName, tag: data.Tag,
		confirmsNothing: p.text("domain") != "docker" || p.text("event_type") != "pushed",
	}
	if data.SHA256 != "" {
		one.digest = "sha256:" + strings.TrimPrefix(data.SHA256, "sha256:")
	}
	return []push{one}, nil
}
