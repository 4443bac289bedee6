package crdgen

import (
	"errors"
	"fmt"
	"reflect"

	"sigs.k8s.io/yaml"
)

// Definition returns text, a CustomResourceDefinition, with the schema of its only version replaced by that of t.
// Names, scope and columns stay as they are.
func Definition(text []byte, t reflect.Type) ([]byte, error) {
	var crd map[string]any
	if err := yaml.Unmarshal(text, &crd); err != nil {
		return nil, fmt.Errorf("read definition: %w", err)
	}
	spec, ok := crd["spec"].(map[string]any)
	if !ok {
		return nil, errors.New("spec: is no object")
	}
	versions, ok := spec["versions"].([]any)
	if !ok || len(versions) != 1 {
		return nil, errors.New("spec.versions: is no list of one")
	}
	version, ok := versions[0].(map[string]any)
	if !ok {
		return nil, errors.New("spec.versions[0]: is no object")
	}
	version["schema"] = Schema{"openAPIV3Schema": root(t)}
	out, err := yaml.Marshal(crd)
	if err != nil {
		return nil, fmt.Errorf("write definition: %w", err)
	}
	return out, nil
}

// Kind returns the kind that a definition is of.
func Kind(text []byte) (string, error) {
	var crd struct {
		Spec struct{ Names struct{ Kind string } }
	}
	if err := yaml.Unmarshal(text, &crd); err != nil {
		return "", fmt.Errorf("read definition: %w", err)
	}
	if crd.Spec.Names.Kind == "" {
		return "", errors.New("spec.names.kind: is empty")
	}
	return crd.Spec.Names.Kind, nil
}

// root is the schema of a whole object; the API server itself checks its metadata.
func root(t reflect.Type) Schema {
	s := Of(t)
	delete(s, keepUnknown)
	properties, _ := s["properties"].(Schema)
	properties["metadata"] = Schema{"type": "object"}
	properties["apiVersion"], properties["kind"] = Schema{"type": "string"}, Schema{"type": "string"}
	s["required"] = []string{"metadata", "spec"}
	return s
}
