// Package thin reads of workflows that are another replica's only what this one needs to know of them.
//
// Each replica is sent every change of every workflow, since their makers cannot label them for one. Reading the tree
// of an object is most of what a change costs, so that of a workflow that is not owned the spec and the nodes are
// passed over. [Missing] marks such an object: whoever comes to own it reads it from the API server. Ownership that
// moves while a change is read therefore loses nothing.
package thin

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/tidwall/gjson"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/watch"
)

// mark is a field beside the spec of an object whose rest was passed over. No Workflow has such a field.
const mark = "passedOver"

// Missing reports whether parts of an object were passed over.
func Missing(o *unstructured.Unstructured) bool {
	is, _ := o.Object[mark].(bool)
	return is
}

// specKept is what is needed of the spec of any workflow: how to clean up after one that ended long ago.
func specKept() []string { return []string{"podDisruptionBudget", "podGC", "ttlStrategy"} }

// statusKept is what is needed of its status: how the runs of a cron workflow ended.
func statusKept() []string { return []string{"finishedAt", "phase", "startedAt"} }

// Cut passes over what is not needed of an object that was read whole.
func Cut(o *unstructured.Unstructured) {
	keep := func(part string, fields []string) {
		if tree, is := o.Object[part].(map[string]any); is {
			maps.DeleteFunc(tree, func(name string, _ any) bool { return !slices.Contains(fields, name) })
		}
	}
	keep("spec", specKept())
	keep("status", statusKept())
	o.SetManagedFields(nil)
	o.Object[mark] = true
}

// event reads one event of a watch as the API server writes it.
func event(line []byte, owns func(workflow string) bool) (watch.EventType, runtime.Object, error) {
	fields := gjson.ParseBytes(line)
	kind, body := watch.EventType(fields.Get("type").String()), fields.Get("object")
	switch {
	case kind == "" || !body.IsObject():
		return "", nil, errors.New("an event of a watch has no type or no object")
	case kind == watch.Error:
		status := &metav1.Status{}
		if err := json.Unmarshal([]byte(body.Raw), status); err != nil {
			return "", nil, fmt.Errorf("read an error of a watch: %w", err)
		}
		return kind, status, nil
	}
	o, err := read(body, owns)
	return kind, o, err
}

// read makes an object of its text.
func read(text gjson.Result, owns func(workflow string) bool) (*unstructured.Unstructured, error) {
	about := text.Get("metadata")
	whole := owns(about.Get("namespace").String() + "/" + about.Get("name").String())
	o := map[string]any{}
	var errs []error
	text.ForEach(func(key, value gjson.Result) bool {
		name := key.String()
		switch {
		case name == "metadata":
			o[name] = metadata(value, &errs)
		case name == "status" && whole:
			o[name] = status(value, &errs)
		case name == "status":
			o[name] = part(value, only(statusKept()), &errs)
		case name == "spec" && !whole:
			o[name] = part(value, only(specKept()), &errs)
		default:
			o[name] = tree(value, &errs)
		}
		return true
	})
	if !whole {
		o[mark] = true
	}
	return &unstructured.Unstructured{Object: o}, errors.Join(errs...)
}

func only(fields []string) func(string, gjson.Result) bool {
	return func(name string, _ gjson.Result) bool { return slices.Contains(fields, name) }
}

// metadata leaves out the fields' managers, which are the bulk of it. Its maps are read here, since a decoder for each
// value would cost more than the value.
func metadata(text gjson.Result, errs *[]error) any {
	out := map[string]any{}
	text.ForEach(func(key, value gjson.Result) bool {
		switch name := key.String(); {
		case name == "managedFields":
		case value.IsObject():
			out[name] = part(value, func(string, gjson.Result) bool { return true }, errs)
		default:
			out[name] = tree(value, errs)
		}
		return true
	})
	return out
}

// status leaves out the nodes that nobody waits at: the journal has them, and there may be thousands.
func status(text gjson.Result, errs *[]error) any {
	out := part(text, func(name string, _ gjson.Result) bool { return name != "nodes" }, errs)
	nodes := text.Get("nodes")
	if fields, is := out.(map[string]any); is && nodes.IsObject() {
		fields["nodes"] = part(nodes, func(_ string, node gjson.Result) bool {
			return node.Get("type").String() == string(v1alpha1.NodeTypeSuspend)
		}, errs)
	}
	return out
}

// part is those fields of an object that are wanted.
func part(text gjson.Result, wanted func(name string, value gjson.Result) bool, errs *[]error) any {
	if !text.IsObject() {
		return tree(text, errs)
	}
	out := map[string]any{}
	text.ForEach(func(key, value gjson.Result) bool {
		if name := key.String(); wanted(name, value) {
			out[name] = tree(value, errs)
		}
		return true
	})
	return out
}

// tree is any value, as other clients read it: whole numbers are such.
func tree(text gjson.Result, errs *[]error) any {
	if text.Type == gjson.String {
		return strings.Clone(text.String()) // not a part of the line, which would stay for it
	}
	var out any
	if err := json.Unmarshal([]byte(text.Raw), &out); err != nil {
		*errs = append(*errs, fmt.Errorf("read an object of a watch: %w", err))
	}
	return out
}
