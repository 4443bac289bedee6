package image

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"
)

// markerKey names the policy in the comment behind a value: # {"$imagepolicy": "namespace:name:tag"}. Source: Flux,
// image automation.
const markerKey = "$imagepolicy"

// HasMarker reports whether a file may hold markers.
func HasMarker(text []byte) bool { return bytes.Contains(text, []byte(markerKey)) }

// marker is a value that a policy sets.
type marker struct {
	node *yaml.Node
	part string // "", name, tag or digest
}

// value is what is written at a marker.
func (m marker) value(v Value) (string, bool) {
	switch m.part {
	case "":
		return v.reference(), true
	case "tag":
		return v.NewTag, true
	case "name":
		return v.NewName, true
	case "digest":
		return v.Digest, v.Digest != ""
	}
	return "", false
}

// markers are those of one policy, namespace:name.
func markers(text []byte, policy string) ([]marker, error) {
	docs, err := documents(text)
	if err != nil {
		return nil, fmt.Errorf("read markers: %w", err)
	}
	var out []marker
	for _, doc := range docs {
		scalars(doc, func(n *yaml.Node) {
			if m, of := readMarker(n); of == policy {
				out = append(out, m)
			}
		})
	}
	return out, nil
}

func readMarker(n *yaml.Node) (marker, string) {
	comment := strings.TrimSpace(strings.TrimLeft(n.LineComment, "#"))
	if !strings.HasPrefix(comment, "{") {
		return marker{}, ""
	}
	var setter map[string]string
	if json.Unmarshal([]byte(comment), &setter) != nil {
		return marker{}, ""
	}
	parts := strings.Split(setter[markerKey], ":")
	switch len(parts) {
	case 2:
		return marker{node: n}, setter[markerKey]
	case 3:
		return marker{n, parts[2]}, parts[0] + ":" + parts[1]
	}
	return marker{}, ""
}

// ReadMarkers returns what the markers of a policy hold now, and whether there are any.
func ReadMarkers(text []byte, policy string) (Value, bool, error) {
	all, err := markers(text, policy)
	var v Value
	for _, m := range all {
		switch m.part {
		case "":
			v = valueOf(policy, m.node.Value)
		case "tag":
			v.NewTag = m.node.Value
		case "name":
			v.NewName = m.node.Value
		case "digest":
			v.Digest = m.node.Value
		}
	}
	return v, len(all) > 0, err
}

// SetMarkers writes an image at the markers of a policy, in any number of documents, and leaves every other byte alone.
func SetMarkers(text []byte, policy string, v Value) ([]byte, error) {
	all, err := markers(text, policy)
	if err != nil {
		return nil, err
	}
	var set []replacement
	for _, m := range all {
		value, ok := m.value(v)
		if ok && m.node.Value != value {
			set = append(set, replacement{m.node, value})
		}
	}
	if len(set) == 0 {
		return text, nil
	}
	out, ok := replaceScalars(text, set)
	if !ok {
		return nil, fmt.Errorf("write markers of %s: a marked value is not on one line", policy)
	}
	again, err := markers(out, policy)
	if err != nil || len(again) != len(all) {
		return nil, fmt.Errorf("write markers of %s: what was written is not read back", policy)
	}
	for _, m := range again {
		if value, ok := m.value(v); ok && m.node.Value != value {
			return nil, fmt.Errorf("write markers of %s: line %d is not as written", policy, m.node.Line)
		}
	}
	return out, nil
}
