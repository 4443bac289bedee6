package tag_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/libs/flow/tag"
)

func TestTagsAreTheInnermostOnes(t *testing.T) {
	for text, want := range map[string][]string{
		"":                        nil,
		"no tag }} {{":            nil,
		"{{a}} and {{ b.c }}":     {"a", "b.c"},
		"{{a.{{b}}}}":             {"b"},
		"{{=x > 1 ? '{' : '}'}}":  {"=x > 1 ? '{' : '}'"},
		"{{unclosed {{closed}} x": {"closed"},
	} {
		if got := tag.List(text); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestTagsAreReplaced(t *testing.T) {
	values := map[string]string{"a": "1", "b": "x", "n.x": "deep"}
	value := func(tag string) (string, bool, error) {
		if tag == "bad" {
			return "", false, errors.New("bad")
		}
		v, ok := values[strings.TrimSpace(tag)]
		return v, ok, nil
	}
	for text, want := range map[string]string{
		"": "", "plain": "plain", "{{a}}-{{ b }}": "1-x", "{{ghost}} {{a}}": "{{ghost}} 1", "{{n.{{b}}}}": "deep",
		"{{ghost.{{b}}}}": "{{ghost.x}}",
		"{{open":          "{{open", "}}{{a}}": "}}1", "{{ghost.{{ghost}}}}": "{{ghost.{{ghost}}}}",
	} {
		if got, err := tag.Replace(text, value); err != nil || got != want {
			t.Errorf("%q: %q %v, want %q", text, got, err, want)
		}
	}
	if got, err := tag.Replace("{{a}}{{bad}}", value); err == nil {
		t.Errorf("%q", got)
	}
}

func TestBraces(t *testing.T) {
	for text, want := range map[string]string{"{{ a.b }}": "a.b", "a": "a", "{{=x}}": "=x"} {
		if got := tag.Name(text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}
