package core

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig/v3"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"
	"sigs.k8s.io/yaml"
)

// Resource builds the object of a firing: the manifest of the trigger's source
// with parameters set and {{dependency...}} tags replaced. The result is JSON.
func Resource(f Firing, source *v1alpha1.EventArtifactLocation, parameters []v1alpha1.TriggerParameter) ([]byte, error) {
	manifest, err := manifestOf(source)
	if err != nil {
		return nil, err
	}
	if manifest, err = desugar(manifest, f.Events); err != nil {
		return nil, err
	}
	return apply(manifest, parameters, f.Events)
}

func manifestOf(source *v1alpha1.EventArtifactLocation) ([]byte, error) {
	switch {
	case source == nil:
		return nil, errors.New("source: is missing")
	case len(source.Resource) > 0:
		return source.Resource, nil
	case source.Inline != nil:
		raw, err := yaml.YAMLToJSON([]byte(*source.Inline))
		if err != nil {
			return nil, fmt.Errorf("source.inline: %w", err)
		}
		return raw, nil
	}
	return nil, errors.New("source: only resource and inline are supported by this version")
}

// apply sets parameters one after the other. Source: Argo Events, ApplyParams.
func apply(object []byte, parameters []v1alpha1.TriggerParameter, events Window) ([]byte, error) {
	for i := range parameters {
		p := &parameters[i]
		if p.Src == nil {
			return nil, fmt.Errorf("parameters[%d].src: is missing", i)
		}
		value, raw, err := resolve(p.Src, events)
		if errors.Is(err, errSkip) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("parameters[%d]: %w", i, err)
		}
		if object, err = set(object, p, value, raw); err != nil {
			return nil, fmt.Errorf("parameters[%d].dest %q: %w", i, p.Dest, err)
		}
	}
	return object, nil
}

// errSkip means a parameter of a dependency that did not contribute.
var errSkip = errors.New("skipped")

func set(object []byte, p *v1alpha1.TriggerParameter, value string, raw bool) ([]byte, error) {
	switch p.Operation {
	case "append":
		value = gjson.GetBytes(object, p.Dest).String() + value
	case "prepend":
		value += gjson.GetBytes(object, p.Dest).String()
	case "", "overwrite":
	default:
		return nil, fmt.Errorf("operation %q is none of append, prepend, overwrite", p.Operation)
	}
	if raw && (p.Operation == "" || p.Operation == "overwrite") {
		return sjson.SetRawBytes(object, p.Dest, []byte(value))
	}
	return sjson.SetBytes(object, p.Dest, value)
}

// resolve finds a parameter's value: template, then key, then value. Numbers and
// blocks come as strings unless raw data is asked for.
func resolve(src *v1alpha1.TriggerParameterSource, events Window) (value string, raw bool, err error) {
	e, contributed := events[src.DependencyName]
	if !contributed {
		if src.Value != nil {
			return src.Value.String(), false, nil
		}
		return "", false, errSkip
	}
	if found, result, err := fromEvent(src, e); found || err != nil {
		if err == nil {
			return text(result), src.UseRawData && result.Type != gjson.String, nil
		}
		if src.Value == nil {
			return "", false, err
		}
	}
	if src.Value != nil {
		return src.Value.String(), false, nil
	}
	if src.DataKey == "" && src.DataTemplate == "" && src.ContextKey == "" && src.ContextTemplate == "" {
		return wholeEvent(e), true, nil
	}
	return "", false, fmt.Errorf("dependency %q has nothing at %q", src.DependencyName, src.DataKey+src.ContextKey)
}

func text(r gjson.Result) string {
	if r.Type == gjson.String {
		return r.String()
	}
	return r.Raw
}

func fromEvent(src *v1alpha1.TriggerParameterSource, e Event) (bool, gjson.Result, error) {
	for _, s := range []struct {
		template, key string
		data          []byte
	}{{src.DataTemplate, src.DataKey, e.Data}, {src.ContextTemplate, src.ContextKey, contextOf(e)}} {
		if s.template != "" {
			out, err := render(s.template, s.data)
			if err != nil {
				return true, gjson.Result{}, err
			}
			return true, gjson.Result{Type: gjson.String, Str: out}, nil
		}
		if s.key != "" {
			if r := gjson.GetBytes(s.data, s.key); r.Exists() {
				return true, r, nil
			}
			return false, gjson.Result{}, nil
		}
	}
	return false, gjson.Result{}, nil
}

// renderLimit bounds what a template may produce.
const renderLimit = 1 << 20

func render(source string, data []byte) (string, error) {
	functions := sprig.TxtFuncMap()
	// A template must not read the environment of the service, nor ask the network.
	for _, name := range []string{"env", "expandenv", "getHostByName"} {
		delete(functions, name)
	}
	t, err := template.New("").Funcs(functions).Parse(source)
	if err != nil {
		return "", fmt.Errorf("template %q: %w", source, err)
	}
	var input any
	if err := json.Unmarshal(data, &input); err != nil {
		return "", fmt.Errorf("template %q: data is not JSON: %w", source, err)
	}
	out := &limited{left: renderLimit}
	if err := t.Execute(out, map[string]any{"Input": input}); err != nil {
		return "", fmt.Errorf("template %q: %w", source, err)
	}
	if s := out.String(); s != "" && s != "<no value>" {
		return s, nil
	}
	return "", fmt.Errorf("template %q gives nothing", source)
}

type limited struct {
	bytes.Buffer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	if l.left -= len(p); l.left < 0 {
		return 0, io.ErrShortWrite
	}
	return l.Buffer.Write(p)
}

func contextOf(e Event) []byte {
	raw, err := json.Marshal(map[string]string{"id": e.ID, "type": e.Type, "source": e.Source, "subject": e.Subject,
		"datacontenttype": e.ContentType, "specversion": "1.0", "time": e.Time.UTC().Format("2006-01-02T15:04:05.999999999Z07:00")})
	if err != nil {
		return []byte("{}")
	}
	return raw
}

// wholeEvent is what a parameter without key gets. Source: Argo Events.
func wholeEvent(e Event) string {
	raw, err := json.Marshal(map[string]any{"context": json.RawMessage(contextOf(e)), "data": base64.StdEncoding.EncodeToString(e.Data)})
	if err != nil {
		return "{}"
	}
	return string(raw)
}

// tagPrefix begins the tags of manifests that never were Argo's own syntax, yet
// guides show: {{dependency.<name>.outputs.<path>}}.
const tagPrefix = "{{dependency."

// desugar replaces such tags in every string of the manifest.
func desugar(manifest []byte, events Window) ([]byte, error) {
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
			return nil, fmt.Errorf("%s%s: the tag is not closed", tagPrefix, abbreviate(after))
		}
		name, path, _ := strings.Cut(tag, ".outputs.")
		e, ok := events[name]
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
		out.Write(quoted[1 : len(quoted)-1])
		rest = tail
	}
}
