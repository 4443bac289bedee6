package rbac

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/gobwas/glob"
)

const (
	maxPattern = 1 << 10 // bytes
	maxBraces  = 16      // alternatives of a glob
)

// matchers are compiled patterns. Those of one snapshot do not change once it is made.
type matchers struct {
	mode  Mode
	known map[string]func(string) bool
}

func newMatchers(mode Mode) *matchers {
	return &matchers{mode: mode, known: map[string]func(string) bool{}}
}

// add compiles a pattern. Globs have no separators: * stands for slashes, too.
func (m *matchers) add(pattern string) error {
	if _, is := m.known[pattern]; is {
		return nil
	}
	switch {
	case pattern == "":
		return errors.New("it is empty; * stands for all")
	case len(pattern) > maxPattern:
		return fmt.Errorf("the pattern is longer than %d bytes", maxPattern)
	case m.mode == Regex:
		r, err := regexp.Compile(pattern)
		if err != nil {
			return fmt.Errorf("it is no regular expression: %w", err)
		}
		m.known[pattern] = r.MatchString
		return nil
	case strings.Count(pattern, "{") > maxBraces:
		return fmt.Errorf("the pattern has more than %d braces", maxBraces)
	}
	g, err := compileGlob(pattern)
	if err != nil {
		return fmt.Errorf("it is no glob: %w", err)
	}
	m.known[pattern] = g.Match
	return nil
}

// literal is the pattern that fits one text alone.
func (m *matchers) literal(text string) string {
	if m.mode == Regex {
		return "^" + regexp.QuoteMeta(text) + "$"
	}
	return glob.QuoteMeta(text)
}

// addRule compiles the patterns of a rule.
func (m *matchers) addRule(r rule) error {
	for _, of := range [][2]string{{"resource", r.resource}, {"action", r.action}, {"object", r.object}} {
		if err := m.add(of[1]); err != nil {
			return fmt.Errorf("%s %q: %w", of[0], brief(of[1]), err)
		}
	}
	return nil
}

// compileGlob turns panics of the library into errors.
func compileGlob(pattern string) (g glob.Glob, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	return glob.Compile(pattern)
}

// match is false for a pattern that was never added.
func (m *matchers) match(text, pattern string) bool {
	f := m.known[pattern]
	return f != nil && f(text)
}
