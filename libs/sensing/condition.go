package sensing

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/robfig/cron/v3"
)

// condition is a boolean expression over dependency names.
type condition struct {
	names []string
	hold  func(Window) bool
	waits bool // no single event can make it true, or not every one does
}

func (c condition) mentions(name string) bool { return slices.Contains(c.names, name) }

// conditionsOf reads spec.triggers[].template.conditions; empty means all
// dependencies. The grammar is && || and parentheses over names.
func conditionsOf(text string, dependencies []v1alpha1.EventDependency, exact bool) (condition, error) {
	var all []string
	for i := range dependencies {
		all = append(all, dependencies[i].Name)
	}
	if strings.TrimSpace(text) == "" {
		return condition{names: all, waits: len(all) > 1, hold: func(w Window) bool {
			return !slices.ContainsFunc(all, func(n string) bool { _, ok := w[n]; return !ok })
		}}, nil
	}
	if len(text) > maxCondition {
		return condition{}, fmt.Errorf("conditions: more than %d characters", maxCondition)
	}
	p := &reader{tokens: tokens(text), known: spellings(all, exact), text: text}
	hold, err := p.or()
	if err == nil && p.at < len(p.tokens) {
		err = fmt.Errorf("conditions %q: %q is not expected there", text, p.tokens[p.at])
	}
	if err != nil {
		return condition{}, err
	}
	c := condition{names: p.names, hold: hold}
	for _, name := range c.names {
		c.waits = c.waits || !hold(Window{name: Event{}})
	}
	return c, nil
}

// maxCondition bounds the text of a condition, since manifests are untrusted.
const maxCondition = 16 << 10

// spellings maps what a condition may write to the names of dependencies. Source:
// Argo Events, which turns every "-" into "_" before it evaluates, so that a-b may be
// written a_b.
func spellings(names []string, exact bool) map[string][]string {
	known := map[string][]string{}
	for _, name := range names {
		known[name] = []string{name}
	}
	if exact {
		return known
	}
	folded := map[string][]string{}
	for _, name := range names {
		f := strings.ReplaceAll(name, "-", "_")
		folded[f] = append(folded[f], name)
	}
	for _, same := range folded {
		for _, name := range same {
			known[name] = same
		}
	}
	maps.Copy(known, folded)
	return known
}

// scheduleOf reads a cron of five fields, in its time zone.
func scheduleOf(reset *v1alpha1.ConditionsResetByTime) (cron.Schedule, error) {
	zone := time.UTC
	if reset.Timezone != "" {
		var err error
		if zone, err = time.LoadLocation(reset.Timezone); err != nil {
			return nil, fmt.Errorf("timezone %q: %w", reset.Timezone, err)
		}
	}
	parsed, err := cron.ParseStandard(reset.Cron)
	if err != nil {
		return nil, fmt.Errorf("cron %q: %w", reset.Cron, err)
	}
	if spec, ok := parsed.(*cron.SpecSchedule); ok {
		spec.Location = zone
	}
	return parsed, nil
}

// tokens splits at operators and parentheses; everything else is names.
func tokens(text string) []string {
	for _, op := range []string{"&&", "||", "(", ")"} {
		text = strings.ReplaceAll(text, op, " "+op+" ")
	}
	return strings.Fields(text)
}

type reader struct {
	tokens []string
	at     int
	depth  int
	known  map[string][]string
	names  []string
	text   string
}

// maxNesting bounds parentheses, since manifests are untrusted.
const maxNesting = 100

func (p *reader) accept(token string) bool {
	if p.at < len(p.tokens) && p.tokens[p.at] == token {
		p.at++
		return true
	}
	return false
}

func (p *reader) or() (func(Window) bool, error) {
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

func (p *reader) and() (func(Window) bool, error) {
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

func (p *reader) term() (func(Window) bool, error) {
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
	names, ok := p.known[p.tokens[p.at]]
	if !ok {
		return nil, fmt.Errorf("conditions %q: no dependency is named %q", p.text, p.tokens[p.at])
	}
	p.at++
	p.names = append(p.names, names...)
	return func(w Window) bool {
		return slices.ContainsFunc(names, func(n string) bool { _, ok := w[n]; return ok })
	}, nil
}
