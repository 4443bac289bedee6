package sensing

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/argosy-mesh/argosy/libs/script"
	"github.com/casbin/govaluate"
	"github.com/tidwall/gjson"
)

// expression is one of filters.exprs. The library takes quoted text that looks like a date for a point in time, which
// equals no text, and all numbers for float64, which makes different ids equal. Both are put right here.
type expression struct {
	text    *govaluate.EvaluableExpression // quoted text is text
	dates   *govaluate.EvaluableExpression // quoted dates are seconds of Unix time; nil without any
	tokens  []govaluate.ExpressionToken    // of text
	numbers map[string]string              // whole literals that float64 does not hold, by the variable in their place
	compare bool                           // numbers are compared only, never calculated with
}

// parseExpr turns panics of the library into errors; it has some for odd input.
func parseExpr(text string) (e *expression, err error) {
	defer recovered(&err)
	masked, literals, numbers, err := mask(text)
	if err != nil {
		return nil, err
	}
	parsed, err := govaluate.NewEvaluableExpression(masked)
	if err != nil {
		return nil, unmasked(err, literals)
	}
	tokens := parsed.Tokens()
	for i, t := range tokens {
		tokens[i] = unmaskedToken(t, literals)
	}
	out := &expression{numbers: numbers, tokens: tokens, compare: !slices.ContainsFunc(tokens, calculates)}
	if out.text, err = govaluate.NewEvaluableExpressionFromTokens(slices.Clone(tokens)); err != nil {
		return nil, err
	}
	if original, err := govaluate.NewEvaluableExpression(text); err == nil &&
		slices.ContainsFunc(original.Tokens(), isDate) {
		out.dates = original
	}
	return out, nil
}

// Variables are the names that an expression of filters.exprs uses.
func Variables(text string) ([]string, error) {
	e, err := parseExpr(text)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(e.text.Vars(), func(name string) bool { _, own := e.numbers[name]; return own }), nil
}

func isDate(t govaluate.ExpressionToken) bool { return t.Kind == govaluate.TIME }

func calculates(t govaluate.ExpressionToken) bool {
	return t.Kind == govaluate.MODIFIER || t.Kind == govaluate.PREFIX && t.Value != "!" || t.Kind == govaluate.FUNCTION
}

// unmaskedToken puts quoted text back.
func unmaskedToken(t govaluate.ExpressionToken, literals map[string]string) govaluate.ExpressionToken {
	switch v := t.Value.(type) {
	case string:
		if text, ok := literals[v]; ok && t.Kind == govaluate.STRING {
			t.Value = text
		}
	case *regexp.Regexp: // the right side of =~ and !~, compiled
		if text, ok := literals[v.String()]; ok {
			return govaluate.ExpressionToken{Kind: govaluate.STRING, Value: text}
		}
	}
	return t
}

func unmasked(err error, literals map[string]string) error {
	text := err.Error()
	for placeholder, literal := range literals {
		text = strings.ReplaceAll(text, placeholder, literal)
	}
	return fmt.Errorf("%s", strings.TrimSpace(text))
}

// mask replaces quoted text by words that are no dates, and whole numbers that float64 does not hold by variables.
func mask(text string) (masked string, literals, numbers map[string]string, err error) {
	literals, numbers = map[string]string{}, map[string]string{}
	var out strings.Builder
	runes := []rune(text)
	for i := 0; i < len(runes); {
		switch c := runes[i]; {
		case c == '\'' || c == '"':
			literal, next, closed := until(runes, i+1, func(r rune) bool { return r == '\'' || r == '"' })
			if !closed {
				return "", nil, nil, fmt.Errorf("quoted text is not closed")
			}
			word := fmt.Sprintf("argosytext%dx", len(literals))
			literals[word] = literal
			out.WriteString("'" + word + "'")
			i = next
		case c == '[':
			_, next, _ := until(runes, i+1, func(r rune) bool { return r == ']' })
			out.WriteString(string(runes[i:next]))
			i = next
		case unicode.IsLetter(c) || unicode.IsDigit(c):
			word := wordAt(runes[i:])
			i += len([]rune(word))
			if strings.Trim(word, "0123456789.") == "" && !script.Exact(word) {
				name := fmt.Sprintf("argosynumber%dx", len(numbers))
				numbers[name] = word
				word = "[" + name + "]"
			}
			out.WriteString(word)
		default:
			out.WriteRune(c)
			i++
		}
	}
	return out.String(), literals, numbers, nil
}

