package image

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// maxFile bounds a file that is edited, in bytes.
const maxFile = 1 << 20

// documents reads all documents of a file; the places of nodes are those of the file.
func documents(text []byte) ([]*yaml.Node, error) {
	if len(text) > maxFile {
		return nil, fmt.Errorf("it has more than %d bytes", maxFile)
	}
	var out []*yaml.Node
	for d := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var doc yaml.Node
		err := d.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		out = append(out, &doc)
	}
}

// replacement is a scalar that gets another value.
type replacement struct {
	node *yaml.Node
	text string
}

// replaceScalars writes new values in the places of old ones and leaves every other byte alone. It reports whether that
// was possible: a value of many lines is not replaced.
func replaceScalars(text []byte, all []replacement) ([]byte, bool) {
	lines := strings.SplitAfter(string(text), "\n")
	all = slices.Clone(all)
	// From the end of a line to its beginning: what is replaced must not move what comes.
	slices.SortFunc(all, func(a, b replacement) int {
		return (b.node.Line-a.node.Line)*maxFile + b.node.Column - a.node.Column
	})
	for _, r := range all {
		at := r.node.Line - 1
		if r.node.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 || at < 0 || at >= len(lines) {
			return nil, false
		}
		from, ok := bytesOf(lines[at], r.node.Column-1)
		if !ok || from == len(lines[at]) {
			return nil, false
		}
		line := lines[at]
		lines[at] = line[:from] + scalar(r.text) + line[from+width(line[from:], r.node):]
	}
	return join(lines), true
}

// bytesOf is how many bytes the first characters of a line have.
func bytesOf(line string, characters int) (int, bool) {
	for i := range line {
		if characters == 0 {
			return i, true
		}
		characters--
	}
	return len(line), characters == 0
}

// scalars are the values of a tree, links not followed.
func scalars(n *yaml.Node, visit func(*yaml.Node)) {
	if n.Kind == yaml.ScalarNode {
		visit(n)
	}
	for _, inner := range n.Content {
		scalars(inner, visit)
	}
}

// encode writes a document anew.
func encode(doc *yaml.Node) ([]byte, error) {
	var out bytes.Buffer
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	if err := e.Encode(doc); err != nil {
		return nil, err
	}
	return out.Bytes(), e.Close()
}
