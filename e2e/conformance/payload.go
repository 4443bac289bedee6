package conformance

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"
)

// wish is a value that an event should have so that filters let it pass.
type wish struct {
	path string // gjson path within the data
	raw  string // JSON of the value
}

// wishes reads off the filters of a dependency what an event needs. It knows the forms that people write: literals of
// data filters, and comparisons with literals in expressions and scripts.
func wishes(f *v1alpha1.EventDependencyFilter) []wish {
	if f == nil {
		return nil
	}
	var out []wish
	for i := range f.Data {
		out = append(out, dataWish(f.Data[i]))
	}
	for _, x := range f.Exprs {
		out = append(out, exprWishes(x)...)
	}
	return append(out, scriptWishes(f.Script)...)
}

func dataWish(f v1alpha1.DataFilter) wish {
	if len(f.Value) == 0 {
		return wish{f.Path, "null"}
	}
	value := string(f.Value[0])
	switch strings.ToLower(f.Type) {
	case "number":
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return wish{f.Path, "0"}
		}
		return wish{f.Path, number(n, f.Comparator)}
	case "bool":
		if f.Comparator == "!=" {
			value = strconv.FormatBool(value != "true")
		}
		return wish{f.Path, value}
	}
	if f.Comparator == "!=" {
		value = "another than " + value
	}
	return wish{f.Path, quoted(literal(value))}
}

// number is a number that stands in a relation to n.
func number(n float64, comparator string) string {
	switch comparator {
	case ">", "!=":
		n++
	case "<":
		n--
	}
	return strconv.FormatFloat(n, 'f', -1, 64)
}

var (
	classes = regexp.MustCompile(`\[[^\]]*\]`)
	escapes = regexp.MustCompile(`\\(.)`)
)

// literal is a string that a simple regular expression matches.
func literal(expression string) string {
	if re, err := regexp.Compile(expression); err == nil && re.MatchString(expression) {
		return expression
	}
	s := strings.NewReplacer("^", "", "$", "", ".*", "x", ".+", "x", "(", "", ")", "").Replace(expression)
	s, _, _ = strings.Cut(s, "|")
	s = classes.ReplaceAllStringFunc(s, func(class string) string { return class[1:2] })
	s = escapes.ReplaceAllString(s, "$1")
	return strings.NewReplacer("+", "", "*", "", "?", "").Replace(s)
}

var compares = regexp.MustCompile(`([A-Za-z_][\w.]*)\s*(==|=~|!=|>=|<=|>|<)\s*("[^"]*"|'[^']*'|true|false|-?[\d.]+)`)

func exprWishes(x v1alpha1.ExprFilter) []wish {
	var out []wish
	for _, f := range x.Fields {
		out = append(out, wish{f.Path, `"unset"`})
		for _, m := range compares.FindAllStringSubmatch(x.Expr, -1) {
			if m[1] == f.Name {
				out[len(out)-1].raw = compared(m[2], m[3])
				break
			}
		}
	}
	return out
}

// scriptWishes reads comparisons of event.<path> with literals.
func scriptWishes(script string) []wish {
	var out []wish
	for _, m := range compares.FindAllStringSubmatch(script, -1) {
		if path, ok := strings.CutPrefix(m[1], "event."); ok {
			out = append(out, wish{path, compared(m[2], m[3])})
		}
	}
	return out
}

func compared(operator, text string) string {
	if text[0] == '"' || text[0] == '\'' {
		s := text[1 : len(text)-1]
		switch operator {
		case "!=":
			s = "another than " + s
		case "=~":
			s = literal(s)
		}
		return quoted(s)
	}
	if n, err := strconv.ParseFloat(text, 64); err == nil {
		return number(n, operator)
	}
	if operator == "!=" {
		return strconv.FormatBool(text != "true")
	}
	return text
}

func quoted(s string) string {
	text, err := json.Marshal(s)
	if err != nil {
		return `""`
	}
	return string(text)
}

// grant writes wishes into the data of an event.
func grant(data string, list []wish) (string, error) {
	for _, w := range list {
		var err error
		if data, err = sjson.SetRaw(data, w.path, w.raw); err != nil {
			return "", fmt.Errorf("write %s at %s: %w", w.raw, w.path, err)
		}
	}
	if !gjson.Valid(data) {
		return "", fmt.Errorf("wishes %v make no JSON", list)
	}
	return data, nil
}
