// Package push says which Applications a push to Git concerns.
package push

import (
	"maps"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
)

// Annotations by which replicas tell each other about a push.
const (
	AnnotationRefresh     = "argosy.dev/refresh" // id of the push event
	AnnotationRevision    = "argosy.dev/refresh-revision"
	AnnotationCorrelation = "argosy.dev/refresh-correlationid"
	AnnotationTrace       = "argosy.dev/refresh-traceparent"
)

// Annotations that say the same of a push to what an Application is hydrated from.
const (
	AnnotationHydrate            = "argosy.dev/hydrate" // id of the push event
	AnnotationHydrateRevision    = "argosy.dev/hydrate-revision"
	AnnotationHydrateCorrelation = "argosy.dev/hydrate-correlationid"
	AnnotationHydrateTrace       = "argosy.dev/hydrate-traceparent"
)

// Hydrations are the annotations that concern hydrating alone, not what is applied.
var Hydrations = []string{
	"argocd.argoproj.io/hydrate", AnnotationHydrate, AnnotationHydrateRevision, AnnotationHydrateCorrelation,
	AnnotationHydrateTrace,
}

// Push is what someone told us of a push to a repository.
type Push struct {
	URLs   []string          // of the repository, each once, normal
	Branch string            // default branch of the repository, "" when unknown
	Refs   map[string]string // what was moved, to the commit that it names now
}

// Of makes the URLs of a push comparable. A push without refs matches nothing.
func Of(told events.GitPushed) Push {
	p := Push{Branch: told.DefaultBranch, Refs: map[string]string{}}
	for _, raw := range told.Repositories {
		if u := NormalURL(raw); !slices.Contains(p.URLs, u) {
			p.URLs = append(p.URLs, u)
		}
	}
	for _, c := range told.Changes {
		p.Refs[c.Ref] = c.Commit
	}
	return p
}

// Concerns returns what the ref names now that a source follows among those that were pushed. An empty default branch
// makes every branch count for HEAD: refreshing too often does no harm.
func (p Push) Concerns(s v1alpha1.ApplicationSource) (commit string, ok bool) {
	if !slices.Contains(p.URLs, NormalURL(s.RepoURL)) {
		return "", false
	}
	for _, ref := range slices.Sorted(maps.Keys(p.Refs)) {
		if p.follows(s.TargetRevision, ref) {
			return p.Refs[ref], true
		}
	}
	return "", false
}

func (p Push) follows(target, ref string) bool {
	name := strings.TrimPrefix(strings.TrimPrefix(ref, "refs/heads/"), "refs/tags/")
	if target == "" || target == "HEAD" {
		return strings.HasPrefix(ref, "refs/heads/") && (p.Branch == "" || p.Branch == name)
	}
	return target == ref || target == name || (strings.HasPrefix(ref, "refs/tags/") && !IsSHA(target))
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
