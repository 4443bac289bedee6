// Package loop says over which items a step or task repeats: withItems, withParam, withSequence.
package loop

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/argosy-mesh/argosy/libs/flow/exactjson"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// maxItems bounds a loop; beyond it a manifest is taken for a mistake.
const maxItems = 100_000

// Loop is what a step and a task have in common when they repeat.
type Loop struct {
	Items    []v1alpha1.Item
	Param    string
	Sequence *v1alpha1.Sequence
}

// Repeats reports whether there is a loop at all.
func (l Loop) Repeats() bool { return l.Items != nil || l.Param != "" || l.Sequence != nil }

// Expand lists the items of a loop. Tags are resolved already, but for those of
// withItems, which are data.
func (l Loop) Expand() ([]v1alpha1.Item, error) {
	switch {
	case l.Param != "":
		var items []v1alpha1.Item
		if err := json.Unmarshal([]byte(l.Param), &items); err != nil {
			return nil, fmt.Errorf("withParam: %q is not a JSON list", exactjson.Abbreviate(l.Param))
		}
		return items, checkCount(len(items))
	case l.Sequence != nil:
		return sequence(*l.Sequence)
	}
	return l.Items, checkCount(len(l.Items))
}

func checkCount(n int) error {
	if n > maxItems {
		return fmt.Errorf("a loop over %d items is over the limit of %d", n, maxItems)
	}
	return nil
}

func sequence(s v1alpha1.Sequence) ([]v1alpha1.Item, error) {
	start, err := number("start", s.Start, 0)
	if err != nil {
		return nil, err
	}
	end, err := number("end", s.End, start)
	if err != nil {
		return nil, err
	}
	if s.Count != nil {
		count, err := number("count", s.Count, 0)
		if err != nil || count <= 0 {
			return nil, err
		}
		end = start + count - 1
	}
	if err := checkCount(max(end-start, start-end) + 1); err != nil {
		return nil, err
	}
	var items []v1alpha1.Item
	step := 1
	if end < start {
		step = -1
	}
	for i := start; ; i += step {
		text := strconv.Itoa(i)
		if s.Format != "" {
			text = fmt.Sprintf(s.Format, i)
		}
		items = append(items, v1alpha1.Item{Value: json.RawMessage(exactjson.Text(text))})
		if i == end {
			return items, nil
		}
	}
}

func number(field string, v fmt.Stringer, fallback int) (int, error) {
	text := fmt.Sprint(v)
	if v == nil || text == "<nil>" {
		return fallback, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("withSequence.%s: %q is not a whole number", field, text)
	}
	return n, nil
}

// Values are the tags of one item, and the text that its node's name ends in. Numbers stay as they are written.
// Source: Argo Workflows, processItem.
func Values(item v1alpha1.Item) (map[string]string, string) {
	value, err := exactjson.Decode(item.Value)
	if err != nil {
		return map[string]string{"item": string(item.Value)}, string(item.Value)
	}
	fields, ok := value.(map[string]any)
	if !ok {
		return map[string]string{"item": scalar(value)}, scalar(value)
	}
	values := map[string]string{"item": exactjson.Text(fields)}
	var parts []string
	for key, value := range fields {
		values["item."+key] = scalar(value)
		parts = append(parts, key+":"+scalar(value))
	}
	slices.Sort(parts)
	return values, strings.Join(parts, ",")
}

func scalar(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	default:
		return exactjson.Text(v)
	}
}

// Name is that of the node of an item, by the name of the loop.
func Name(base string, index int, suffix string) string {
	if strings.ContainsAny(suffix, "()") {
		suffix = strings.NewReplacer("(", "", ")", "").Replace(suffix)
	}
	return base + "(" + strconv.Itoa(index) + ":" + suffix + ")"
}
