package rbac

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

const (
	maxFile = 1 << 20 // bytes of one policy file; a ConfigMap holds no more
	maxLine = 4 << 10 // bytes of one rule
)

// rule lets a subject do something, or forbids it.
type rule struct {
	subject, resource, action, object, effect string
}

// link says that who is the first has what the second may do.
type link struct {
	member, role string
}

// rules are what files say.
type rules struct {
	rules []rule
	links []link
}

func (r *rules) add(other rules) {
	r.rules = append(r.rules, other.rules...)
	r.links = append(r.links, other.links...)
}

const (
	allow = "allow"
	deny  = "deny"
)

// parse reads one file. A line is empty, a comment that begins with #, "p, subject, resource, action, object, effect"
// or "g, member, role".
func parse(f File, m *matchers) (rules, []Problem) {
	var out rules
	var problems []Problem
	if len(f.Text) > maxFile {
		return out, []Problem{{File: f.Name, Text: fmt.Sprintf("it has more than %d bytes", maxFile)}}
	}
	number := 0
	for line := range strings.Lines(f.Text) {
		number++
		warning, err := out.line(strings.TrimSpace(line), m)
		if err != nil {
			problems = append(problems, Problem{File: f.Name, Line: number, Text: err.Error()})
		}
		if warning != "" {
			problems = append(problems, Problem{File: f.Name, Line: number, Text: warning, Warning: true})
		}
	}
	return out, problems
}

func (r *rules) line(line string, m *matchers) (warning string, err error) {
	if line == "" || strings.HasPrefix(line, "#") {
		return "", nil
	}
	if len(line) > maxLine {
		return "", fmt.Errorf("it is longer than %d bytes", maxLine)
	}
	fields, err := split(line)
	if err != nil {
		return "", err
	}
	switch kind := fields[0]; {
	case kind == "p" && len(fields) == 6:
		return r.permission(rule{fields[1], fields[2], fields[3], fields[4], fields[5]}, m)
	case kind == "g" && len(fields) == 3:
		if fields[1] == "" || fields[2] == "" {
			return "", errors.New("member and role must both be named: g, member, role")
		}
		r.links = append(r.links, link{fields[1], fields[2]})
		return "", nil
	case kind == "p":
		return "", fmt.Errorf(
			"it has %d fields, a rule has 6: p, subject, resource, action, object, allow or deny", len(fields),
		)
	case kind == "g":
		return "", fmt.Errorf("it has %d fields, a membership has 3: g, member, role", len(fields))
	}
	return "", fmt.Errorf("it begins with %q, which is neither p nor g", brief(fields[0]))
}

func (r *rules) permission(p rule, m *matchers) (warning string, err error) {
	if p.effect != allow && p.effect != deny {
		return "", fmt.Errorf("effect %q is neither allow nor deny", brief(p.effect))
	}
	if p.subject == "" {
		return "", errors.New("the subject is missing")
	}
	if err := m.addRule(p); err != nil {
		return "", err
	}
	r.rules = append(r.rules, p)
	if !slices.ContainsFunc(Resources(), func(name string) bool { return m.match(name, p.resource) }) {
		warning = fmt.Sprintf("there is no resource %q: the rule never counts", brief(p.resource))
	}
	return warning, nil
}

// split cuts a line at its commas; quotes keep one within a field.
func split(line string) ([]string, error) {
	r := csv.NewReader(strings.NewReader(line))
	r.TrimLeadingSpace = true
	fields, err := r.Read()
	if err != nil {
		if p, is := errors.AsType[*csv.ParseError](err); is {
			err = p.Err
		}
		return nil, fmt.Errorf("it is no list of fields: %w", err)
	}
	if _, err := r.Read(); !errors.Is(err, io.EOF) {
		return nil, errors.New("it is more than one line")
	}
	for i := range fields {
		fields[i] = strings.TrimSpace(fields[i])
	}
	return fields, nil
}
