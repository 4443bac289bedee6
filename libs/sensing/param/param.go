// Package param fills what a firing sends or creates with values of its events:
// parameters, payloads and headers of triggers, and the tags {{dependency...}}.
//
// Rules are those of Argo Events. It does no I/O; manifests that lie elsewhere are
// fetched by the caller.
package param

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/argosy-mesh/argosy/libs/script"
	"github.com/argosy-mesh/argosy/libs/sensing"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"
)

// Filler fills in from the events of one firing. Templates are compiled once and kept
// for the life of the Filler's cache.
type Filler struct {
	Events sensing.Window
	// Cache may be nil; a trigger that fires often gives the same one each time.
	Cache *Cache
	// Alarm, when set, ends templates that take too long.
	Alarm func() bool
}

// errSkip means a parameter of a dependency that did not contribute.
var errSkip = errors.New("skipped")

// Apply sets parameters on a JSON document, one after the other. One whose
// dependency did not contribute, and that has no value of its own, is skipped.
func (f Filler) Apply(document []byte, parameters []v1alpha1.TriggerParameter) ([]byte, error) {
	for i := range parameters {
		p := &parameters[i]
		if p.Src == nil {
			return nil, fmt.Errorf("parameters[%d].src: is missing", i)
		}
		if p.Dest == "" {
			return nil, fmt.Errorf("parameters[%d].dest: is empty", i)
		}
		value, raw, err := f.resolve(p.Src)
		if errors.Is(err, errSkip) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("parameters[%d]: %w", i, err)
		}
		if document, err = set(document, p, value, raw); err != nil {
			return nil, fmt.Errorf("parameters[%d].dest %q: %w", i, p.Dest, err)
		}
	}
	return document, nil
}

// Template applies trigger.parameters to the trigger's template and returns the
// template as it counts for this firing.
func (f Filler) Template(
	t *v1alpha1.TriggerTemplate, parameters []v1alpha1.TriggerParameter,
) (*v1alpha1.TriggerTemplate, error) {
	if len(parameters) == 0 {
		return t, nil
	}
	raw, err := json.Marshal(t)
	if err != nil {
		return nil, fmt.Errorf("template: %w", err)
	}
	if raw, err = f.Apply(raw, parameters); err != nil {
		return nil, err
	}
	out := &v1alpha1.TriggerTemplate{}
	if err := json.Unmarshal(raw, out); err != nil {
		return nil, fmt.Errorf("template, after its parameters: %w", err)
	}
	return out, nil
}

// Fill applies a trigger's own parameters to its configuration, a pointer to a
// struct such as *v1alpha1.HTTPTrigger, and returns the result.
func Fill[T any](f Filler, configuration *T, parameters []v1alpha1.TriggerParameter) (*T, error) {
	if len(parameters) == 0 {
		return configuration, nil
	}
	raw, err := json.Marshal(configuration)
	if err != nil {
		return nil, err
	}
	if raw, err = f.Apply(raw, parameters); err != nil {
		return nil, err
	}
	out := new(T)
	if err := json.Unmarshal(raw, out); err != nil {
		return nil, fmt.Errorf("after its parameters: %w", err)
	}
	return out, nil
}

// Payload builds a body. An element with an empty dest is the whole body.
func (f Filler) Payload(elements []v1alpha1.TriggerParameter) ([]byte, error) {
	document := []byte("{}")
	for i := range elements {
		p := &elements[i]
		if p.Src == nil {
			return nil, fmt.Errorf("payload[%d].src: is missing", i)
		}
		value, raw, err := f.resolve(p.Src)
		if errors.Is(err, errSkip) {
			return nil, fmt.Errorf(
				"payload[%d].src.dependencyName: %q did not contribute to this firing, and there is no value", i,
				p.Src.DependencyName,
			)
		}
		if err != nil {
			return nil, fmt.Errorf("payload[%d]: %w", i, err)
		}
		if p.Dest == "" {
			return []byte(value), nil
		}
		if document, err = set(document, p, value, raw); err != nil {
			return nil, fmt.Errorf("payload[%d].dest %q: %w", i, p.Dest, err)
		}
	}
	return document, nil
}

// Headers builds dynamicHeaders; dest is the name of each. One whose dependency did
// not contribute is left out.
func (f Filler) Headers(elements []v1alpha1.TriggerParameter) (map[string]string, error) {
	headers := make(map[string]string, len(elements))
	for i := range elements {
		p := &elements[i]
		if p.Src == nil || p.Dest == "" {
			return nil, fmt.Errorf("dynamicHeaders[%d]: src and dest are needed", i)
		}
		value, _, err := f.resolve(p.Src)
		if errors.Is(err, errSkip) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("dynamicHeaders[%d]: %w", i, err)
		}
		headers[p.Dest] = value
	}
	return headers, nil
}

// maxDocument bounds what parameters may build.
const maxDocument = 64 << 20

func set(document []byte, p *v1alpha1.TriggerParameter, value string, raw bool) ([]byte, error) {
	switch p.Operation {
	case "append":
		value, raw = there(document, p.Dest)+value, false
	case "prepend":
		value, raw = value+there(document, p.Dest), false
	case "", "overwrite":
	default:
		return nil, fmt.Errorf("operation %q is none of append, prepend, overwrite", p.Operation)
	}
	if len(document)+len(value) > maxDocument {
		return nil, fmt.Errorf("the document has more than %d bytes", maxDocument)
	}
	dest, err := settle(document, p.Dest)
	if err != nil {
		return nil, err
	}
	if raw {
		return sjson.SetRawBytes(document, dest, []byte(value))
	}
	return sjson.SetBytes(document, dest, value)
}

// there is what a document holds at a path, as text.
func there(document []byte, path string) string {
	r := gjson.GetBytes(document, path)
	if r.Type == gjson.Number {
		return r.Raw
	}
	return r.String()
}

// render runs a template over JSON data.
func (f Filler) render(source string, data []byte) (string, error) {
	t, err := f.Cache.template(source)
	if err != nil {
		return "", err
	}
	input, err := script.Decode(data)
	if err != nil {
		return "", fmt.Errorf("template %q: the data is no JSON", source)
	}
	limits := script.DefaultLimits()
	limits.Alarm = f.Alarm
	return t.Run(input, limits)
}
