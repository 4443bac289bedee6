package core

import (
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/tidwall/gjson"
)

// Push is a change of a ref that someone told us about.
type Push struct {
	URLs   []string // of the repository, each once, normal
	Ref    string   // refs/heads/main
	After  string   // the commit it points to now
	Branch string   // default branch of the repository, "" when unknown
}

// ReadPush reads the compatible view of a push event. What is not a push has no
// ref and matches nothing. Most pushes concern no application here and may be large:
// what is of use is picked out, and the rest is passed over.
func ReadPush(data []byte) Push {
	var p Push
	deleted := false
	gjson.GetBytes(data, "body").ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "ref":
			p.Ref = value.String()
		case "after":
			p.After = value.String()
		case "deleted":
			deleted = value.Bool()
		case "repository":
			p.Branch, p.URLs = repositoryOf(value)
		}
		return true
	})
	if deleted {
		return Push{}
	}
	return p
}

func repositoryOf(view gjson.Result) (branch string, urls []string) {
	view.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "default_branch":
			branch = value.String()
		case "clone_url", "html_url", "url", "git_url", "ssh_url":
			if u := NormalURL(value.String()); value.String() != "" && !slices.Contains(urls, u) {
				urls = append(urls, u)
			}
		}
		return true
	})
	return branch, urls
}

// Concerns reports whether a source follows what was pushed. An empty default
// branch makes every branch count for HEAD: refreshing too often does no harm.
func (p Push) Concerns(s v1alpha1.ApplicationSource) bool {
	if p.Ref == "" {
		return false
	}
	if !slices.Contains(p.URLs, NormalURL(s.RepoURL)) {
		return false
	}
	name := strings.TrimPrefix(strings.TrimPrefix(p.Ref, "refs/heads/"), "refs/tags/")
	switch target := s.TargetRevision; target {
	case "", "HEAD":
		return strings.HasPrefix(p.Ref, "refs/heads/") && (p.Branch == "" || p.Branch == name)
	default:
		return target == p.Ref || target == name || (strings.HasPrefix(p.Ref, "refs/tags/") && !IsSHA(target))
	}
}

var (
	sha     = regexp.MustCompile(`^[0-9a-f]{40}$`)
	scpLike = regexp.MustCompile(`^(?:[\w.-]+@)?([\w.-]+):([^/].*)$`)
)

// IsSHA reports whether revision is a full commit id.
func IsSHA(revision string) bool { return sha.MatchString(revision) }

// NormalURL makes spellings of one repository equal: no scheme, user or .git, the
// host in lower case.
func NormalURL(raw string) string {
	raw = strings.TrimSpace(raw)
	if !strings.Contains(raw, "://") {
		if m := scpLike.FindStringSubmatch(raw); m != nil {
			raw = "ssh://" + m[1] + "/" + m[2]
		}
	}
	u, err := url.Parse(raw)
	if err != nil {
		return raw
	}
	host := strings.ToLower(u.Host)
	switch u.Scheme {
	case "http":
		host = strings.TrimSuffix(host, ":80")
	case "https":
		host = strings.TrimSuffix(host, ":443")
	}
	return host + "/" + strings.TrimSuffix(strings.Trim(path.Clean("/"+u.Path), "/"), ".git")
}

// glob matches with * and ?, which also cross slashes; "" matches only itself.
func glob(pattern, text string) bool {
	if pattern == "*" || pattern == text {
		return true
	}
	if !strings.ContainsAny(pattern, "*?") {
		return false
	}
	expr := strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(pattern))
	ok, err := regexp.MatchString("^"+expr+"$", text)
	return ok && err == nil
}
