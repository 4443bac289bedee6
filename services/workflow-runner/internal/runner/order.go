package runner

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// obey carries out the orders that stand on a workflow, each once: its key is recorded with what it changed. What
// cannot be done is said on the object, and the order is taken away.
func (r *Runner) obey(ctx context.Context, wf *v1alpha1.Workflow, known *run) error {
	var refused []string
	gone := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(wf.Annotations)) {
		key, is := strings.CutPrefix(name, orderPrefix)
		if !is {
			continue
		}
		gone[name] = nil
		if known.obeyed[key] {
			continue
		}
		var ask order
		err := json.Unmarshal([]byte(wf.Annotations[name]), &ask)
		if err == nil {
			err = r.carryOut(ctx, wf, known, key, ask)
		}
		if err != nil {
			refused = append(refused, fmt.Sprintf("%s: %v", name, err))
		}
	}
	if len(gone) == 0 {
		return nil
	}
	if len(refused) > 0 {
		r.log.WarnContext(ctx, "orders were refused", "workflow", wf.Namespace+"/"+wf.Name, "orders", refused)
		gone["argosy.dev/refused-orders"] = strings.Join(refused, "; ")
	}
	target := workflow()
	target.SetNamespace(wf.Namespace)
	target.SetName(wf.Name)
	body := mustJSON(map[string]any{"metadata": map[string]any{"annotations": gone}})
	return client.IgnoreNotFound(r.client.Patch(ctx, target, client.RawPatch(types.MergePatchType, body)))
}

func (r *Runner) carryOut(ctx context.Context, wf *v1alpha1.Workflow, known *run, key string, ask order) error {
	if ask.Operation != "resume" {
		return fmt.Errorf("operation %q is not known", ask.Operation)
	}
	pick, err := selector(ask.Selector)
	if err != nil {
		return err
	}
	now := time.Now()
	changed, err := flow.Resume(known.state, pick, ask.Outputs, now)
	if err != nil {
		return err
	}
	return r.journals.append(ctx, string(wf.UID), known, entry{At: now, Nodes: changed, Order: key})
}

// selector reads "field=value,...": the fields of a node that upstream's flag knows. Empty selects every node.
func selector(text string) (func(v1alpha1.NodeStatus) bool, error) {
	var checks []func(v1alpha1.NodeStatus) bool
	for _, term := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' }) {
		field, value, ok := strings.Cut(term, "=")
		get, known := nodeFields()[strings.TrimPrefix(field, "metadata.")]
		if !ok || !known {
			return nil, fmt.Errorf("selector %q: each term is one of displayName, name, id, templateName, phase, = and a value", term)
		}
		checks = append(checks, func(n v1alpha1.NodeStatus) bool { return get(n) == value })
	}
	return func(n v1alpha1.NodeStatus) bool {
		return !slices.ContainsFunc(checks, func(check func(v1alpha1.NodeStatus) bool) bool { return !check(n) })
	}, nil
}

func nodeFields() map[string]func(v1alpha1.NodeStatus) string {
	return map[string]func(v1alpha1.NodeStatus) string{
		"displayName":  func(n v1alpha1.NodeStatus) string { return n.DisplayName },
		"name":         func(n v1alpha1.NodeStatus) string { return n.Name },
		"id":           func(n v1alpha1.NodeStatus) string { return n.ID },
		"templateName": func(n v1alpha1.NodeStatus) string { return n.TemplateName },
		"phase":        func(n v1alpha1.NodeStatus) string { return string(n.Phase) },
	}
}
