package notify

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/argosy-mesh/argosy/libs/script"
	"sigs.k8s.io/yaml"
)

// limits of rendering one field of a template.
var limits = script.Limits{Steps: 200_000, Bytes: 256 << 10}

const (
	maxFields = 200 // texts of one template
	maxDepth  = 20  // of them in each other
)

// message is a template: a tree of fields, each text of which is a template of its own.
type message struct {
	tree any
}

func readMessage(text string) (message, error) {
	var tree map[string]any
	if err := yaml.Unmarshal([]byte(text), &tree); err != nil {
		return message{}, fmt.Errorf("it is no object of fields: %w", err)
	}
	count := 0
	compiled, err := compile(tree, &count, 0)
	return message{compiled}, err
}

func compile(v any, count *int, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("its fields lie more than %d deep in each other", maxDepth)
	}
	switch v := v.(type) {
	case string:
		if *count++; *count > maxFields {
			return nil, fmt.Errorf("it has more than %d fields", maxFields)
		}
		return script.CompileTemplate(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			var err error
			if out[i], err = compile(v[i], count, depth+1); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			var err error
			if out[key], err = compile(v[key], count, depth+1); err != nil {
				return nil, fmt.Errorf("%s: %w", key, err)
			}
		}
		return out, nil
	}
	return v, nil
}

func render(v any, data map[string]any) (any, error) {
	switch v := v.(type) {
	case *script.Template:
		return v.Execute(data, limits)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			var err error
			if out[i], err = render(v[i], data); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, inner := range v {
			var err error
			if out[key], err = render(inner, data); err != nil {
				return nil, fmt.Errorf("%s: %w", key, err)
			}
		}
		return out, nil
	}
	return v, nil
}

// Message is what a service sends. Fields are by the service's kind, or for webhooks by its name.
type Message struct {
	ID        string
	Recipient string
	Text      string // field message
	Fields    map[string]any
	Subject   map[string]any // the object, for services that must know what it is about
	service   string
}

// text is a field of the block of a service, "" when there is none.
func (m Message) text(block string, path ...string) string {
	v := m.Fields[block]
	for _, name := range path {
		inner, _ := v.(map[string]any)
		v = inner[name]
	}
	if v == nil {
		return ""
	}
	s, is := v.(string)
	if !is {
		return fmt.Sprint(v)
	}
	return s
}

// of is a field of the object, "" when there is none.
func (m Message) of(path ...string) string {
	v := any(m.Subject)
	for _, name := range path {
		inner, _ := v.(map[string]any)
		v = inner[name]
	}
	s, _ := v.(string)
	return s
}

// Render makes the message of a notification. Of several templates the later ones win, field by field.
func (c *Config) Render(s Subject, n Notification) (Message, error) {
	out := Message{
		ID: n.ID, Recipient: n.To.Recipient, Fields: map[string]any{}, Subject: s.Object, service: n.To.Service,
	}
	data := s.environment(c)
	data["recipient"], data["serviceType"] = n.To.Recipient, c.services[n.To.Service].kind.Name
	secrets := map[string]any{}
	for key, value := range c.secrets {
		secrets[key] = value
	}
	data["secrets"] = secrets
	if len(n.Templates) == 0 {
		return out, errors.New("the trigger sends no template")
	}
	for _, name := range n.Templates {
		template, is := c.templates[name]
		if !is {
			return out, fmt.Errorf("template %s is not configured", name)
		}
		rendered, err := render(template.tree, data)
		if err != nil {
			return out, fmt.Errorf("template %s: %w", name, c.redacted(err))
		}
		fields, _ := rendered.(map[string]any)
		maps.Copy(out.Fields, fields)
	}
	out.Text, _ = out.Fields["message"].(string)
	return out, nil
}
