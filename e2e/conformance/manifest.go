package conformance

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// manifest is one object of one file.
type manifest struct {
	file   string // its name, without the folder
	object *unstructured.Unstructured
}

// manifests reads all objects of a folder's YAML files, in the order of their names. Text goes through edit first.
func manifests(dir string, edit func(string) string) ([]manifest, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var out []manifest
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); ext != ".yaml" && ext != ".yml" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		objects, err := documents([]byte(edit(string(text))))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Name(), err)
		}
		for _, o := range objects {
			out = append(out, manifest{file: e.Name(), object: o})
		}
	}
	return out, nil
}

func documents(text []byte) ([]*unstructured.Unstructured, error) {
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	var out []*unstructured.Unstructured
	for {
		o := &unstructured.Unstructured{}
		if err := decoder.Decode(&o.Object); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return nil, err
		}
		if len(o.Object) > 0 {
			out = append(out, o)
		}
	}
}

// reference is a key of a Secret or ConfigMap that a manifest names.
type reference struct{ name, key string }

// references finds every selector of a key below v: an object with both a name and a key.
func references(v any) []reference {
	var out []reference
	walkJSON(v, func(m map[string]any) {
		name, named := m["name"].(string)
		key, keyed := m["key"].(string)
		if named && keyed && !slices.Contains(out, reference{name, key}) {
			out = append(out, reference{name, key})
		}
	})
	return out
}

func walkJSON(v any, see func(map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		see(v)
		for _, below := range v {
			walkJSON(below, see)
		}
	case []any:
		for _, below := range v {
			walkJSON(below, see)
		}
	}
}

// sourceOf finds the kind and settings of an event of an EventSource.
func sourceOf(es *unstructured.Unstructured, event string) (kind string, settings map[string]any, found bool) {
	spec, _ := es.Object["spec"].(map[string]any)
	for kind, v := range spec {
		named, ok := v.(map[string]any)
		if !ok || kind == "service" || kind == "template" {
			continue
		}
		if settings, ok := named[event].(map[string]any); ok {
			return kind, settings, true
		}
	}
	return "", nil, false
}

// replaced is an edit that puts local addresses where manifests name others.
func replaced(addresses map[string]string) func(string) string {
	var pairs []string
	for _, from := range longestFirst(addresses) {
		pairs = append(pairs, from, addresses[from])
	}
	return strings.NewReplacer(pairs...).Replace
}

func longestFirst(m map[string]string) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b string) int { return len(b) - len(a) })
	return keys
}
