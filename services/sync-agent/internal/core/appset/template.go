package appset

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/libs/script"
)

// Limits of one generation: thousands of Applications fit many times over.
const (
	maxSets     = 10_000    // sets of parameters
	maxText     = 256 << 20 // bytes that templates give
	maxRendered = 1 << 20   // bytes that one template gives: an object has no more
	maxSteps    = 500_000   // of one template
)

// ErrLimit is wrapped by errors about generators or templates that give too much.
var ErrLimit = errors.New("too much")

// engine fills parameters into texts.
type engine struct {
	tree     bool // Go templates
	options  script.TemplateOptions
	compiled map[string]*script.Template
	alarm    func() bool
	left     int
}

// newEngine reads the options of Go templates.
func newEngine(goTemplate bool, options []string, alarm func() bool) (*engine, error) {
	e := &engine{tree: goTemplate, compiled: map[string]*script.Template{}, alarm: alarm, left: maxText}
	e.options = script.TemplateOptions{
		Without: script.Drawing(),
		Functions: map[string]any{
			"normalize": normalize, "slugify": slugify,
			"toYaml": toYAML, "fromYaml": fromYAML, "fromYamlArray": fromYAMLArray,
		},
	}
	if !goTemplate {
		return e, nil
	}
	for _, o := range options {
		name, value, _ := strings.Cut(o, "=")
		if name != "missingkey" || !slices.Contains([]string{"default", "invalid", "zero", "error"}, value) {
			return nil, fmt.Errorf(
				"spec.goTemplateOptions: %q: there is missingkey=default, missingkey=invalid, missingkey=zero and "+
					"missingkey=error", o)
		}
		e.options.Missing = value
	}
	return e, nil
}

// fill fills parameters into a text.
func (e *engine) fill(s string, p Params) (string, error) {
	if !strings.Contains(s, "{{") {
		return s, nil
	}
	var out string
	if e.tree {
		t := e.compiled[s]
		if t == nil {
			made, err := script.CompileTemplateWith(s, e.options)
			if err != nil {
				return "", err
			}
			t = made
			e.compiled[s] = t
		}
		var err error
		limits := script.Limits{Steps: maxSteps, Bytes: maxRendered, Alarm: e.alarm}
		if out, err = t.Execute(map[string]any(p), limits); err != nil {
			return "", err
		}
	} else if out = replaceTags(s, p); len(out) > maxRendered {
		return "", fmt.Errorf("%w: a template gives more than %d bytes", ErrLimit, maxRendered)
	}
	if e.left -= len(out); e.left < 0 {
		return "", fmt.Errorf("%w: the templates give more than %d bytes", ErrLimit, maxText)
	}
	return out, nil
}

// replaceTags replaces each {{name}} that is a parameter; others stay as they are. Source: fasttemplate.
func replaceTags(s string, p Params) string {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(s, "{{")
		if !found {
			break
		}
		tag, after, closed := strings.Cut(rest, "}}")
		if !closed {
			break
		}
		out.WriteString(before)
		if v, ok := p[strings.TrimSpace(tag)].(string); ok {
			out.WriteString(v)
		} else {
			out.WriteString("{{" + tag + "}}")
		}
		if out.Len() > maxRendered {
			return out.String()
		}
		s = after
	}
	out.WriteString(s)
	return out.String()
}

// fillTree fills parameters into every text of a tree, names of maps included. path names the place in errors.
func (e *engine) fillTree(v any, p Params, path string) (any, error) {
	switch v := v.(type) {
	case string:
		out, err := e.fill(v, p)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return out, nil
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			var err error
			if out[i], err = e.fillTree(item, p, fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for _, k := range slices.Sorted(maps.Keys(v)) {
			name, err := e.fill(k, p)
			if err != nil {
				return nil, fmt.Errorf("%s: name %q: %w", path, k, err)
			}
			if out[name], err = e.fillTree(v[k], p, path+"."+k); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return v, nil
}
