// Package lint says what is wrong with a manifest before it runs, with the line of each finding.
//
// It decides from the text alone: no cluster is asked, so a secret that is missing is not found here. What the service
// would refuse is an error; what it takes but leaves without effect is a warning.
package lint

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"go.yaml.in/yaml/v3"
)

// Severity says how much a finding matters.
type Severity string

// The severities.
const (
	// Error is something that keeps the object, or a part of it, from working.
	Error Severity = "error"
	// Warning is something that has no effect, or another one than it seems.
	Warning Severity = "warning"
)

// Finding is one thing that is wrong.
type Finding struct {
	// Path is where it stands, such as spec.webhook.example.endpoint.
	Path string
	// Message says what is wrong and what would be right.
	Message string
	// Line is the line in the text, counted from 1; 0 when there is no text.
	Line int
	// Severity says how much it matters.
	Severity Severity
}

// String returns "line: severity: path: message" as compilers write it, without the line when there is none.
func (f Finding) String() string {
	text := fmt.Sprintf("%s: %s: %s", f.Severity, f.Path, f.Message)
	if f.Line == 0 {
		return text
	}
	return fmt.Sprintf("%d: %s", f.Line, text)
}

// Lines finds the line of a path in one YAML document.
type Lines map[string]int

// Of returns the line of a path, or of the closest part around it; 0 when there is no text.
func (l Lines) Of(path string) int {
	for path != "" {
		if line, ok := l[path]; ok {
			return line
		}
		cut := strings.LastIndexAny(path, ".[")
		if cut < 0 {
			break
		}
		path = path[:cut]
	}
	return l[""]
}

// Read parses one YAML document into its plain value and the lines of its parts. Paths are written as
// [v1alpha1.FieldWarning] writes them.
func Read(text []byte) (map[string]any, Lines, error) {
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		return nil, nil, fmt.Errorf("read the manifest: %w", err)
	}
	object := map[string]any{}
	if err := root.Decode(&object); err != nil {
		return nil, nil, fmt.Errorf("read the manifest: %w", err)
	}
	lines := Lines{}
	lines.note(&root, "", 0)
	return object, lines, nil
}

// maxDepth bounds how deep a document is walked: aliases may point back.
const maxDepth = 100

func (l Lines) note(n *yaml.Node, path string, depth int) {
	if depth > maxDepth {
		return
	}
	if _, known := l[path]; !known {
		l[path] = n.Line
	}
	switch n.Kind {
	case yaml.DocumentNode:
		for _, child := range n.Content {
			l.note(child, path, depth+1)
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			at := join(path, n.Content[i].Value)
			l[at] = n.Content[i].Line
			l.note(n.Content[i+1], at, depth+1)
		}
	case yaml.SequenceNode:
		for i, child := range n.Content {
			l.note(child, fmt.Sprintf("%s[%d]", path, i), depth+1)
		}
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// Decode reads an object tolerantly and turns what the decoder saw into findings.
func Decode[T any](object map[string]any) (*T, []Finding) {
	into, warnings, err := v1alpha1.DecodeTolerant[T](object)
	var out []Finding
	for _, w := range warnings {
		out = append(out, Finding{Path: w.Path, Message: w.Message, Severity: Warning})
	}
	for _, e := range flatten(err) {
		path := ""
		if field, ok := errors.AsType[*v1alpha1.FieldError](e); ok {
			path, e = field.Path, field.Err
		}
		out = append(out, Finding{Path: path, Message: e.Error(), Severity: Error})
	}
	return into, out
}

func flatten(err error) []error {
	if err == nil {
		return nil
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		return many.Unwrap()
	}
	return []error{err}
}

// Sorted gives findings their lines and puts them in the order of the text.
func Sorted(found []Finding, lines Lines) []Finding {
	for i := range found {
		found[i].Line = lines.Of(found[i].Path)
	}
	slices.SortStableFunc(found, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), strings.Compare(a.Path, b.Path))
	})
	return found
}
