package param

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"github.com/argosy-mesh/argosy/libs/script"
	"github.com/argosy-mesh/argosy/libs/sensing"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/tidwall/gjson"
)

// resolve finds a parameter's value: template, then key, then value; data before
// context. Without any of them it is the whole event. raw tells that the value is
// JSON to be set as it is.
func (f Filler) resolve(src *v1alpha1.TriggerParameterSource) (value string, raw bool, err error) {
	e, contributed := f.Events[src.DependencyName]
	if !contributed {
		if src.Value != nil {
			return src.Value.String(), false, nil
		}
		return "", false, errSkip
	}
	if src.DataKey == "" && src.DataTemplate == "" && src.ContextKey == "" && src.ContextTemplate == "" {
		if src.Value != nil {
			return src.Value.String(), false, nil
		}
		return string(e.Whole()), src.UseRawData, nil
	}
	value, raw, err = f.fromEvent(src, e)
	if err != nil && src.Value != nil {
		return src.Value.String(), false, nil
	}
	return value, raw, err
}

// fromEvent tries what the source names, in order, and returns the first that gives
// something.
func (f Filler) fromEvent(src *v1alpha1.TriggerParameterSource, e sensing.Event) (string, bool, error) {
	var firstErr error
	for _, s := range []struct {
		template, key string
		data          func() []byte
	}{
		{src.DataTemplate, src.DataKey, func() []byte { return e.Data }},
		{src.ContextTemplate, src.ContextKey, e.Context},
	} {
		if s.template != "" {
			text, err := f.render(s.template, s.data())
			if err == nil {
				return text, false, nil
			}
			if firstErr == nil {
				firstErr = err
			}
		}
		if s.key != "" {
			if found := gjson.GetBytes(s.data(), s.key); found.Exists() {
				return text(found), src.UseRawData && found.Type != gjson.String, nil
			}
			if firstErr == nil {
				firstErr = fmt.Errorf("the event of dependency %q has nothing at %q", src.DependencyName, s.key)
			}
		}
		if (s.template != "" || s.key != "") && firstErr != nil {
			break // data was asked for; the context does not stand in for it
		}
	}
	return "", false, firstErr
}

// text is how numbers, booleans and blocks become strings.
func text(r gjson.Result) string {
	if r.Type == gjson.String {
		return r.String()
	}
	return r.Raw
}

// Cache keeps compiled templates by their text. The nil Cache keeps nothing. It is
// for one trigger, whose texts are few.
type Cache struct{ templates sync.Map }

func (c *Cache) template(source string) (*script.Template, error) {
	if c == nil {
		return script.CompileTemplate(source)
	}
	if t, ok := c.templates.Load(source); ok {
		return t.(*script.Template), nil
	}
	t, err := script.CompileTemplate(source)
	if err == nil {
		c.templates.Store(source, t)
	}
	return t, err
}

// Destination is where a dest points in a document, with its queries replaced by the index that they find.
func Destination(document []byte, dest string) (string, error) { return settle(document, dest) }

// settle replaces queries of a path, such as parameters.#(name=="x").value, by the
// index that they find: the setter knows indexes only.
func settle(document []byte, path string) (string, error) {
	for range maxQueries {
		start := strings.Index(path, "#(")
		if start < 0 {
			return path, nil
		}
		end := queryEnd(path, start)
		if end < 0 {
			return "", fmt.Errorf("the query %q is not closed", path[start:])
		}
		index, err := position(document, strings.TrimSuffix(path[:start], "."), path[start:end])
		if err != nil {
			return "", err
		}
		path = path[:start] + fmt.Sprint(index) + path[end:]
	}
	return "", fmt.Errorf("more than %d queries in one path", maxQueries)
}

// maxQueries bounds the queries of one path.
const maxQueries = 20

// queryEnd is where #(...) ends; quoted parentheses do not count.
func queryEnd(path string, start int) int {
	depth, quoted := 0, false
	for i := start + 1; i < len(path); i++ {
		switch c := path[i]; {
		case c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '(':
			depth++
		case c == ')':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return -1
}

// position is the index of the element that a query finds in the list at path.
func position(document []byte, path, query string) (int, error) {
	list := gjson.ParseBytes(document)
	if path != "" {
		list = list.Get(path)
	}
	if !list.IsArray() {
		return 0, fmt.Errorf("there is no list at %q", path)
	}
	for i, element := range list.Array() {
		wrapped, err := json.Marshal([]json.RawMessage{json.RawMessage(element.Raw)})
		if err != nil {
			return 0, fmt.Errorf("element %d of %q: %w", i, path, err)
		}
		if gjson.GetBytes(wrapped, query).Exists() {
			return i, nil
		}
	}
	return 0, fmt.Errorf("no element of %q fits %s", path, query)
}
