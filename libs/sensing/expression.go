package sensing

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/argosy-mesh/argosy/libs/sensing/script"
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
	out := &expression{numbers: numbers, compare: true}
	for i, t := range tokens {
		switch v := t.Value.(type) {
		case string:
			if literal, ok := literals[v]; ok && t.Kind == govaluate.STRING {
				tokens[i].Value = literal
			}
		case *regexp.Regexp: // the right side of =~ and !~, compiled
			if literal, ok := literals[v.String()]; ok {
				tokens[i] = govaluate.ExpressionToken{Kind: govaluate.STRING, Value: literal}
			}
		}
		if t.Kind == govaluate.MODIFIER || t.Kind == govaluate.PREFIX && t.Value != "!" || t.Kind == govaluate.FUNCTION {
			out.compare = false
		}
	}
	out.tokens = tokens
	if out.text, err = govaluate.NewEvaluableExpressionFromTokens(slices.Clone(tokens)); err != nil {
		return nil, err
	}
	if original, err := govaluate.NewEvaluableExpression(text); err == nil && slices.ContainsFunc(original.Tokens(), isDate) {
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
		case unicode.IsLetter(c):
			start := i
			for i < len(runes) && (unicode.IsLetter(runes[i]) || unicode.IsDigit(runes[i]) || strings.ContainsRune("_.", runes[i])) {
				i++
			}
			out.WriteString(string(runes[start:i]))
		case unicode.IsDigit(c):
			start := i
			for i < len(runes) && (unicode.IsLetter(runes[i]) || unicode.IsDigit(runes[i]) || runes[i] == '.') {
				i++
			}
			number := string(runes[start:i])
			if strings.Trim(number, "0123456789.") == "" && !script.Exact(number) {
				name := fmt.Sprintf("argosynumber%dx", len(numbers))
				numbers[name] = number
				number = "[" + name + "]"
			}
			out.WriteString(number)
		default:
			out.WriteRune(c)
			i++
		}
	}
	return out.String(), literals, numbers, nil
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

// asText replaces lists and objects by their text, for patterns that look into them; false when there are none. What works
// with a list never comes here.
func asText(fields map[string]gjson.Result, values map[string]any) (any bool) {
	for name, found := range fields {
		if found.Type == gjson.JSON {
			values[name], any = found.Raw, true
		}
	}
	return any
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

// byRank evaluates an expression that only compares numbers. Each number is replaced by its place in the order of all of
// them, which compares in the same way and is small.
func (e *expression) byRank(fields map[string]gjson.Result) (any, error) {
	var all []string
	var collect func(r gjson.Result)
	collect = func(r gjson.Result) {
		switch {
		case r.Type == gjson.Number:
			all = append(all, r.Raw)
		case r.IsArray():
			for _, one := range r.Array() {
				collect(one)
			}
		}
	}
	for _, found := range fields {
		collect(found)
	}
	for _, number := range e.numbers {
		all = append(all, number)
	}
	for _, t := range e.tokens {
		if f, ok := t.Value.(float64); ok && t.Kind == govaluate.NUMERIC {
			all = append(all, digits(f))
		}
	}
	slices.SortFunc(all, ordered)
	all = slices.CompactFunc(all, func(a, b string) bool { return ordered(a, b) == 0 })
	rank := func(number string) any {
		at, _ := slices.BinarySearchFunc(all, number, ordered)
		return float64(at)
	}
	var ranked func(r gjson.Result) any
	ranked = func(r gjson.Result) any {
		switch {
		case r.Type == gjson.Number:
			return rank(r.Raw)
		case r.IsArray():
			list := []any{}
			for _, one := range r.Array() {
				list = append(list, ranked(one))
			}
			return list
		}
		return r.Value()
	}
	values := make(map[string]any, len(fields)+len(e.numbers))
	for name, found := range fields {
		values[name] = ranked(found)
	}
	for name, number := range e.numbers {
		values[name] = rank(number)
	}
	tokens := slices.Clone(e.tokens)
	for i, t := range tokens {
		if f, ok := t.Value.(float64); ok && t.Kind == govaluate.NUMERIC {
			tokens[i].Value = rank(digits(f))
		}
	}
	replaced, err := govaluate.NewEvaluableExpressionFromTokens(tokens)
	if err != nil {
		return nil, err
	}
	return replaced.Evaluate(values)
}

func digits(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

func ordered(a, b string) int {
	order, _ := script.Compare(a, b)
	return order
}
