package notify

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/libs/flow/expression"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"
)

// maxConfig bounds the configuration, in bytes; a ConfigMap holds no more.
const maxConfig = 1 << 20

// Condition is one rule of a trigger.
type Condition struct {
	When    string   `json:"when,omitempty"`
	Send    []string `json:"send,omitempty"` // names of templates
	OncePer string   `json:"oncePer,omitempty"`
}

// Subscription is one that holds for all objects that a selector fits.
type Subscription struct {
	Recipients []string `json:"recipients,omitempty"` // service:recipient
	Triggers   []string `json:"triggers,omitempty"`
	Selector   string   `json:"selector,omitempty"`
	selector   labels.Selector
}

// Config is what argocd-notifications-cm and its Secret say. It does not change.
type Config struct {
	triggers      map[string][]Condition
	templates     map[string]message
	services      map[string]definition
	subscriptions []Subscription
	defaults      map[string][]string // triggers by service; "" for all services
	context       map[string]any
	secrets       map[string]string
}

// definition is a service before it is made.
type definition struct {
	kind Kind
	text []byte // YAML with secrets filled in
}

// Problem is an entry of the configuration that cannot be read. The others count.
type Problem struct {
	Key string // of the ConfigMap
	Err error
}

// String names the entry.
func (p Problem) String() string { return fmt.Sprintf("%s: %v", p.Key, p.Err) }

// Read reads the data of the ConfigMap and of the Secret.
func Read(config map[string]string, secret map[string][]byte) (*Config, []Problem) {
	c := &Config{
		triggers: map[string][]Condition{}, templates: map[string]message{}, services: map[string]definition{},
		defaults: map[string][]string{}, context: map[string]any{}, secrets: map[string]string{},
	}
	size := 0
	for key, value := range secret {
		c.secrets[key] = string(value)
	}
	var problems []Problem
	for _, key := range slices.Sorted(maps.Keys(config)) {
		if size += len(config[key]); size > maxConfig {
			return c, append(problems, Problem{key, fmt.Errorf("the configuration has more than %d bytes", maxConfig)})
		}
		if err := c.entry(key, config[key]); err != nil {
			problems = append(problems, Problem{key, c.redacted(err)})
		}
	}
	return c, problems
}

func (c *Config) entry(key, text string) error {
	what, name, _ := strings.Cut(key, ".")
	switch what {
	case "trigger":
		return c.trigger(name, text)
	case "template":
		m, err := readMessage(text)
		if err == nil {
			c.templates[name] = m
		}
		return err
	case "service":
		return c.service(name, text)
	case "subscriptions":
		return c.subscription(text)
	case "defaultTriggers":
		var list []string
		err := yaml.UnmarshalStrict([]byte(text), &list)
		c.defaults[name] = list
		return err
	case "context":
		return yaml.Unmarshal([]byte(text), &c.context)
	}
	return nil // there may be keys of others
}

func (c *Config) trigger(name, text string) error {
	var list []Condition
	if err := yaml.Unmarshal([]byte(text), &list); err != nil {
		return fmt.Errorf("it is no list of conditions: %w", err)
	}
	for i, condition := range list {
		for _, source := range []string{condition.When, condition.OncePer} {
			if source == "" {
				continue
			}
			if err := expression.Check(source); err != nil {
				return fmt.Errorf("condition %d: %w", i, err)
			}
		}
	}
	c.triggers[name] = list
	return nil
}

// service reads service.KIND or service.KIND.NAME.
func (c *Config) service(of, text string) error {
	kindName, name, named := strings.Cut(of, ".")
	if !named {
		name = kindName
	}
	k, is := kindOf(kindName)
	if !is {
		return fmt.Errorf("there is no service %q; there are %s", kindName, strings.Join(Kinds(), ", "))
	}
	filled, err := c.fill(text)
	if err != nil {
		return err
	}
	if _, err := k.make([]byte(filled), Env{}); err != nil {
		return err
	}
	c.services[name] = definition{k, []byte(filled)}
	return nil
}

func (c *Config) subscription(text string) error {
	var list []Subscription
	if err := yaml.UnmarshalStrict([]byte(text), &list); err != nil {
		return fmt.Errorf("it is no list of subscriptions: %w", err)
	}
	for i := range list {
		s, err := labels.Parse(list[i].Selector)
		if err != nil {
			return fmt.Errorf("subscription %d: selector: %w", i, err)
		}
		list[i].selector = s
	}
	c.subscriptions = list
	return nil
}

var reference = regexp.MustCompile(`\$[-A-Za-z0-9._]+`)

// fill puts values of the Secret in the place of $key. They go into YAML, so what would end a value is quoted.
func (c *Config) fill(text string) (string, error) {
	var tree any
	if err := yaml.Unmarshal([]byte(text), &tree); err != nil {
		return "", fmt.Errorf("it is no YAML: %w", err)
	}
	var missing []string
	filled := mapTexts(tree, func(s string) string {
		return reference.ReplaceAllStringFunc(s, func(key string) string {
			value, is := c.secrets[key[1:]]
			if !is {
				missing = append(missing, key)
			}
			return strings.TrimRight(value, "\r\n")
		})
	})
	if len(missing) > 0 {
		return "", fmt.Errorf("the Secret has no %s", strings.Join(missing, ", "))
	}
	out, err := yaml.Marshal(filled)
	return string(out), err
}

// mapTexts replaces all texts of a tree.
func mapTexts(v any, f func(string) string) any {
	switch v := v.(type) {
	case string:
		return f(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = mapTexts(v[i], f)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, inner := range v {
			out[key] = mapTexts(inner, f)
		}
		return out
	}
	return v
}

// hiddenError is an error without the values of the Secret.
type hiddenError struct {
	err  error
	text string
}

func (e hiddenError) Error() string { return e.text }
func (e hiddenError) Unwrap() error { return e.err }

// redacted takes the values of the Secret out of what an error says.
func (c *Config) redacted(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	for _, value := range c.secrets {
		if value = strings.TrimSpace(value); len(value) >= 4 {
			text = strings.ReplaceAll(text, value, "***")
		}
	}
	return hiddenError{err, text}
}
