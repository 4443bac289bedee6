package workflowtest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/libs/flow/operation"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// actWithoutPod plays work that needs no pod from start to end; what is scripted as Running never ends. False means
// that nothing is new.
func (p *play) actWithoutPod(action flow.Action) bool {
	switch a := action.(type) {
	case flow.Perform:
		if p.begun[a.NodeID] {
			return false
		}
		p.begun[a.NodeID] = true
		fmt.Fprintf(&p.log, "perform %s %s\n", a.NodeName, strings.TrimSpace(work(a)))
		p.show(a.NodeName, a.Template, nil)
		p.w.Now = p.w.Now.Add(time.Second)
		if end := p.taskEnd(a.NodeName); end.Phase.Fulfilled() {
			p.w.Tasks[a.NodeID] = end
		}
		return true
	case flow.StopTask:
		if _, ended := p.w.Tasks[a.NodeID]; p.begun[a.NodeID] && !ended {
			fmt.Fprintf(&p.log, "give up %s\n", p.w.Run.Nodes[a.NodeID].Name)
			p.w.Tasks[a.NodeID] = flow.Task{Phase: v1alpha1.NodeFailed, At: p.w.Now}
		}
	}
	return false
}

// taskEnd is how the work of a node ends.
func (p *play) taskEnd(node string) flow.Task {
	end := flow.Task{Phase: v1alpha1.NodeSucceeded, At: p.w.Now}
	pod, scripted := p.script[node]
	if !scripted {
		return end
	}
	end.Phase, end.Message, end.Outputs = v1alpha1.NodePhase(pod.Phase), pod.Message,
		&v1alpha1.Outputs{Result: pod.Report.Result}
	for _, name := range slices.Sorted(maps.Keys(pod.Report.Parameters)) {
		end.Outputs.Parameters = append(end.Outputs.Parameters,
			v1alpha1.Parameter{Name: name, Value: v1alpha1.AnyStringPtr(pod.Report.Parameters[name])})
	}
	return end
}

func work(a flow.Perform) string {
	t := a.Template
	switch {
	case t.HTTP != nil:
		return strings.Join([]string{"http", t.HTTP.Method, t.HTTP.URL, t.HTTP.Body}, " ")
	case t.Resource != nil && t.Resource.ManifestFrom != nil && t.Resource.ManifestFrom.Artifact.S3 != nil:
		return "resource " + t.Resource.Action + " of " + t.Resource.ManifestFrom.Artifact.S3.Key + " as " + a.Account
	case t.Resource != nil:
		return "resource " + t.Resource.Action + " " + t.Resource.Manifest + " as " + a.Account
	case t.Plugin != nil:
		return "plugin " + string(t.Plugin)
	}
	return "data"
}

// retry does an ended run again if that was asked for; what is done again succeeds.
func (p *play) retry() bool {
	if len(p.retries) == 0 {
		return false
	}
	from := p.retries[0]
	p.retries = p.retries[1:]
	fmt.Fprintf(&p.log, "ended %s%s\n", p.w.Run.Phase, suffix(p.w.Run.Message))
	again, err := operation.Retry(p.w, from != "", func(n v1alpha1.NodeStatus) bool { return n.Name == from })
	if err != nil {
		fmt.Fprintf(&p.log, "retry %s: %v\n", from, err)
		return false
	}
	for _, id := range again.Drop {
		fmt.Fprintf(&p.log, "again %s\n", p.w.Run.Nodes[id].Name)
		delete(p.script, p.w.Run.Nodes[id].Name)
		delete(p.w.Pods, id)
		delete(p.w.Tasks, id)
		delete(p.begun, id)
	}
	p.w.Run = p.w.Run.Restarted(again)
	if p.twin != nil {
		p.twin.plan = nil
	}
	return true
}
