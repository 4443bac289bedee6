// Package project tells what the Applications of an AppProject may do: where their manifests may come from, where they
// may go, which kinds they may hold, and when they may be synchronised. It is asked before anything is applied, by the
// plan and by the API alike. Source: Argo CD's AppProject.
package project

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/push"
	"github.com/gobwas/glob"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Project is an AppProject, ready to be asked. It is immutable.
type Project struct {
	Name    string
	spec    v1alpha1.AppProjectSpec
	windows []window
}

// New returns a project. What of it cannot be read is listed as problems, and permits nothing.
func New(name string, spec v1alpha1.AppProjectSpec) (*Project, []error) {
	p := &Project{Name: name, spec: spec}
	var problems []error
	for i, w := range spec.SyncWindows {
		made, err := newWindow(w)
		if err != nil {
			problems = append(problems, fmt.Errorf("spec.syncWindows[%d]: %w", i, err))
		}
		p.windows = append(p.windows, made)
	}
	for i, repo := range spec.SourceRepos {
		if repo == "!*" {
			problems = append(
				problems,
				fmt.Errorf("spec.sourceRepos[%d]: !* denies everything; leave the list empty instead", i),
			)
		}
	}
	for i, a := range spec.DestinationServiceAccounts {
		if strings.Contains(a.Server, "!") || strings.Contains(a.Namespace, "!") {
			problems = append(problems, fmt.Errorf(
				"spec.destinationServiceAccounts[%d]: a ! in server or namespace denies nothing", i,
			))
		}
		if a.DefaultServiceAccount == "" || strings.ContainsAny(a.DefaultServiceAccount, "*![]{}\\/") {
			problems = append(problems, fmt.Errorf(
				"spec.destinationServiceAccounts[%d].defaultServiceAccount: %q names no account",
				i,
				a.DefaultServiceAccount,
			))
		}
	}
	return p, append(problems, p.integrity()...)
}

// Spec is what the project was made of.
func (p *Project) Spec() v1alpha1.AppProjectSpec { return p.spec }

// maxPattern bounds the length of a pattern.
const maxPattern = 1 << 10

