package rbac

import (
	"slices"
	"strings"
)

// The resources that rules speak of.
const (
	Applications      = "applications"
	ApplicationSets   = "applicationsets"
	Clusters          = "clusters"
	Projects          = "projects"
	Repositories      = "repositories"
	WriteRepositories = "write-repositories"
	Certificates      = "certificates"
	Accounts          = "accounts"
	GPGKeys           = "gpgkeys"
	Logs              = "logs"
	Exec              = "exec"
	Extensions        = "extensions"
)

// resource is what can be done with a kind of thing. The objects of a scoped one belong to a project:
// "project/name", or "project/namespace/name" outside the control namespace.
type resource struct {
	name   string
	verbs  []string
	scoped bool
	// below are verbs that go on with a slash: of a resource that an application holds, or of an action.
	below []string
}

// table holds each resource once. Since 3.0 update and delete of an application do not reach the resources that it
// holds: those are update/GROUP/KIND/NAMESPACE/NAME.
var table = []resource{
	{
		Applications, []string{"get", "create", "update", "delete", "sync", "rollback", "override"}, true,
		[]string{"action", "update", "delete"},
	},
	{ApplicationSets, []string{"get", "create", "update", "delete"}, true, nil},
	{Clusters, []string{"get", "create", "update", "delete"}, false, nil},
	{Projects, []string{"get", "create", "update", "delete"}, false, nil},
	{Repositories, []string{"get", "create", "update", "delete"}, false, nil},
	{WriteRepositories, []string{"get", "create", "update", "delete"}, false, nil},
	{Certificates, []string{"get", "create", "update", "delete"}, false, nil},
	{Accounts, []string{"get", "update"}, false, nil},
	{GPGKeys, []string{"get", "create", "delete"}, false, nil},
	{Logs, []string{"get"}, true, nil},
	{Exec, []string{"create", "debug"}, true, nil},
	{Extensions, []string{"invoke"}, false, nil},
}

// Resources are the names of all resources.
func Resources() []string {
	var out []string
	for _, r := range table {
		out = append(out, r.name)
	}
	return out
}

// Known reports whether an action can be asked of a resource.
func Known(name, action string) bool {
	i := slices.IndexFunc(table, func(r resource) bool { return r.name == name })
	if i < 0 {
		return false
	}
	verb, rest, below := strings.Cut(action, "/")
	if below {
		return rest != "" && slices.Contains(table[i].below, verb)
	}
	return slices.Contains(table[i].verbs, action)
}

// builtin are the two roles that every installation has: role:readonly may get everything but run nothing, role:admin
// may do everything but call extensions. The user admin has the latter.
func builtin(m *matchers) (rules, error) {
	out := rules{links: []link{{"role:admin", "role:readonly"}, {"admin", "role:admin"}}}
	grant := func(role string, r resource, action string) {
		object := "*"
		if r.scoped {
			object = "*/*"
		}
		out.rules = append(out.rules, rule{role, r.name, action, object, allow})
	}
	for _, r := range table {
		if r.name == Extensions {
			continue
		}
		for _, verb := range r.verbs {
			if verb == "get" {
				grant("role:readonly", r, verb)
				continue
			}
			grant("role:admin", r, verb)
		}
		for _, verb := range r.below {
			grant("role:admin", r, verb+"/*")
		}
	}
	if m.mode == Regex {
		out.asExpressions()
	}
	for _, r := range out.rules {
		if err := m.addRule(r); err != nil {
			return out, err
		}
	}
	return out, nil
}

// asExpressions turns the few globs of the built-in rules into whole expressions: as they are, "get" would match
// anywhere, and "*" is no expression.
func (r *rules) asExpressions() {
	whole := func(glob string) string { return "^" + strings.ReplaceAll(glob, "*", ".*") + "$" }
	for i, p := range r.rules {
		p.resource, p.action, p.object = whole(p.resource), whole(p.action), whole(p.object)
		r.rules[i] = p
	}
}

// ApplicationObject is the object of an Application or ApplicationSet, of its logs and of programs run in its pods. The
// namespace counts outside the control namespace alone.
func ApplicationObject(project, namespace, name, control string) string {
	if project == "" {
		project = "default"
	}
	if namespace == "" || namespace == control {
		return project + "/" + name
	}
	return project + "/" + namespace + "/" + name
}

// ClusterObject is the object of a cluster: the URL of its server, never its name, behind its project if it has one.
// Repositories are named alike.
func ClusterObject(project, url string) string {
	if project == "" {
		return url
	}
	return project + "/" + url
}

// projectOf is the project whose roles may have a say about an object.
func projectOf(resource, object string) string {
	if resource == Projects {
		return object
	}
	project, _, found := strings.Cut(object, "/")
	if !found || strings.HasSuffix(project, ":") { // a URL
		return ""
	}
	return project
}