// wordAt is the name or number that runes begin with.
func wordAt(runes []rune) string {
	end := slices.IndexFunc(
		runes,
		func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' && r != '.' },
	)
	if end < 0 {
		end = len(runes)
	}
	return string(runes[:end])
}

// until reads to an end, which a backslash hides, and returns what is behind it.
func until(runes []rune, i int, end func(rune) bool) (string, int, bool) {
	var out strings.Builder
	for ; i < len(runes); i++ {
		if runes[i] == '\\' && i+1 < len(runes) {
			i++
		} else if end(runes[i]) {
			return out.String(), i + 1, true
		}
		out.WriteRune(runes[i])
	}
	return out.String(), i, false
}

// evaluate takes the fields as they were found.
func (e *expression) evaluate(fields map[string]gjson.Result) (result any, err error) {
	defer recovered(&err)
	values := make(map[string]any, len(fields)+len(e.numbers))
	exact := len(e.numbers) == 0
	used := e.text.Vars()
	for name, found := range fields {
		values[name] = found.Value()
		exact = exact && (!slices.Contains(used, name) || !changes(found))
	}
	for name, number := range e.numbers {
		values[name], _ = strconv.ParseFloat(number, 64)
	}
	if exact || !e.compare {
		result, err = e.text.Evaluate(values)
	} else {
		result, err = e.byRank(fields)
	}
	if err != nil && e.dates != nil {
		// A number that is compared with a date: seconds of Unix time. Source: Argo Events, by its library.
		if byDate, dateErr := e.dates.Evaluate(values); dateErr == nil {
			return byDate, nil
		}
	}
	if err != nil && asText(fields, values) {
		if byText, textErr := e.text.Evaluate(values); textErr == nil {
			return byText, nil
		}
	}
	return result, err
}

// asText replaces lists and objects by their text, for patterns that look into them; false when there are none. What
// works with a list never comes here.
func asText(fields map[string]gjson.Result, values map[string]any) (found bool) {
	for name, field := range fields {
		if field.Type == gjson.JSON {
			values[name], found = field.Raw, true
		}
	}
	return found
}

// changes reports whether float64 changes a field.
func changes(r gjson.Result) bool {
	switch {
	case r.Type == gjson.Number:
		return !script.Exact(r.Raw) && (strings.Trim(r.Raw, "-0123456789") == "" || len(r.Raw) > 15)
	case r.IsArray():
		return slices.ContainsFunc(r.Array(), changes)
	}
	return false
}

// byRank evaluates an expression that only compares numbers. Each number is replaced by its place in the order of all
// of them, which compares in the same way and is small.
func (e *expression) byRank(fields map[string]gjson.Result) (any, error) {
	all := ranking(slices.Collect(maps.Values(e.numbers)))
	for _, found := range fields {
		all = all.with(found)
	}
	for _, t := range e.tokens {
		if f, ok := t.Value.(float64); ok && t.Kind == govaluate.NUMERIC {
			all = append(all, digits(f))
		}
	}
	slices.SortFunc(all, ordered)
	all = slices.CompactFunc(all, func(a, b string) bool { return ordered(a, b) == 0 })
	values := make(map[string]any, len(fields)+len(e.numbers))
	for name, found := range fields {
		values[name] = all.value(found)
	}
	for name, number := range e.numbers {
		values[name] = all.of(number)
	}
	tokens := slices.Clone(e.tokens)
	for i, t := range tokens {
		if f, ok := t.Value.(float64); ok && t.Kind == govaluate.NUMERIC {
			tokens[i].Value = all.of(digits(f))
		}
	}
	replaced, err := govaluate.NewEvaluableExpressionFromTokens(tokens)
	if err != nil {
		return nil, err
	}
	return replaced.Evaluate(values)
}

// ranking holds numbers, in order once all are there.
type ranking []string

// with adds the numbers of a field.
func (r ranking) with(field gjson.Result) ranking {
	switch {
	case field.Type == gjson.Number:
		return append(r, field.Raw)
	case field.IsArray():
		for _, one := range field.Array() {
			r = r.with(one)
		}
	}
	return r
}

// of is the place of a number.
func (r ranking) of(number string) float64 {
	at, _ := slices.BinarySearchFunc(r, number, ordered)
	return float64(at)
}

// value is a field with places instead of numbers.
func (r ranking) value(field gjson.Result) any {
	switch {
	case field.Type == gjson.Number:
		return r.of(field.Raw)
	case field.IsArray():
		list := []any{}
		for _, one := range field.Array() {
			list = append(list, r.value(one))
		}
		return list
	}
	return field.Value()
}

func digits(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

func ordered(a, b string) int {
	order, _ := script.Compare(a, b)
	return order
}
