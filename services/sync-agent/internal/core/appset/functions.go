package appset

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
	"sigs.k8s.io/yaml"
)

// nameLimit is the length of a DNS subdomain.
const nameLimit = 253

// slugLimit leaves room in a DNS label for what is put before and behind. Source: Argo CD.
const slugLimit = 50

var (
	notInName = regexp.MustCompile(`[^-a-z0-9.]`)
	notInSlug = regexp.MustCompile(`[^a-z0-9-_]`)
	dashes    = regexp.MustCompile(`-+`)
)

// normalize makes a name of a Kubernetes object of a text.
func normalize(s string) string {
	s = notInName.ReplaceAllString(strings.ToLower(s), "-")
	return strings.Trim(s[:min(len(s), nameLimit)], "-.")
}

// slug makes a DNS label of a text, of limit characters at most. whole cuts it between words where that leaves
// something.
func slug(s string, limit int, whole bool) string {
	s = strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return r
	}, norm.NFD.String(strings.TrimSpace(s)))
	s = strings.NewReplacer("&", " and ", "@", " at ", "ß", "ss", "æ", "ae", "ø", "o", "ł", "l", "đ", "d").
		Replace(strings.ToLower(s))
	s = strings.ReplaceAll(notInSlug.ReplaceAllString(s, "-"), "_", "-")
	s = strings.Trim(dashes.ReplaceAllString(s, "-"), "-")
	if limit > 0 && len(s) > limit {
		cut := s[:limit]
		if i := strings.LastIndexByte(cut, '-'); whole && i > 0 && s[limit] != '-' {
			cut = cut[:i]
		}
		s = strings.Trim(cut, "-")
	}
	return s
}

// slugify is the function of templates: [limit [whole words]] text.
func slugify(args ...any) (string, error) {
	limit, whole := slugLimit, false
	if len(args) < 1 || len(args) > 3 {
		return "", fmt.Errorf("slugify takes a text, after a length and whether words stay whole, not %d arguments", len(args))
	}
	if len(args) > 1 {
		switch n := args[0].(type) {
		case int:
			limit = n
		case float64:
			limit = int(n)
		default:
			return "", fmt.Errorf("slugify: the length %v is no number", n)
		}
	}
	if len(args) > 2 {
		b, ok := args[1].(bool)
		if !ok {
			return "", fmt.Errorf("slugify: %v is neither true nor false", args[1])
		}
		whole = b
	}
	s, ok := args[len(args)-1].(string)
	if !ok {
		return "", fmt.Errorf("slugify: %v is no text", args[len(args)-1])
	}
	return slug(s, limit, whole), nil
}

// toYAML never ends in a line break.
func toYAML(v any) (string, error) {
	out, err := yaml.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("toYaml: %w", err)
	}
	return strings.TrimSuffix(string(out), "\n"), nil
}

func fromYAML(s string) (map[string]any, error) {
	out := map[string]any{}
	if err := yaml.Unmarshal([]byte(s), &out); err != nil {
		return nil, fmt.Errorf("fromYaml: %w", err)
	}
	return out, nil
}

func fromYAMLArray(s string) ([]any, error) {
	var out []any
	if err := yaml.Unmarshal([]byte(s), &out); err != nil {
		return nil, fmt.Errorf("fromYamlArray: %w", err)
	}
	return out, nil
}
