package image

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"

	"gopkg.in/yaml.v3"
)

// Value is one entry below images of a kustomization.
type Value struct {
	Entry   string // name
	NewName string
	NewTag  string
	Digest  string
}

// fields in the order in which they are written.
func (v Value) fields() [][2]string {
	return [][2]string{{"newName", v.NewName}, {"newTag", v.NewTag}, {"digest", v.Digest}}
}

// Read returns the entry of that name; its other fields are empty when there
// is none.
func Read(text []byte, entry string) (Value, error) {
	var k struct {
		Images []struct {
			Name    string `yaml:"name"`
			NewName string `yaml:"newName"`
			NewTag  string `yaml:"newTag"`
			Digest  string `yaml:"digest"`
		} `yaml:"images"`
	}
	if err := yaml.Unmarshal(text, &k); err != nil {
		return Value{Entry: entry}, fmt.Errorf("read kustomization: %w", err)
	}
	for _, i := range k.Images {
		if i.Name == entry {
			return Value{Entry: entry, NewName: i.NewName, NewTag: i.NewTag, Digest: i.Digest}, nil
		}
	}
	return Value{Entry: entry}, nil
}

// Set writes an entry and leaves every other byte alone where the file is
// written in block style; otherwise the file is written anew, comments kept.
func Set(text []byte, v Value) ([]byte, error) {
	old, err := Read(text, v.Entry)
	if err != nil {
		return nil, err
	}
	if old == v {
		return text, nil
	}
	if edited, ok := setInLines(text, v); ok {
		if got, err := Read(edited, v.Entry); err == nil && got == v {
			return edited, nil
		}
	}
	return setInNodes(text, v)
}

// setInLines edits the text by the positions of its nodes.
func setInLines(text []byte, v Value) ([]byte, bool) {
	var doc yaml.Node
	if yaml.Unmarshal(text, &doc) != nil || len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode {
		return nil, false
	}
	lines := strings.SplitAfter(string(text), "\n")
	images := child(doc.Content[0], "images")
	switch {
	case images == nil:
		end := strings.TrimRight(string(text), "\n") + "\n"
		return []byte(end + "images:\n" + block("", v)), true
	case images.Kind != yaml.SequenceNode || images.Style&yaml.FlowStyle != 0 || len(images.Content) == 0:
		return nil, false
	}
	for _, entry := range images.Content {
		if name := child(entry, "name"); entry.Kind == yaml.MappingNode && name != nil && name.Value == v.Entry {
			return setInEntry(lines, entry, v)
		}
	}
	first := images.Content[0]
	line := lines[first.Line-1]
	dash := strings.Index(line, "-")
	if first.Style&yaml.FlowStyle != 0 || dash < 0 || strings.TrimSpace(line[:dash]) != "" {
		return nil, false
	}
	return join(slices.Insert(lines, first.Line-1, block(line[:dash], v))), true
}

func setInEntry(lines []string, entry *yaml.Node, v Value) ([]byte, bool) {
	if entry.Style&yaml.FlowStyle != 0 {
		return nil, false
	}
	name := keyOf(entry, "name")
	indent := strings.Repeat(" ", name.Column-1)
	var add strings.Builder
	for _, f := range v.fields() {
		value := child(entry, f[0])
		switch {
		case value == nil && f[1] != "":
			add.WriteString(indent + f[0] + ": " + scalar(f[1]) + "\n")
		case value != nil && f[1] == "":
			if key := keyOf(entry, f[0]); key.Line == entry.Line || value.Line != key.Line {
				return nil, false // stands beside the dash
			}
			lines[value.Line-1] = ""
		case value != nil:
			line := lines[value.Line-1]
			from := value.Column - 1
			to := from + width(line[from:], value)
			lines[value.Line-1] = line[:from] + scalar(f[1]) + line[to:]
		}
	}
	at := child(entry, "name").Line
	if !strings.HasSuffix(lines[at-1], "\n") {
		lines[at-1] += "\n"
	}
	lines[at-1] += add.String()
	return join(lines), true
}

// width is how long a scalar is as written.
func width(rest string, n *yaml.Node) int {
	if n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) == 0 {
		return min(len(n.Value), len(rest))
	}
	if end := strings.IndexByte(rest[1:], rest[0]); end >= 0 {
		return end + 2
	}
	return len(rest)
}

// scalar quotes what would not be read back as text.
func scalar(s string) string {
	out, err := yaml.Marshal(s)
	if err != nil {
		return fmt.Sprintf("%q", s)
	}
	return strings.TrimSuffix(string(out), "\n")
}

func block(indent string, v Value) string {
	var out strings.Builder
	out.WriteString(indent + "- name: " + scalar(v.Entry) + "\n")
	for _, f := range v.fields() {
		if f[1] != "" {
			out.WriteString(indent + "  " + f[0] + ": " + scalar(f[1]) + "\n")
		}
	}
	return out.String()
}

func join(lines []string) []byte { return []byte(strings.Join(lines, "")) }

func child(m *yaml.Node, key string) *yaml.Node {
	if m.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == key {
			return m.Content[i+1]
		}
	}
	return nil
}

func keyOf(m *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == key {
			return m.Content[i]
		}
	}
	return &yaml.Node{Line: m.Line, Column: m.Column}
}

// setInNodes writes the document anew, where its lines are not to be edited one by one.
func setInNodes(text []byte, v Value) ([]byte, error) {
	root, err := kyaml.Parse(string(text))
	if errors.Is(err, io.EOF) { // nothing but comments
		comments := strings.TrimSpace(string(text))
		if comments != "" {
			comments += "\n"
		}
		return []byte(comments + "images:\n" + block("", v)), nil
	}
	if err != nil {
		return nil, fmt.Errorf("read kustomization: %w", err)
	}
	if root.YNode().Kind != kyaml.MappingNode {
		return nil, errors.New("read kustomization: it is not an object")
	}
	images, err := root.Pipe(kyaml.Lookup("images"))
	if err != nil || images == nil || images.YNode().Kind != kyaml.SequenceNode {
		// What is no list names no image.
		if _, err := root.Pipe(kyaml.FieldSetter{Name: "images", Value: kyaml.NewListRNode()}); err != nil {
			return nil, fmt.Errorf("write kustomization: %w", err)
		}
	}
	entry, err := root.Pipe(kyaml.Lookup("images"), kyaml.ElementMatcher{
		Keys: []string{
			"name",
		},
		Values: []string{v.Entry},
		Create: kyaml.NewMapRNode(&map[string]string{"name": v.Entry}),
	})
	if err != nil {
		return nil, fmt.Errorf("find image %s: %w", v.Entry, err)
	}
	for _, f := range v.fields() {
		edit := kyaml.Filter(kyaml.FieldClearer{Name: f[0]})
		if f[1] != "" {
			edit = kyaml.FieldSetter{Name: f[0], Value: kyaml.NewStringRNode(f[1])}
		}
		if _, err := entry.Pipe(edit); err != nil {
			return nil, fmt.Errorf("write %s of image %s: %w", f[0], v.Entry, err)
		}
	}
	out, err := root.String()
	if err != nil {
		return nil, fmt.Errorf("write kustomization: %w", err)
	}
	return []byte(out), nil
}

// InKustomization is the value as a kustomization holds it: a name that the entry has anyway is left out, and so is the
// tag beside a digest, which kustomize would prefer to it.
func (v Value) InKustomization() Value {
	if v.NewName == v.Entry {
		v.NewName = ""
	}
	if v.Digest != "" {
		v.NewTag = ""
	}
	return v
}
