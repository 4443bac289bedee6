package appset

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Query is what a generator needs to know.
type Query struct {
	// Key is the same for the same question.
	Key string
	// Kind is the field of the generator, such as git.
	Kind string
	// Spec is the generator, with the parameters of the one before it filled in.
	Spec map[string]any
	// Every is how old an answer may get; 0 is as long as no event comes.
	Every time.Duration
}

// Answer is what was found out: a value of the type that the kind asks for, or why it is not known.
type Answer struct {
	Value any
	Err   error
}

// Input is what an ApplicationSet is generated from.
type Input struct {
	// Set is the whole object.
	Set map[string]any
	// Answers are those to the questions of earlier calls, by key.
	Answers map[string]Answer
	// Alarm is asked now and then whether templates took too long; may be nil.
	Alarm func() bool
}

// Output is what came out.
type Output struct {
	// Ask are questions that have to be answered first; there are no Applications yet then.
	Ask []Query
	// Used are all questions whose answers were needed.
	Used []Query
	// Sets are how many sets of parameters there were.
	Sets int
	// Applications are those that are wanted, in the order of their parameters. They are complete but for their owner.
	Applications []Application
}

// Phases of a generation, as reasons of conditions. Source: Argo CD.
const (
	ReasonParams     = "ApplicationParamsGenerationError"
	ReasonRender     = "RenderTemplateParamsError"
	ReasonValidation = "ApplicationValidationError"
)

// GenerateError says that nothing can be generated.
type GenerateError struct {
	// Reason is one of the reasons above.
	Reason string
	Err    error
}

// Error is the message of what went wrong.
func (e *GenerateError) Error() string { return e.Err.Error() }

// Unwrap returns what went wrong.
func (e *GenerateError) Unwrap() error { return e.Err }

// Generate makes the Applications of an ApplicationSet, or says what it must know first. Every error is a
// [GenerateError]. The Applications of a set of parameters that cannot be used have the reason in their Problem.
func Generate(in Input) (Output, error) {
	spec, _ := in.Set["spec"].(map[string]any)
	goTemplate, _ := spec["goTemplate"].(bool)
	var options []string
	for _, o := range list(spec["goTemplateOptions"]) {
		s, _ := o.(string)
		options = append(options, s)
	}
	e, err := newEngine(goTemplate, options, in.Alarm)
	if err != nil {
		return Output{}, &GenerateError{ReasonParams, err}
	}
	w := walk{engine: e, answers: in.Answers, asked: map[string]bool{}}
	var out Output
	generators := list(spec["generators"])
	var found []generated
	for i, g := range generators {
		path := fmt.Sprintf("spec.generators[%d]", i)
		tree, _ := g.(map[string]any)
		fields := fieldsOf(tree)
		if len(fields) == 0 {
			return out, &GenerateError{
				ReasonParams, fmt.Errorf("%s: it names no generator: one of %v", path, allFields()),
			}
		}
		for _, field := range fields {
			sets, err := w.field(tree, field, nil, 0, path)
			if err != nil {
				return Output{Ask: nil, Used: w.used}, &GenerateError{ReasonParams, err}
			}
			inner, _ := tree[field].(map[string]any)
			over, _ := inner["template"].(map[string]any)
			found = append(found, generated{sets: sets, template: over})
			out.Sets += len(sets)
		}
	}
	out.Ask, out.Used = w.ask, w.used
	if len(out.Ask) > 0 {
		return out, nil
	}
	if out.Sets > maxSets {
		return out, &GenerateError{
			ReasonParams, fmt.Errorf("%w: %d sets of parameters, over %d", ErrLimit, out.Sets, maxSets),
		}
	}
	out.Applications, err = applications(in.Set, found, e)
	if err != nil {
		return out, &GenerateError{ReasonRender, err}
	}
	return out, nil
}

// generated are the sets of one generator, and its own template.
type generated struct {
	sets     []Params
	template map[string]any
}

// walk goes through the generators of one ApplicationSet.
type walk struct {
	engine  *engine
	answers map[string]Answer
	asked   map[string]bool
	ask     []Query
	used    []Query
}

// maxDepth is how deep generators may stand in each other: those of a matrix or merge may be a matrix or merge.
const maxDepth = 2

// nested gives the sets of a generator within a matrix or merge.
func (w *walk) nested(tree map[string]any, outer Params, depth int, path string) ([]Params, error) {
	fields := fieldsOf(tree)
	if len(fields) != 1 {
		return nil, fmt.Errorf("%s: it names %d generators, not one of %v", path, len(fields), allFields())
	}
	return w.field(tree, fields[0], outer, depth, path)
}

// field gives the sets of the generator in one field, as far as the answers reach, less those that its selector
// excludes.
func (w *walk) field(tree map[string]any, field string, outer Params, depth int, path string) ([]Params, error) {
	spec, ok := tree[field].(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s.%s: it is no object", path, field)
	}
	var sets []Params
	var err error
	at := path + "." + field
	switch {
	case field != "matrix" && field != "merge":
		sets, err = w.leaf(spec, field, outer, at)
	case depth >= maxDepth:
		return nil, fmt.Errorf("%s: a %s is nested too deep: generators within a nested one find something themselves",
			at, field)
	case field == "matrix":
		sets, err = w.matrix(spec, outer, depth, at)
	default:
		sets, err = w.merge(spec, outer, depth, at)
	}
	if err != nil {
		return nil, err
	}
	return w.selected(tree["selector"], sets, outer, path+".selector")
}

