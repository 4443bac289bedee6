package notification

import (
	"context"
	"net/url"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/services/sync-agent/internal/source/git"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// variables are what conditions and templates may call, by the names that Argo CD's have. Source: its documentation of
// notifications, functions.
func (n *Notifier) variables(ctx context.Context, app *unstructured.Unstructured) map[string]any {
	repository, _, _ := unstructured.NestedString(app.Object, "spec", "source", "repoURL")
	project, _, _ := unstructured.NestedString(app.Object, "spec", "project")
	return map[string]any{
		"time": map[string]any{
			"Now":   time.Now,
			"Parse": parseTime,
		},
		"strings": map[string]any{
			"ReplaceAll": replaceAll, "ToUpper": strings.ToUpper, "ToLower": strings.ToLower,
		},
		"repo": map[string]any{
			"RepoURLToHTTPS": toHTTPS, "FullNameByRepoURL": fullName,
			"GetCommitMetadata": func(commit string) (map[string]any, error) {
				return n.commit(ctx, app.GetNamespace(), project, repository, commit)
			},
		},
	}
}

// parseTime reads a time of the API; the zero time where there is none.
func parseTime(text string) time.Time {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}
	}
	return at
}

// maxText is how long a text may become, in bytes.
const maxText = 64 << 10

// replaceAll leaves a text as it is that would become too long.
func replaceAll(text, old, fresh string) string {
	if len(text)+strings.Count(text, old)*len(fresh) > maxText {
		return text
	}
	return strings.ReplaceAll(text, old, fresh)
}

// toHTTPS is the address of a repository for a browser, whatever way Git takes.
func toHTTPS(repository string) string {
	if host, path, is := strings.Cut(repository, ":"); is && strings.Contains(host, "@") &&
		!strings.Contains(host, "/") {
		_, host, _ = strings.Cut(host, "@")
		repository = "https://" + host + "/" + path
	}
	u, err := url.Parse(repository)
	if err != nil {
		return ""
	}
	return "https://" + u.Hostname() + strings.TrimSuffix(u.Path, ".git")
}

// fullName is owner/name.
func fullName(repository string) string {
	u, err := url.Parse(toHTTPS(repository))
	if err != nil {
		return ""
	}
	return strings.Trim(u.Path, "/")
}

// commit is what is known about a commit of the Application's own repository, with the rights of its project.
func (n *Notifier) commit(
	ctx context.Context, namespace, project, repository, commit string,
) (map[string]any, error) {
	out := map[string]any{"Message": "", "Author": "", "SHA": commit}
	reason, err := n.Projects.Repository(ctx, namespace, project, repository)
	if err != nil || reason != "" {
		return out, err
	}
	m, err := n.Sources.Mirror(ctx, repository)
	if err != nil {
		return out, err
	}
	sha, err := m.Resolve(ctx, commit, git.Want{})
	if err != nil {
		return out, err
	}
	c, err := m.Describe(ctx, sha, "")
	out["Message"], out["Author"] = strings.TrimSpace(c.Message), c.Author
	return out, err
}
