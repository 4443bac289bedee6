package render

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	sigsyaml "sigs.k8s.io/yaml"
)

// skipMarker makes a file be left out.
const skipMarker = "+argocd:skip-file-rendering"

var manifestName = regexp.MustCompile(`\.(yaml|yml|json)$`)

var directory = kind{
	name:       "Directory",
	parameters: func(s v1alpha1.ApplicationSource) any { return given(s.Directory) },
	found:      func(map[string][]byte) bool { return true },
	render: func(
		files map[string][]byte, _ string, s v1alpha1.ApplicationSource,
	) ([]*unstructured.Unstructured, error) {
		return plain(files, s.Directory)
	},
}

// plain reads every manifest of a folder, in the order of names.
func plain(
	files map[string][]byte, options *v1alpha1.ApplicationSourceDirectory,
) ([]*unstructured.Unstructured, error) {
	if options == nil {
		options = &v1alpha1.ApplicationSourceDirectory{}
	}
	include, err := globs(options.Include)
	if err != nil {
		return nil, err
	}
	exclude, err := globs(options.Exclude)
	if err != nil {
		return nil, err
	}
	var out []*unstructured.Unstructured
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if (!options.Recurse && strings.Contains(name, "/")) || !manifestName.MatchString(name) ||
			(exclude != nil && exclude.MatchString(name)) || (include != nil && !include.MatchString(name)) ||
			bytes.Contains(files[name], []byte(skipMarker)) {
			continue
		}
		objects, err := decode(files[name])
		if err != nil {
			if path.Ext(name) != ".json" && !looksLikeManifest(files[name]) {
				continue // something else that happens to be YAML
			}
			return nil, fmt.Errorf("%w: %s: %w", ErrSource, name, err)
		}
		out = append(out, objects...)
	}
	return out, nil
}

func looksLikeManifest(text []byte) bool {
	for _, field := range []string{"apiVersion:", "kind:", "metadata:"} {
		if !bytes.Contains(text, []byte(field)) {
			return false
		}
	}
	return true
}

// decode reads a stream of documents; lists are taken apart.
func decode(text []byte) ([]*unstructured.Unstructured, error) {
	var out []*unstructured.Unstructured
	r := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for {
		doc, err := r.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		asJSON, err := sigsyaml.YAMLToJSON(doc)
		if err != nil {
			return nil, err
		}
		if string(asJSON) == "null" {
			continue
		}
		objects, err := objectsOf(asJSON)
		if err != nil {
			return nil, err
		}
		out = append(out, objects...)
	}
}

func objectsOf(asJSON []byte) ([]*unstructured.Unstructured, error) {
	var probe map[string]any
	if err := json.Unmarshal(asJSON, &probe); err != nil {
		return nil, err
	}
	if kind, _ := probe["kind"].(string); kind == "" || probe["apiVersion"] == nil {
		return nil, errors.New("document has no apiVersion or no kind")
	}
	o := &unstructured.Unstructured{}
	if err := o.UnmarshalJSON(asJSON); err != nil {
		return nil, err
	}
	if !o.IsList() {
		if o.GetName() == "" && o.GetGenerateName() == "" {
			return nil, fmt.Errorf("%s has no name", o.GetKind())
		}
		return []*unstructured.Unstructured{o}, nil
	}
	var out []*unstructured.Unstructured
	err := o.EachListItem(func(item runtime.Object) error {
		out = append(out, item.(*unstructured.Unstructured))
		return nil
	})
	return out, err
}

// globs compiles a pattern in which * also crosses folders and {a,b} is a choice.
func globs(pattern string) (*regexp.Regexp, error) {
	if pattern == "" {
		return nil, nil
	}
	expr := strings.NewReplacer(
		`\*`, ".*", `\?`, ".", `\{`, "(?:", `\}`, ")", ",", "|",
	).Replace(regexp.QuoteMeta(pattern))
	compiled, err := regexp.Compile("^(?:" + expr + ")$")
	if err != nil {
		return nil, fmt.Errorf("%w: pattern %q: %w", ErrSource, pattern, err)
	}
	return compiled, nil
}