// selected leaves out the sets that a selector over their flat names excludes.
func (w *walk) selected(tree any, sets []Params, outer Params, path string) ([]Params, error) {
	if tree == nil {
		return sets, nil
	}
	if len(outer) > 0 {
		var err error
		if tree, err = w.engine.fillTree(tree, outer, path); err != nil {
			return nil, err
		}
	}
	m, _ := tree.(map[string]any)
	s, err := decode[metav1.LabelSelector](m)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var out []Params
	for _, p := range sets {
		ok, err := selects(s, flatten(p))
		if err != nil {
			return nil, fmt.Errorf("%s.%w", path, err)
		}
		if ok {
			out = append(out, p)
		}
	}
	return out, nil
}

// leaf gives the sets of a generator that finds something. Parameters of the one before it are filled in everywhere
// but in its values, which may name its own, too.
func (w *walk) leaf(spec map[string]any, field string, outer Params, path string) ([]Params, error) {
	k, ok := kindOf(field)
	if !ok {
		return nil, fmt.Errorf("%s: unknown generator: one of %v", path, allFields())
	}
	values := spec["values"]
	asks := maps.Clone(spec)
	for _, own := range []string{"values", "template"} {
		delete(asks, own)
	}
	if len(outer) > 0 {
		filled, err := w.engine.fillTree(asks, outer, path)
		if err != nil {
			return nil, err
		}
		asks, _ = filled.(map[string]any)
	}
	var answer Answer
	if k.asks {
		q, err := k.query(asks)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		var known bool
		if answer, known = w.answer(q); !known {
			return nil, nil
		}
		if answer.Err != nil {
			return nil, fmt.Errorf("%s: %w", path, answer.Err)
		}
	}
	sets, err := k.sets(asks, answer.Value, w.engine)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(sets) > maxSets {
		return nil, fmt.Errorf("%s: %w: %d sets of parameters, over %d", path, ErrLimit, len(sets), maxSets)
	}
	for i := range sets {
		if err := w.values(values, outer, sets[i], path+".values"); err != nil {
			return nil, err
		}
	}
	if k.gather != nil {
		if sets, err = k.gather(asks, sets, w.engine); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return sets, nil
}

// values adds the values of a generator to one of its sets.
func (w *walk) values(tree any, outer, p Params, path string) error {
	m, _ := tree.(map[string]any)
	if len(m) == 0 {
		return nil
	}
	known := p
	if len(outer) > 0 {
		known = overlay(outer, p)
	}
	filled := map[string]any{}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out, err := w.engine.fillTree(m[k], known, path+"."+k)
		if err != nil {
			return err
		}
		filled[k] = out
	}
	if w.engine.tree {
		p["values"] = filled
		return nil
	}
	for k, v := range filled {
		p["values."+k] = text(v)
	}
	return nil
}

// query makes the question of a generator.
func (k kind) query(spec map[string]any) (Query, error) {
	asks := maps.Clone(spec)
	q := Query{Kind: k.field, Spec: spec, Every: k.every}
	if n, given := number(spec["requeueAfterSeconds"]); given && n > 0 {
		q.Every = time.Duration(n) * time.Second
	}
	delete(asks, "requeueAfterSeconds")
	raw, err := json.Marshal(asks) // names of maps are sorted
	if err != nil {
		return q, fmt.Errorf("encode: %w", err)
	}
	q.Key = k.field + string(raw)
	return q, nil
}

// answer looks a question up, or asks it.
func (w *walk) answer(q Query) (Answer, bool) {
	if !w.asked[q.Key] {
		w.asked[q.Key] = true
		w.used = append(w.used, q)
		if _, known := w.answers[q.Key]; !known {
			w.ask = append(w.ask, q)
		}
	}
	a, known := w.answers[q.Key]
	return a, known
}

func kindOf(field string) (kind, bool) {
	for _, k := range kinds() {
		if k.field == field {
			return k, true
		}
	}
	return kind{}, false
}

// allFields are the names of all generators.
func allFields() []string {
	out := []string{"matrix", "merge"}
	for _, k := range kinds() {
		out = append(out, k.field)
	}
	slices.Sort(out)
	return out
}

// fieldsOf are the generators that a tree names.
func fieldsOf(tree map[string]any) []string {
	var out []string
	for _, f := range allFields() {
		if v, there := tree[f]; there && v != nil {
			out = append(out, f)
		}
	}
	return out
}

func list(v any) []any {
	l, _ := v.([]any)
	return l
}

// number reads a whole number of a decoded object.
func number(v any) (int64, bool) {
	switch v := v.(type) {
	case int64:
		return v, true
	case int:
		return int64(v), true
	case float64:
		return int64(v), true
	case json.Number:
		n, err := v.Int64()
		return n, err == nil
	}
	return 0, false
}

// errNoKeys is that of a merge that does not say by what.
var errNoKeys = errors.New("mergeKeys is missing: parameters that say which sets belong together")

func same(a, b any) bool { return reflect.DeepEqual(a, b) }
