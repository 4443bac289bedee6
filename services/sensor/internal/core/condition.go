package core

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// condition is a boolean expression over dependency names.
type condition struct {
	names []string
	hold  func(Window) bool
}

func (c condition) mentions(name string) bool { return slices.Contains(c.names, name) }

// conditionsOf reads spec.triggers[].template.conditions; empty means all
// dependencies. The grammar is && || and parentheses over names.
func conditionsOf(text string, dependencies []v1alpha1.EventDependency) (condition, error) {
	known := map[string]bool{}
	var all []string
	for i := range dependencies {
		known[dependencies[i].Name] = true
		all = append(all, dependencies[i].Name)
	}
	if strings.TrimSpace(text) == "" {
		return condition{names: all, hold: func(w Window) bool {
			return !slices.ContainsFunc(all, func(n string) bool { _, ok := w[n]; return !ok })
		}}, nil
	}
	p := &parser{tokens: tokens(text), known: known, text: text}
	hold, err := p.or()
	if err == nil && p.at < len(p.tokens) {
		err = fmt.Errorf("conditions %q: %q is not expected there", text, p.tokens[p.at])
	}
	if err != nil {
		return condition{}, err
	}
	return condition{names: p.names, hold: hold}, nil
}

// tokens splits at operators and parentheses; everything else is names.
func tokens(text string) []string {
	for _, op := range []string{"&&", "||", "(", ")"} {
		text = strings.ReplaceAll(text, op, " "+op+" ")
	}
	return strings.Fields(text)
}

type parser struct {
	tokens []string
	at     int
	depth  int
	known  map[string]bool
	names  []string
	text   string
}

// maxNesting bounds parentheses, since manifests are untrusted.
const maxNesting = 100

func (p *parser) accept(token string) bool {
	if p.at < len(p.tokens) && p.tokens[p.at] == token {
		p.at++
		return true
	}
	return false
}

func (p *parser) or() (func(Window) bool, error) {
	left, err := p.and()
	for err == nil && p.accept("||") {
		var right func(Window) bool
		if right, err = p.and(); err == nil {
			a := left
			left = func(w Window) bool { return a(w) || right(w) }
		}
	}
	return left, err
}

func (p *parser) and() (func(Window) bool, error) {
	left, err := p.term()
	for err == nil && p.accept("&&") {
		var right func(Window) bool
		if right, err = p.term(); err == nil {
			a := left
			left = func(w Window) bool { return a(w) && right(w) }
		}
	}
	return left, err
}

func (p *parser) term() (func(Window) bool, error) {
	if p.accept("(") {
		if p.depth++; p.depth > maxNesting {
			return nil, fmt.Errorf("conditions: nested more than %d deep", maxNesting)
		}
		inner, err := p.or()
		if err == nil && !p.accept(")") {
			err = fmt.Errorf("conditions %q: a parenthesis is not closed", p.text)
		}
		p.depth--
		return inner, err
	}
	if p.at >= len(p.tokens) {
		return nil, fmt.Errorf("conditions %q: ends where a dependency is expected", p.text)
	}
	name := p.tokens[p.at]
	if !p.known[name] {
		return nil, fmt.Errorf("conditions %q: no dependency is named %q", p.text, name)
	}
	p.at++
	p.names = append(p.names, name)
	return func(w Window) bool { _, ok := w[name]; return ok }, nil
}

// glob compares a name of a dependency, which may hold wildcards.
func glob(pattern, name string) bool {
	if pattern == name {
		return true
	}
	ok, err := path.Match(pattern, name)
	return err == nil && ok
}

func sortedNames(w Window) []string { return slices.Sorted(maps.Keys(w)) }
