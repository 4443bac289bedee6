package core

import (
	"encoding/json"
	"net/url"
	"path"
	"regexp"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// Push is a change of a ref that someone told us about.
type Push struct {
	URLs   []string // every spelling of the repository
	Ref    string   // refs/heads/main
	After  string   // the commit it points to now
	Branch string   // default branch of the repository, "" when unknown
}

// ReadPush reads the compatible view of a push event. What is not a push has no
// ref and matches nothing.
func ReadPush(data []byte) Push {
	var view struct {
		Body struct {
			Ref        string
			After      string
			Deleted    bool
			Repository struct {
				CloneURL string `json:"clone_url"`
				HTMLURL  string `json:"html_url"`
				GitURL   string `json:"git_url"`
				SSHURL   string `json:"ssh_url"`
				URL      string
				Branch   string `json:"default_branch"`
			}
		}
	}
	if json.Unmarshal(data, &view) != nil || view.Body.Deleted {
		return Push{}
	}
	r := view.Body.Repository
	p := Push{Ref: view.Body.Ref, After: view.Body.After, Branch: r.Branch}
	for _, u := range []string{r.CloneURL, r.HTMLURL, r.URL, r.GitURL, r.SSHURL} {
		if u != "" {
			p.URLs = append(p.URLs, NormalURL(u))
		}
	}
	return p
}

// Concerns reports whether a source follows what was pushed. An empty default
// branch makes every branch count for HEAD: refreshing too often does no harm.
func (p Push) Concerns(s v1alpha1.ApplicationSource) bool {
	if p.Ref == "" {
		return false
	}
	known := false
	for _, u := range p.URLs {
		known = known || u == NormalURL(s.RepoURL)
	}
	if !known {
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
	if m := scpLike.FindStringSubmatch(raw); m != nil && !strings.Contains(raw, "://") {
		raw = "ssh://" + m[1] + "/" + m[2]
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
