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
	"unicode/utf16"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/gobwas/glob"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	sigsyaml "sigs.k8s.io/yaml"
)

// skipMarker makes a file be left out.
const skipMarker = "+argocd:skip-file-rendering"

// maxManifests bounds the files of a plain directory together, in bytes. Source: Argo CD's default.
const maxManifests = 10 << 20

var manifestName = regexp.MustCompile(`(?i)\.(yaml|yml|json|jsonnet)$`)

var directory = kind{
	name:       "Directory",
	parameters: func(s v1alpha1.ApplicationSource) any { return given(s.Directory) },
	switchName: "directory",
	found:      func(map[string]bool) bool { return true },
	render:     plain,
}

// plain reads every manifest of a folder, in the order of names.
func plain(job *Job, f *files) ([]*unstructured.Unstructured, error) {
	options := job.Source.Directory
	if options == nil {
		options = &v1alpha1.ApplicationSourceDirectory{}
	}
	chosen, err := choose(job, f, options)
	if err != nil {
		return nil, err
	}
	var out []*unstructured.Unstructured
	total := 0
	for _, name := range slices.Sorted(maps.Keys(chosen)) {
		text := chosen[name]
		if total += len(text); total > maxManifests {
			return nil, fmt.Errorf("%w: %w: the manifests are over %d bytes", ErrSource, ErrLimit, maxManifests)
		}
		objects, err := manifestsOf(job, f, name, text)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrSource, name, err)
		}
		out = append(out, objects...)
	}
	return out, nil
}

// choose are the files that are read, by their paths in the folder.
func choose(job *Job, f *files, options *v1alpha1.ApplicationSourceDirectory) (map[string][]byte, error) {
	include, err := pattern("include", options.Include)
	if err != nil {
		return nil, err
	}
	exclude, err := pattern("exclude", options.Exclude)
	if err != nil {
		return nil, err
	}
	all, err := f.own()
	if err != nil {
		return nil, err
	}
	for name, text := range all {
		if (!options.Recurse && strings.Contains(name, "/")) ||
			(!options.DisableExtensionFilter && !manifestName.MatchString(name)) ||
			slices.Contains(overrideNames(job.App.Name), name) ||
			(exclude != nil && exclude.Match(name)) || (include != nil && !include.Match(name)) ||
			bytes.Contains(text, []byte(skipMarker)) {
			delete(all, name)
		}
	}
	return all, nil
}

// manifestsOf reads one file by what its name says it holds.
func manifestsOf(job *Job, f *files, name string, text []byte) ([]*unstructured.Unstructured, error) {
	text, err := fromUTF16(text)
	if err != nil {
		return nil, err
	}
	switch strings.ToLower(path.Ext(name)) {
	case ".jsonnet":
		return evaluate(job, f, name)
	case ".json":
		return oneOfJSON(text)
	}
	objects, err := decode(text)
	if err != nil && !looksLikeManifest(text) {
		return nil, nil // something else that happens to be YAML
	}
	return objects, err
}

// oneOfJSON reads the object of a JSON file. There is exactly one.
func oneOfJSON(text []byte) ([]*unstructured.Unstructured, error) {
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, nil
	}
	var probe map[string]any
	d := json.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&probe); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("a JSON file holds one object; there is something behind it")
	}
	return objectsOf(text)
}

// fromUTF16 turns text that begins with the mark of UTF-16 into UTF-8, and takes the mark off.
func fromUTF16(text []byte) ([]byte, error) {
	var order func([]byte) uint16
	switch {
	case bytes.HasPrefix(text, []byte{0xff, 0xfe}):
		order = func(b []byte) uint16 { return uint16(b[0]) | uint16(b[1])<<8 }
	case bytes.HasPrefix(text, []byte{0xfe, 0xff}):
		order = func(b []byte) uint16 { return uint16(b[1]) | uint16(b[0])<<8 }
	default:
		return bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")), nil
	}
	if text = text[2:]; len(text)%2 != 0 {
		return nil, errors.New("the text is cut: UTF-16 has two bytes for each unit")
	}
	units := make([]uint16, 0, len(text)/2)
	for pair := range slices.Chunk(text, 2) {
		units = append(units, order(pair))
	}
	return []byte(string(utf16.Decode(units))), nil
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
			return nil, fmt.Errorf("%s%w", from(doc), err)
		}
		if string(asJSON) == "null" {
			continue
		}
		objects, err := objectsOf(asJSON)
		if err != nil {
			return nil, fmt.Errorf("%s%w", from(doc), err)
		}
		out = append(out, objects...)
	}
}

// from is the file that Helm says a document is of, for errors.
func from(doc []byte) string {
	line, _, _ := bytes.Cut(bytes.TrimSpace(bytes.TrimPrefix(doc, []byte("---"))), []byte("\n"))
	name, ok := bytes.CutPrefix(line, []byte("# Source: "))
	if !ok {
		return ""
	}
	return string(name) + ": "
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

// pattern compiles a pattern in which * also crosses folders and {a,b} is a choice.
func pattern(field, text string) (glob.Glob, error) {
	if text == "" {
		return nil, nil
	}
	if len(text) > 1024 {
		return nil, fmt.Errorf("%w: spec.source.directory.%s: over 1024 characters", ErrSource, field)
	}
	compiled, err := glob.Compile(text)
	if err != nil {
		return nil, fmt.Errorf("%w: spec.source.directory.%s: %q: %w", ErrSource, field, text, err)
	}
	return compiled, nil
}
