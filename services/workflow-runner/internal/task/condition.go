package task

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/itchyny/gojq"
	"github.com/tidwall/gjson"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/util/jsonpath"
)

// conditions reads the conditions of an order. They have the grammar of label selectors, over paths into the object.
// Source: Argo Workflows.
func (o *resourceRequest) conditions() error {
	for i, into := range []*labels.Requirements{&o.success, &o.failure} {
		selector, err := labels.Parse(o.texts[i])
		if err != nil {
			return fmt.Errorf("condition %q: %w", o.texts[i], err)
		}
		if requirements, selectable := selector.Requirements(); selectable {
			*into = requirements
		}
	}
	return nil
}

// paths shows an object as the labels that a selector looks at.
type paths struct{ text []byte }

// Has reports whether the object has something at a path.
func (p paths) Has(path string) bool { return gjson.GetBytes(p.text, path).Exists() }

// Get returns what is at a path, as text.
func (p paths) Get(path string) string { return gjson.GetBytes(p.text, path).String() }

// Lookup is Get and Has in one.
func (p paths) Lookup(path string) (string, bool) { return p.Get(path), p.Has(path) }

// met says how an object stands: decided with its verdict, or not yet. Any failing term fails; all terms of success
// are needed.
func (o *resourceRequest) met(object *unstructured.Unstructured) (end flow.Task, decided bool) {
	if len(o.success) == 0 && len(o.failure) == 0 {
		return done(nil), true
	}
	text, err := object.MarshalJSON()
	if err != nil {
		return failed("resource: %v", err), true
	}
	view := paths{text}
	for i := range o.failure {
		if o.failure[i].Matches(view) {
			return failed("failure condition '%s' evaluated true", o.failure[i].String()), true
		}
	}
	for i := range o.success {
		if !o.success[i].Matches(view) {
			return end, false
		}
	}
	// With a failure condition alone, upstream counts no failing term as success.
	return done(nil), true
}

// How an object is waited for: events tell of changes, and looking again is for what events may lose.
const (
	lookAgain = 30 * time.Second
	poll      = 5 * time.Second // where the account may not watch
)

// await waits until the conditions decide, then reads the outputs.
func (c *resourceRunner) await(ctx context.Context, where dynamic.ResourceInterface, o *resourceRequest,
	object *unstructured.Unstructured) flow.Task {
	for {
		if end, decided := o.met(object); decided {
			end.Outputs = nil
			if end.Phase == v1alpha1.NodeSucceeded {
				return o.collect(object) //nolint:contextcheck // a filter has a time of its own
			}
			return end
		}
		if err := changed(ctx, where, object); err != nil {
			return failed("%s %s: %v", o.action, o.title(), err)
		}
		name := object.GetName()
		err := persist(ctx, func() error {
			next, err := where.Get(ctx, name, metav1.GetOptions{})
			if err == nil {
				object = next
			}
			return err
		})
		if apierrors.IsNotFound(err) {
			return failed("%s was deleted while its conditions were waited for", o.title())
		}
		if err != nil {
			return refusal(o, err)
		}
	}
}

// changed returns when the object may have changed.
func changed(ctx context.Context, where dynamic.ResourceInterface, object *unstructured.Unstructured) error {
	wait := poll
	var events <-chan watch.Event
	w, err := where.Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + object.GetName(),
		ResourceVersion: object.GetResourceVersion()})
	if err == nil {
		defer w.Stop()
		wait, events = lookAgain, w.ResultChan()
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case _, open := <-events:
		if open {
			return nil
		}
		// A watch that ends at once must not make this loop spin.
		wait = time.Second
	case <-time.After(wait):
		return nil
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(wait):
		return nil
	}
}

// collect reads the outputs of a template from its object.
func (o *resourceRequest) collect(object *unstructured.Unstructured) flow.Task {
	declared := o.outputs.Template.Outputs
	if declared == nil {
		return done(nil)
	}
	out := &v1alpha1.Outputs{}
	for _, p := range declared.Parameters {
		if p.ValueFrom == nil {
			continue
		}
		value, err := extract(object, *p.ValueFrom)
		if err != nil && p.ValueFrom.Default != nil {
			value, err = p.ValueFrom.Default.String(), nil
		}
		if err != nil {
			return failed("output parameter %q: %v", p.Name, err)
		}
		out.Parameters = append(out.Parameters, v1alpha1.Parameter{Name: p.Name, Value: v1alpha1.AnyStringPtr(value)})
	}
	return done(out)
}

func extract(object *unstructured.Unstructured, from v1alpha1.ValueFrom) (string, error) {
	switch {
	case from.JSONPath != "":
		return atPath(object, from.JSONPath)
	case from.JQFilter != "":
		return filtered(object, from.JQFilter)
	}
	return "", fmt.Errorf("a resource gives its outputs by jsonPath or jqFilter")
}

// atPath runs a template of kubectl's JSONPath.
func atPath(object *unstructured.Unstructured, path string) (string, error) {
	p := jsonpath.New("output").AllowMissingKeys(true)
	if err := p.Parse(path); err != nil {
		return "", fmt.Errorf("jsonPath %q: %w", path, err)
	}
	var out bytes.Buffer
	if err := p.Execute(&out, object.Object); err != nil {
		return "", fmt.Errorf("jsonPath %q: %w", path, err)
	}
	return out.String(), nil
}

// Bounds of a filter: it is a program of the manifest.
const (
	filterTime    = 5 * time.Second
	filterResults = 10_000
)

// exact is an object as a filter sees it: its numbers are those that are written, however large.
func exact(object *unstructured.Unstructured) (out any, err error) {
	text, err := object.MarshalJSON()
	if err != nil {
		return nil, err
	}
	in := json.NewDecoder(bytes.NewReader(text))
	in.UseNumber()
	return out, in.Decode(&out)
}

// plain is a result as jq -r writes it: text is not quoted.
func plain(v any) (string, error) {
	if text, is := v.(string); is {
		return text, nil
	}
	text, err := gojq.Marshal(v)
	return string(text), err
}

// filtered runs a filter of jq: its results as jq -r writes them, one a line.
func filtered(object *unstructured.Unstructured, filter string) (string, error) {
	query, err := gojq.Parse(filter)
	if err != nil {
		return "", fmt.Errorf("jqFilter %q: %w", filter, err)
	}
	code, err := gojq.Compile(query)
	if err != nil {
		return "", fmt.Errorf("jqFilter %q: %w", filter, err)
	}
	input, err := exact(object)
	if err != nil {
		return "", fmt.Errorf("jqFilter: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), filterTime)
	defer cancel()
	var lines []string
	size := 0
	for results := code.RunWithContext(ctx, input); len(lines) < filterResults; {
		v, more := results.Next()
		if !more {
			return strings.Join(lines, "\n"), nil
		}
		if err, is := v.(error); is {
			return "", fmt.Errorf("jqFilter %q: %w", filter, err)
		}
		line, err := plain(v)
		if err != nil {
			return "", fmt.Errorf("jqFilter %q: %w", filter, err)
		}
		if size += len(line); size > answerLimit {
			break
		}
		lines = append(lines, line)
	}
	return "", fmt.Errorf("jqFilter %q: gives too much", filter)
}
