package rbac

import (
	"fmt"
	"slices"
	"sync"

	"github.com/casbin/casbin/v2"
	"github.com/casbin/casbin/v2/model"
	lru "github.com/hashicorp/golang-lru/v2"
)

const (
	decisionsKept = 1 << 16 // decisions that a snapshot remembers
	projectsKept  = 512     // projects whose rules are loaded into an engine of their own
	maxAsked      = 4 << 10 // bytes of one part of a question
	maxGroups     = 1000    // groups of one subject that are looked at
)

// definition is the model of Argo CD: a rule that denies wins over all that allow. Source: its assets/model.conf.
const definition = `
[request_definition]
r = sub, res, act, obj

[policy_definition]
p = sub, res, act, obj, eft

[role_definition]
g = _, _

[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))

[matchers]
m = g(r.sub, p.sub) && matches(r.res, p.res) && matches(r.act, p.act) && matches(r.obj, p.obj)
`

// Subject is who asks: a user with the groups of its login, or a project's role by its token.
type Subject struct {
	Name   string
	Groups []string
}

// Request is what is asked.
type Request struct {
	Resource, Action, Object string
}

// Snapshot is a set of compiled policies. It never changes and is safe for concurrent use.
type Snapshot struct {
	standard string // role of everybody; "" for none
	matchers *matchers
	common   rules            // built-in ones, and those of files
	projects map[string]rules // by name

	global    *engine
	mu        sync.Mutex // guards loaded while an engine is made
	loaded    *lru.Cache[string, *engine]
	decisions *lru.Cache[question, bool]
}

type question struct {
	project, subject string
	Request
}

// engine holds the rules that count for one project, or for none.
type engine struct {
	*casbin.Enforcer
	named map[string]bool // subjects that a rule or a membership names
}

// Compile makes a snapshot. When a file is refused, nothing but the built-in roles counts: neither the other files nor
// the projects, since what was not read may have denied. When a role of a project is refused, nothing of that project's
// roles counts.
func Compile(p Policy, projects []Project) (*Snapshot, []Problem, error) {
	if p.Mode == "" {
		p.Mode = Glob
	}
	s := &Snapshot{standard: p.Default, matchers: newMatchers(p.Mode), projects: map[string]rules{}}
	base, err := builtin(s.matchers)
	if err != nil {
		return nil, nil, fmt.Errorf("compile the built-in roles: %w", err)
	}
	s.common = base
	var problems []Problem
	for _, f := range p.Files {
		read, wrong := parse(f, s.matchers)
		problems = append(problems, wrong...)
		s.common.add(read)
	}
	if Refused(problems) {
		s.common, s.standard, projects = base, "", nil
	}
	for _, project := range projects {
		read, wrong := projectRules(project, s.matchers)
		problems = append(problems, wrong...)
		if !Refused(wrong) {
			s.projects[project.Name] = read
		}
	}
	if s.global, err = s.load(s.common); err != nil {
		return nil, problems, err
	}
	if s.loaded, err = lru.New[string, *engine](projectsKept); err != nil {
		return nil, problems, err
	}
	s.decisions, err = lru.New[question, bool](decisionsKept)
	return s, problems, err
}

// load makes the engine of some rules. Doubles are left out: the library refuses them.
func (s *Snapshot) load(all rules) (*engine, error) {
	m, err := model.NewModelFromString(definition)
	if err != nil {
		return nil, fmt.Errorf("read the model of policies: %w", err)
	}
	e, err := casbin.NewEnforcer(m)
	if err != nil {
		return nil, fmt.Errorf("make an engine for policies: %w", err)
	}
	e.AddFunction("matches", func(args ...any) (any, error) {
		text, is := args[0].(string)
		pattern, also := args[1].(string)
		return is && also && s.matchers.match(text, pattern), nil
	})
	named := map[string]bool{}
	var permissions, members [][]string
	seenRules, seenLinks := map[rule]bool{}, map[link]bool{}
	for _, r := range all.rules {
		if named[r.subject] = true; !seenRules[r] {
			seenRules[r] = true
			permissions = append(permissions, []string{r.subject, r.resource, r.action, r.object, r.effect})
		}
	}
	for _, l := range all.links {
		if named[l.member] = true; !seenLinks[l] {
			seenLinks[l] = true
			members = append(members, []string{l.member, l.role})
		}
	}
	if _, err := e.AddPolicies(permissions); err != nil {
		return nil, fmt.Errorf("load policies: %w", err)
	}
	if _, err := e.AddGroupingPolicies(members); err != nil {
		return nil, fmt.Errorf("load memberships: %w", err)
	}
	return &engine{Enforcer: e, named: named}, nil
}

// Allowed reports whether a subject may do what it asks. The default role is asked first, so that no deny of the
// subject's takes away what everybody has; then the subject itself and each of its groups, of which one suffices. A
// role of a project has no say about another project.
func (s *Snapshot) Allowed(who Subject, r Request) (bool, error) {
	if len(r.Resource)+len(r.Action)+len(r.Object) > maxAsked {
		return false, fmt.Errorf("ask for rights: resource, action and object have more than %d bytes", maxAsked)
	}
	project := projectOf(r.Resource, r.Object)
	e, err := s.engine(project)
	if err != nil {
		return false, err
	}
	subjects := []string{s.standard}
	if of, _, is := cutSubject(who.Name); !is || of == project {
		subjects = append(subjects, who.Name)
		subjects = append(subjects, who.Groups[:min(len(who.Groups), maxGroups)]...)
	}
	for _, name := range slices.Compact(subjects) {
		if !e.named[name] {
			continue
		}
		if yes, err := s.decide(e, question{s.scope(project), name, r}); yes || err != nil {
			return yes, err
		}
	}
	return false, nil
}

// scope is the project, if it has rules of its own.
func (s *Snapshot) scope(project string) string {
	if _, is := s.projects[project]; !is {
		return ""
	}
	return project
}

// engine is the one that holds the rules of a project beside the common ones. Those of other projects are in none that
// is asked, whatever their patterns fit.
func (s *Snapshot) engine(project string) (*engine, error) {
	if project = s.scope(project); project == "" {
		return s.global, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, is := s.loaded.Get(project); is {
		return e, nil
	}
	all := rules{rules: slices.Clone(s.common.rules), links: slices.Clone(s.common.links)}
	all.add(s.projects[project])
	e, err := s.load(all)
	if err != nil {
		return nil, fmt.Errorf("project %s: %w", project, err)
	}
	s.loaded.Add(project, e)
	return e, nil
}

func (s *Snapshot) decide(e *engine, q question) (bool, error) {
	if yes, is := s.decisions.Get(q); is {
		return yes, nil
	}
	yes, err := e.Enforce(q.subject, q.Resource, q.Action, q.Object)
	if err != nil {
		return false, fmt.Errorf("decide whether %s may %s %s %s: %w", brief(q.subject), q.Action, q.Resource,
			q.Object, err)
	}
	s.decisions.Add(q, yes)
	return yes, nil
}
