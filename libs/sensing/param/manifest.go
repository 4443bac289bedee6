package param

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/tidwall/gjson"
	"sigs.k8s.io/yaml"
)

// Inline returns the manifest of a source that holds it itself, as JSON; ok is false
// for one that must be fetched.
func Inline(source *v1alpha1.EventArtifactLocation) (manifest []byte, ok bool, err error) {
	switch {
	case source == nil:
		return nil, true, errors.New("source: is missing")
	case len(source.Resource) > 0:
		return source.Resource, true, nil
	case source.Inline != nil:
		manifest, err = Parse([]byte(*source.Inline))
		return manifest, true, err
	}
	return nil, false, nil
}

// Parse turns a manifest in YAML or JSON into JSON.
func Parse(text []byte) ([]byte, error) {
	raw, err := yaml.YAMLToJSON(text)
	if err != nil {
		return nil, fmt.Errorf("source: %w", err)
	}
	if !bytes.HasPrefix(raw, []byte("{")) {
		return nil, errors.New("source: is no object")
	}
	return raw, nil
}

// Resource builds the object of a firing from its manifest: tags first, parameters
// then.
func (f Filler) Resource(manifest []byte, parameters []v1alpha1.TriggerParameter) ([]byte, error) {
	manifest, err := f.tags(manifest)
	if err != nil {
		return nil, err
	}
	return f.Apply(manifest, parameters)
}

// tagPrefix begins the tags of manifests that never were Argo's own syntax, yet
// guides show: {{dependency.<name>.outputs.<path>}}.
const tagPrefix = "{{dependency."

// tags replaces such tags in every string of the manifest.
func (f Filler) tags(manifest []byte) ([]byte, error) {
	if !bytes.Contains(manifest, []byte(tagPrefix)) {
		return manifest, nil
	}
	var out strings.Builder
	rest := string(manifest)
	for {
		before, after, found := strings.Cut(rest, tagPrefix)
		out.WriteString(before)
		if !found {
			return []byte(out.String()), nil
		}
		tag, tail, closed := strings.Cut(after, "}}")
		if !closed {
			return nil, fmt.Errorf("%s...: a tag is not closed", tagPrefix)
		}
		name, path, _ := strings.Cut(tag, ".outputs.")
		e, ok := f.Events[name]
		if !ok {
			return nil, fmt.Errorf("%s%s}}: no dependency %q contributed", tagPrefix, tag, name)
		}
		value := gjson.GetBytes(e.Data, path)
		if !value.Exists() {
			return nil, fmt.Errorf("%s%s}}: the event has nothing at %q", tagPrefix, tag, path)
		}
		quoted, err := json.Marshal(text(value))
		if err != nil {
			return nil, fmt.Errorf("%s%s}}: %w", tagPrefix, tag, err)
		}
		if out.Len()+len(quoted) > maxDocument {
			return nil, fmt.Errorf("the document has more than %d bytes", maxDocument)
		}
		out.Write(quoted[1 : len(quoted)-1])
		rest = tail
	}
}
