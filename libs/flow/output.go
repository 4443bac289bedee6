package flow

import "github.com/argosy-mesh/argosy/libs/flow/scope"

// publish makes what a unit left behind known to its successors.
func (k *engine) publish(s scope.Scope, prefix string, o outcome) {
	if o.items == nil {
		s.PublishNode(prefix, o.node)
		return
	}
	s.PublishLoop(prefix, o.node, k.nodesOf(o), k.outputNames(o.calls))
}

// outputNames are the output parameters that the template of a call promises; none when it is only known by its item.
func (k *engine) outputNames(c call) []string {
	t, _, err := k.load(c)
	if err != nil || t.Outputs == nil {
		return nil
	}
	var names []string
	for _, p := range t.Outputs.Parameters {
		names = append(names, p.Name)
	}
	return names
}
