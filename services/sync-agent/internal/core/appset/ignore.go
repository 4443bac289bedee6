package appset

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/argosy-mesh/argosy/libs/script"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track"
	"k8s.io/apimachinery/pkg/runtime"
)

// ignored are fields of Applications that others may change. A place in a list is one field like others: the rest of
// the list is still compared.
type ignored struct {
	rules []ignoreRule
}

type ignoreRule struct {
	name     string // of the Application; "" is any
	pointers [][]string
	paths    []*script.JQ // each lists the paths of what it names
}

// newIgnored compiles spec.ignoreApplicationDifferences. What cannot be read is an error that names it, and has no
// effect on the rest.
func newIgnored(list []v1alpha1.ApplicationSetIgnoreDifferences) (ignored, []error) {
	var out ignored
	var problems []error
	for i, entry := range list {
		r := ignoreRule{name: entry.Name}
		for _, p := range entry.JSONPointers {
			if !strings.HasPrefix(p, "/") {
				problems = append(problems, fmt.Errorf(
					"spec.ignoreApplicationDifferences[%d].jsonPointers: %q does not begin with /", i, p))
				continue
			}
			parts := strings.Split(p[1:], "/")
			for j, part := range parts {
				parts[j] = strings.ReplaceAll(strings.ReplaceAll(part, "~1", "/"), "~0", "~")
			}
			r.pointers = append(r.pointers, parts)
		}
		for _, q := range entry.JQPathExpressions {
			made, err := script.CompileJQ("[path(" + q + ")]")
			if err != nil {
				problems = append(problems, fmt.Errorf(
					"spec.ignoreApplicationDifferences[%d].jqPathExpressions: %q: %w", i, q, err))
				continue
			}
			r.paths = append(r.paths, made)
		}
		out.rules = append(out.rules, r)
	}
	return out, problems
}

// respect gives the fields that are ignored the values that they have in the live object.
func (g ignored) respect(o, live *track.Object) {
	for _, r := range g.rules {
		if r.name != "" && r.name != o.GetName() {
			continue
		}
		for _, p := range r.pointers {
			takeOver(o.Object, live.Object, p)
		}
		for _, q := range r.paths {
			// A path is named by either side: what only we have was taken away by others.
			for _, tree := range []map[string]any{live.Object, runtime.DeepCopyJSON(o.Object)} {
				for _, path := range pathsOf(q, tree) {
					takeOver(o.Object, live.Object, path)
				}
			}
		}
	}
}

// pathsOf are the paths that a query names in an object; none when it fails.
func pathsOf(q *script.JQ, tree map[string]any) [][]string {
	raw, err := json.Marshal(tree)
	if err != nil {
		return nil
	}
	input, err := script.Decode(raw)
	if err != nil {
		return nil
	}
	found, err := q.Run(input, script.Limits{})
	if err != nil {
		return nil
	}
	var out [][]string
	for _, path := range list(found) {
		var parts []string
		for _, step := range list(path) {
			parts = append(parts, fmt.Sprint(step))
		}
		if len(parts) > 0 {
			out = append(out, parts)
		}
	}
	return out
}

// takeOver has one place of a tree say what it says in another. What is above it must be there in both; a list keeps
// its length.
func takeOver(to, from any, path []string) {
	last := len(path) == 1
	switch to := to.(type) {
	case map[string]any:
		m, ok := from.(map[string]any)
		if !ok {
			return
		}
		below, there := m[path[0]]
		switch {
		case !last && there && to[path[0]] == nil:
			if _, is := below.(map[string]any); is {
				to[path[0]] = map[string]any{}
				takeOver(to[path[0]], below, path[1:])
			}
		case !last:
			takeOver(to[path[0]], below, path[1:])
		case there:
			to[path[0]] = runtime.DeepCopyJSONValue(below)
		default:
			delete(to, path[0])
		}
	case []any:
		l, ok := from.([]any)
		i, err := strconv.Atoi(path[0])
		if !ok || err != nil || i < 0 || i >= min(len(to), len(l)) {
			return
		}
		if last {
			to[i] = runtime.DeepCopyJSONValue(l[i])
			return
		}
		takeOver(to[i], l[i], path[1:])
	}
}

// keep says which of the annotations of a live Application stay that no template gives: those that others leave there.
// Source: Argo CD.
func keep(name string, preserved []string) bool {
	return slices.Contains(preserved, name) || slices.Contains(foreign, name) ||
		strings.HasPrefix(name, track.OurPrefix)
}

var foreign = []string{
	"notified.notifications.argoproj.io", "argocd.argoproj.io/refresh", "argocd.argoproj.io/hydrate",
	"argocd.argoproj.io/deletion-approved",
}
