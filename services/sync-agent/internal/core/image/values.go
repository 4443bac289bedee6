package image

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// Keys are paths of values that hold parts of an image, such as image.tag or containers[0].image. A spec holds all of
// it; then neither name nor tag is written.
type Keys struct {
	Name, Tag, Spec string
}

// WithDefaults are image.name and image.tag where nothing is said. Source: argocd-image-updater.
func (k Keys) WithDefaults() Keys {
	if k.Spec != "" {
		return Keys{Spec: k.Spec}
	}
	if k.Name == "" && k.Tag == "" {
		return Keys{Name: "image.name", Tag: "image.tag"}
	}
	return k
}

// parts are the values to be written, by path.
func (k Keys) parts(v Value) [][2]string {
	k = k.WithDefaults()
	var out [][2]string
	for _, p := range [][2]string{{k.Name, v.NewName}, {k.Tag, v.tag()}, {k.Spec, v.reference()}} {
		if p[0] != "" {
			out = append(out, p)
		}
	}
	return out
}

// tag is the tag, behind which a digest may stand: a chart writes both behind the colon.
func (v Value) tag() string {
	if v.Digest == "" {
		return v.NewTag
	}
	return v.NewTag + "@" + v.Digest
}

// reference is the whole image.
func (v Value) reference() string { return v.NewName + ":" + v.tag() }

// valueOf is what a reference names.
func valueOf(entry, reference string) Value {
	v := Value{Entry: entry}
	v.NewName, v.NewTag, v.Digest = cutReference(reference)
	return v
}

// ReadValues returns what a file of values holds at some keys; what is not there is empty.
func ReadValues(text []byte, entry string, keys Keys) (Value, error) {
	docs, err := documents(text)
	if err != nil {
		return Value{}, fmt.Errorf("read values: %w", err)
	}
	keys = keys.WithDefaults()
	at := func(key string) string {
		if len(docs) == 0 || key == "" {
			return ""
		}
		steps, err := parsePath(docs[0], key)
		if err != nil {
			return ""
		}
		n := follow(docs[0].Content[0], steps)
		if n == nil || n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
			return ""
		}
		return n.Value
	}
	if keys.Spec != "" {
		return valueOf(entry, at(keys.Spec)), nil
	}
	v := valueOf(entry, "x:"+at(keys.Tag))
	v.NewName = at(keys.Name)
	return v, nil
}

// SetValues writes an image to the keys of a file of values. Where each has a value already, every other byte stays;
// otherwise the file is written anew, comments kept.
func SetValues(text []byte, keys Keys, v Value) ([]byte, error) {
	docs, err := documents(text)
	if err != nil {
		return nil, fmt.Errorf("read values: %w", err)
	}
	doc := &yaml.Node{Kind: yaml.DocumentNode, Content: []*yaml.Node{{Kind: yaml.MappingNode, Tag: "!!map"}}}
	switch {
	case len(docs) > 1:
		return nil, fmt.Errorf("write values: the file holds %d documents, values are one", len(docs))
	case len(docs) == 1 && docs[0].Content[0].Kind == yaml.MappingNode:
		doc = docs[0]
	case len(docs) == 1 && docs[0].Content[0].Tag != "!!null":
		return nil, errors.New("write values: the file is not an object")
	}
	var there []replacement
	missing := false
	for _, part := range keys.parts(v) {
		n, made, err := place(doc, part[0])
		if err != nil {
			return nil, fmt.Errorf("write values: %s: %w", part[0], err)
		}
		missing = missing || made || n.Tag == "!!null"
		if n.Value == part[1] && n.Tag == "!!str" {
			continue
		}
		there = append(there, replacement{n, part[1]})
	}
	if len(there) == 0 {
		return text, nil
	}
	if !missing {
		if edited, ok := replaceScalars(text, there); ok && holds(edited, keys, v) {
			return edited, nil
		}
	}
	for _, r := range there {
		r.node.SetString(r.text)
	}
	out, err := encode(doc)
	if err != nil {
		return nil, fmt.Errorf("write values: %w", err)
	}
	if !holds(out, keys, v) {
		return nil, errors.New("write values: what was written is not read back; two keys may be the same")
	}
	return out, nil
}

func holds(text []byte, keys Keys, v Value) bool {
	docs, err := documents(text)
	if err != nil || len(docs) != 1 {
		return false
	}
	for _, part := range keys.parts(v) {
		steps, err := parsePath(docs[0], part[0])
		if err != nil {
			return false
		}
		n := follow(docs[0].Content[0], steps)
		if n == nil || n.Value != part[1] || n.Tag != "!!str" {
			return false
		}
	}
	return true
}

// step is a name or, in a list, an index.
type step struct {
	name  string
	index int // -1 for a name
}

const maxSteps = 32

// parsePath reads a path. A name at the root that is written just like it, dots included, is meant first.
func parsePath(doc *yaml.Node, text string) ([]step, error) {
	if child(doc.Content[0], text) != nil {
		return []step{{text, -1}}, nil
	}
	var out []step
	for part := range strings.SplitSeq(text, ".") {
		name, rest, found := strings.Cut(part, "[")
		if name == "" {
			return nil, errors.New("a name between the dots is empty; a path is like image.tag or images[0].tag")
		}
		out = append(out, step{name, -1})
		for found {
			var number string
			if number, rest, found = strings.Cut(rest, "]"); !found {
				return nil, errors.New("a bracket is not closed")
			}
			i, err := strconv.Atoi(number)
			if err != nil || i < 0 {
				return nil, fmt.Errorf("%q is no index", number)
			}
			out = append(out, step{"", i})
			if rest == "" {
				break
			}
			if rest, found = strings.CutPrefix(rest, "["); !found {
				return nil, errors.New("behind a bracket comes a dot or another one")
			}
		}
	}
	if len(out) > maxSteps {
		return nil, fmt.Errorf("it has more than %d steps", maxSteps)
	}
	return out, nil
}

// follow returns the node at a path, nil where there is none.
func follow(n *yaml.Node, steps []step) *yaml.Node {
	for _, s := range steps {
		next, err := descend(n, s)
		if err != nil || next == nil {
			return nil
		}
		n = next
	}
	return n
}

// place is the scalar at a path, made where it is missing. Elements of lists are not made.
func place(doc *yaml.Node, path string) (n *yaml.Node, made bool, err error) {
	steps, err := parsePath(doc, path)
	if err != nil {
		return nil, false, err
	}
	n = doc.Content[0]
	for i, s := range steps {
		next, err := descend(n, s)
		if err != nil {
			return nil, false, err
		}
		if next == nil {
			next = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null"}
			n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s.name}, next)
			made = true
		}
		if inner := i+1 < len(steps); inner && next.Kind == yaml.ScalarNode && next.Tag == "!!null" &&
			steps[i+1].index < 0 {
			*next = yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
			made = true
		}
		n = next
	}
	if n.Kind != yaml.ScalarNode {
		return nil, false, errors.New("there is an object or a list in its place, or a link to another value")
	}
	return n, made, nil
}

func descend(n *yaml.Node, s step) (*yaml.Node, error) {
	switch {
	case s.index >= 0 && n.Kind == yaml.SequenceNode && s.index < len(n.Content):
		return n.Content[s.index], nil
	case s.index >= 0:
		return nil, fmt.Errorf("there is no element %d", s.index)
	case n.Kind == yaml.MappingNode:
		return child(n, s.name), nil
	}
	return nil, fmt.Errorf("%s is not in an object; a link to another value is not followed", s.name)
}
