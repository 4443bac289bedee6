package rbac

import (
	"errors"
	"fmt"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// Project is an AppProject, as far as roles go.
type Project struct {
	Name  string
	Roles []v1alpha1.ProjectRole
}

// RoleSubject is the subject of rules of a project's role, and of its tokens.
func RoleSubject(project, role string) string { return "proj:" + project + ":" + role }

// cutSubject is the opposite of RoleSubject.
func cutSubject(subject string) (project, role string, ok bool) {
	parts := strings.Split(subject, ":")
	if len(parts) != 3 || parts[0] != "proj" || parts[1] == "" || parts[2] == "" {
		return "", "", false
	}
	return parts[1], parts[2], true
}

// projectRules are what the roles of a project may do: see the project, what their policies say, and for whom. A policy
// about another role, or about objects of another project, is a problem: a project must not grant what is not its own.
func projectRules(p Project, m *matchers) (rules, []Problem) {
	var out rules
	var problems []Problem
	for _, role := range p.Roles {
		subject := RoleSubject(p.Name, role.Name)
		file := fmt.Sprintf("project %s, role %s", p.Name, role.Name)
		if role.Name == "" || strings.ContainsAny(role.Name, ":, \t\n") {
			problems = append(problems, Problem{File: file, Text: "the name is empty or holds a colon, comma or space"})
			continue
		}
		see := rule{subject, m.literal(Projects), m.literal("get"), m.literal(p.Name), allow}
		if err := m.addRule(see); err != nil {
			problems = append(problems, Problem{File: file, Text: err.Error()})
			continue
		}
		own := rules{rules: []rule{see}}
		for i, policy := range role.Policies {
			before := len(own.rules)
			warning, err := own.line(strings.TrimSpace(policy), m)
			if err == nil && len(own.rules)+len(own.links) > before {
				err = own.within(p.Name, subject)
			}
			if err != nil {
				problems = append(problems, Problem{File: file, Line: i + 1, Text: err.Error()})
			}
			if warning != "" {
				problems = append(problems, Problem{File: file, Line: i + 1, Text: warning, Warning: true})
			}
		}
		for _, group := range role.Groups {
			if group != "" {
				own.links = append(own.links, link{group, subject})
			}
		}
		out.add(own)
	}
	return out, problems
}

// within looks at the rule that was read last.
func (r *rules) within(project, subject string) error {
	if len(r.links) > 0 {
		return errors.New("a policy of a role begins with p; groups have a field of their own")
	}
	last := r.rules[len(r.rules)-1]
	switch {
	case last.subject != subject:
		return fmt.Errorf("subject %q is not the role's own, %s", brief(last.subject), subject)
	case last.object != project && !strings.HasPrefix(last.object, project+"/") &&
		!strings.HasPrefix(last.object, "^"+project+"/"):
		return fmt.Errorf("object %q does not begin with %s/", brief(last.object), project)
	}
	return nil
}