// Match reports whether a pattern of Argo CD matches a text: * and ** differ only where separators are given. A pattern
// that cannot be read matches nothing.
func Match(pattern, text string, separators ...rune) (ok bool) {
	switch {
	case pattern == text || (pattern == "*" && len(separators) == 0):
		return true
	case len(pattern) > maxPattern || !strings.ContainsAny(pattern, `*?[{\`):
		return false
	}
	defer func() {
		if recover() != nil {
			ok = false // a pattern of a user must not end the process
		}
	}()
	g, err := glob.Compile(pattern, separators...)
	return err == nil && g.Match(text)
}

func denies(pattern string) (rest string, ok bool) { return strings.CutPrefix(pattern, "!") }

// matchOrNot is Match where a pattern that begins with ! matches what the rest of it does not.
func matchOrNot(pattern, text string) bool {
	if rest, ok := denies(pattern); ok {
		return !Match(rest, text)
	}
	return Match(pattern, text)
}

// Source says why manifests may not come from a repository, "" when they may. A pattern that begins with ! denies what
// it matches, whatever else is listed, and permits all that it does not match.
func (p *Project) Source(repoURL string) string {
	url, permitted := push.NormalURL(repoURL), false
	for _, pattern := range p.spec.SourceRepos {
		rest, deny := denies(pattern)
		matches := rest == "*" || Match(normalPattern(rest), url, '/') || Match(rest, repoURL, '/')
		if deny && matches {
			return fmt.Sprintf("repository %s is denied by %q in project %s", repoURL, pattern, p.Name)
		}
		permitted = permitted || matches || deny
	}
	if permitted {
		return ""
	}
	return fmt.Sprintf("repository %s is not permitted in project %s: add it to spec.sourceRepos", repoURL, p.Name)
}

// Permits stands for the repositories that the project permits: while it is the same, so are they.
func (p *Project) Permits() string { return p.Name + "\n" + strings.Join(p.spec.SourceRepos, "\n") }

// normalPattern brings a pattern of URLs to the form in which URLs are compared.
func normalPattern(pattern string) string {
	if strings.ContainsAny(pattern, "[{\\?") {
		return pattern
	}
	return push.NormalURL(pattern)
}

// Destination is a cluster and a namespace in it.
type Destination struct {
	Server, Name string // of the cluster; one may be ""
	Namespace    string
}

// Destination says why objects may not go somewhere, "" when they may.
func (p *Project) Destination(d Destination) string {
	permitted := false
	for _, item := range p.spec.Destinations {
		name := d.Name != "" && matchOrNot(item.Name, d.Name)
		server := d.Server != "" && matchOrNot(item.Server, d.Server)
		namespace := matchOrNot(item.Namespace, d.Namespace)
		_, denyName := denies(item.Name)
		_, denyServer := denies(item.Server)
		_, denyNamespace := denies(item.Namespace)
		switch {
		case (name || server) && namespace:
			permitted = true
		case namespace && ((denyName && !name) || (denyServer && !server)), denyNamespace && !namespace && server:
			return fmt.Sprintf("destination %s is denied in project %s", d, p.Name)
		}
	}
	if permitted {
		return ""
	}
	return fmt.Sprintf("destination %s is not permitted in project %s: add it to spec.destinations", d, p.Name)
}

// String names a destination for people.
func (d Destination) String() string {
	cluster := d.Server
	if cluster == "" {
		cluster = d.Name
	}
	return fmt.Sprintf("cluster %s, namespace %q", cluster, d.Namespace)
}

// Kind says why an object may not be applied for its kind, "" when it may. Kinds of a namespace are permitted where no
// list says otherwise; kinds of the cluster only where a list says so.
func (p *Project) Kind(kind schema.GroupKind, name string, namespaced bool) string {
	if namespaced {
		white, black := p.spec.NamespaceResourceWhitelist, p.spec.NamespaceResourceBlacklist
		if (white != nil && !listed(white, kind)) || listed(black, kind) {
			return fmt.Sprintf("kind %s is not permitted in project %s", kind, p.Name)
		}
		return ""
	}
	in := func(list []v1alpha1.ClusterResourceRestriction) bool {
		return slices.ContainsFunc(list, func(r v1alpha1.ClusterResourceRestriction) bool {
			return matchKind(r.Group, r.Kind, kind) && (r.Name == "" || pathMatch(r.Name, name))
		})
	}
	if !in(p.spec.ClusterResourceWhitelist) || in(p.spec.ClusterResourceBlacklist) {
		return fmt.Sprintf(
			"kind %s of the cluster is not permitted in project %s: add it to spec.clusterResourceWhitelist",
			kind,
			p.Name,
		)
	}
	return ""
}

func listed(list []v1alpha1.GroupKind, kind schema.GroupKind) bool {
	return slices.ContainsFunc(list, func(x v1alpha1.GroupKind) bool { return matchKind(x.Group, x.Kind, kind) })
}

func matchKind(group, kind string, of schema.GroupKind) bool {
	return pathMatch(group, of.Group) && pathMatch(kind, of.Kind)
}

// pathMatch is the dialect of kinds: that of file names.
func pathMatch(pattern, text string) bool {
	ok, err := path.Match(pattern, text)
	return ok && err == nil
}

// Namespace says why Applications of a namespace may not use the project, "" when they may. control is the namespace of
// the installation, whose Applications always may.
func (p *Project) Namespace(namespace, control string) string {
	if namespace == control || InList(p.spec.SourceNamespaces, namespace) {
		return ""
	}
	return fmt.Sprintf(
		"applications of namespace %s may not use project %s: add it to spec.sourceNamespaces", namespace, p.Name,
	)
}

// InList reports whether a text matches an entry: a pattern, or a regular expression between slashes.
func InList(list []string, text string) bool {
	return slices.ContainsFunc(list, func(entry string) bool {
		if len(entry) > 2 && strings.HasPrefix(entry, "/") && strings.HasSuffix(entry, "/") &&
			len(entry) <= maxPattern {
			expression, err := regexp.Compile(entry[1 : len(entry)-1])
			return err == nil && expression.MatchString(text)
		}
		return Match(entry, text)
	})
}

// Account is the service account under which objects are applied somewhere; ok is false when the project names none.
// The first entry that matches counts. An account is of the destination's namespace unless it says namespace:name.
func (p *Project) Account(d Destination) (namespace, name string, ok bool) {
	for _, a := range p.spec.DestinationServiceAccounts {
		if !Match(a.Server, d.Server) || !Match(a.Namespace, d.Namespace) {
			continue
		}
		if namespace, name, ok := strings.Cut(a.DefaultServiceAccount, ":"); ok {
			return namespace, name, true
		}
		return d.Namespace, a.DefaultServiceAccount, true
	}
	return "", "", false
}

// Accounts reports whether the project says under which accounts its objects are applied.
func (p *Project) Accounts() bool { return len(p.spec.DestinationServiceAccounts) > 0 }

// Orphans reports whether objects of its namespaces that no Application has are to be shown, and whether they are worth
// a warning.
func (p *Project) Orphans() (shown, warn bool) {
	o := p.spec.OrphanedResources
	return o != nil, o != nil && (o.Warn == nil || *o.Warn)
}

// builtInOrphans are objects that are in each namespace.
var builtInOrphans = []v1alpha1.OrphanedResourceKey{
	{Kind: "Service", Name: "kubernetes"},
	{Kind: "ServiceAccount", Name: "default"},
	{Kind: "ConfigMap", Name: "kube-root-ca.crt"},
}

// Orphan reports whether an object that no Application has counts as an orphan.
func (p *Project) Orphan(kind schema.GroupKind, name string) bool {
	if p.spec.OrphanedResources == nil {
		return false
	}
	ignored := func(x v1alpha1.OrphanedResourceKey) bool {
		return Match(x.Group, kind.Group) && Match(x.Kind, kind.Kind) && (x.Name == "" || Match(x.Name, name))
	}
	return !slices.ContainsFunc(builtInOrphans, ignored) &&
		!slices.ContainsFunc(p.spec.OrphanedResources.Ignore, ignored)
}
