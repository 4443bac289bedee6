package sensing

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/argosy-mesh/argosy/libs/script"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/tidwall/gjson"
)

// maxExpression bounds the text of a regular expression or expression filter.
const maxExpression = 16 << 10

// dataFilter is one element of filters.data, ready to compare.
type dataFilter struct {
	spec     v1alpha1.DataFilter
	template *script.Template
	values   []matcher
	notIn    bool
}

// matcher compares the text found with one wanted value.
type matcher func(found string) (bool, error)

func compileData(list []v1alpha1.DataFilter, operator string, o Options) (check, error) {
	var checks []check
	var errs []error
	for i := range list {
		f, err := compileDataFilter(list[i], o)
		if err != nil {
			errs = append(errs, fmt.Errorf("filters.data[%d]: %w", i, err))
			continue
		}
		checks = append(checks, f.check)
	}
	return listed(operator, checks), errors.Join(errs...)
}

func compileDataFilter(spec v1alpha1.DataFilter, o Options) (*dataFilter, error) {
	f := &dataFilter{spec: spec, notIn: o.NotIn && spec.Comparator == "!="}
	if spec.Template != "" {
		var err error
		if f.template, err = script.CompileTemplate(spec.Template); err != nil {
			return nil, err
		}
	}
	if len(spec.Value) == 0 {
		return nil, errors.New("value: is empty")
	}
	for _, want := range spec.Value {
		m, err := compileValue(spec, string(want))
		if err != nil {
			return nil, err
		}
		f.values = append(f.values, m)
	}
	return f, nil
}

func (f *dataFilter) check(e Event, w World) error {
	result := gjson.GetBytes(e.Data, f.spec.Path)
	if !result.Exists() {
		return wrongf("data", "data has nothing at %q", f.spec.Path)
	}
	found := result.String()
	if f.spec.Type == "number" && result.Type == gjson.Number {
		found = result.Raw // the text of a number may say more than float64 holds
	}
	if f.template != nil {
		var err error
		if found, err = f.template.Run(found, limitsOf(w)); err != nil {
			return rejected("data", err)
		}
	}
	if f.matches(found) {
		return nil
	}
	if _, err := f.values[0](found); err != nil {
		return rejected("data", fmt.Errorf("data at %q: %w", f.spec.Path, err))
	}
	return no("data", "data at %q is %q, which is %s", f.spec.Path, abbreviate(found), f.wanted())
}

func (f *dataFilter) wanted() string {
	values := make([]string, len(f.spec.Value))
	for i, v := range f.spec.Value {
		values[i] = strconv.Quote(abbreviate(string(v)))
	}
	comparator := f.spec.Comparator
	if comparator == "" {
		comparator = "="
	}
	return fmt.Sprintf("not %s any of %s", comparator, strings.Join(values, ", "))
}

// matches wants one of the values to fit, "!=" included: Argo Events takes it for
// "differs from any". Under notIn all must differ.
func (f *dataFilter) matches(found string) bool {
	for _, m := range f.values {
		ok, err := m(found)
		if err != nil {
			return false
		}
		if ok != f.notIn {
			return ok
		}
	}
	return f.notIn
}

// compileValue prepares the comparison with one value, by the filter's type.
func compileValue(f v1alpha1.DataFilter, want string) (matcher, error) {
	switch strings.ToLower(f.Type) {
	case "bool", "boolean":
		return boolMatcher(f, want)
	case "number", "float", "int":
		return numberMatcher(f, want)
	case "string", "":
		return textMatcher(f, want)
	}
	return nil, fmt.Errorf("type %q is none of string, number, bool", f.Type)
}

// textMatcher takes the value for an unanchored regular expression. Source: Argo
// Events; manifests rely on it. Go's expressions run in linear time.
func textMatcher(f v1alpha1.DataFilter, want string) (matcher, error) {
	if f.Comparator == v1alpha1.ComparatorExact {
		return func(found string) (bool, error) { return found == want, nil }, nil
	}
	switch f.Comparator {
	case "", "=", "==", "!=":
	default:
		return nil, fmt.Errorf("comparator %q: strings know =, != and exact", f.Comparator)
	}
	if len(want) > maxExpression {
		return nil, fmt.Errorf("value: a regular expression of more than %d bytes", maxExpression)
	}
	expression, err := regexp.Compile(want)
	if err != nil {
		return nil, fmt.Errorf("value %q is no regular expression: %w", abbreviate(want), err)
	}
	negate := f.Comparator == "!="
	return func(found string) (bool, error) { return expression.MatchString(found) != negate, nil }, nil
}

func boolMatcher(f v1alpha1.DataFilter, want string) (matcher, error) {
	b, err := strconv.ParseBool(want)
	if err != nil {
		return nil, fmt.Errorf("value %q is no bool", abbreviate(want))
	}
	negate := f.Comparator == "!="
	return func(found string) (bool, error) {
		a, err := strconv.ParseBool(found)
		if err != nil {
			return false, fmt.Errorf("%q is no bool", abbreviate(found))
		}
		return (a == b) != negate, nil
	}, nil
}

// comparators are those of numbers, by how the one found compares with the one wanted.
var comparators = map[string]func(order int) bool{
	">=": func(order int) bool { return order >= 0 },
	">":  func(order int) bool { return order > 0 },
	"=":  func(order int) bool { return order == 0 },
	"==": func(order int) bool { return order == 0 },
	"":   func(order int) bool { return order == 0 },
	"!=": func(order int) bool { return order != 0 },
	"<":  func(order int) bool { return order < 0 },
	"<=": func(order int) bool { return order <= 0 },
}

// numberMatcher compares by the text where float64 cannot tell two numbers apart.
func numberMatcher(f v1alpha1.DataFilter, want string) (matcher, error) {
	if _, ok := script.Compare(want, want); !ok {
		return nil, fmt.Errorf("value %q is no number", abbreviate(want))
	}
	holds, ok := comparators[f.Comparator]
	if !ok {
		return nil, fmt.Errorf("comparator %q is none of >= > = != < <=", f.Comparator)
	}
	return func(found string) (bool, error) {
		order, ok := script.Compare(found, want)
		if !ok {
			return false, fmt.Errorf("%q is no number", abbreviate(found))
		}
		return holds(order), nil
	}, nil
}
