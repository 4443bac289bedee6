package engine

import (
	"encoding/json"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/libs/flow/metric"
	"github.com/argosy-mesh/argosy/libs/flow/nodes"
	"github.com/argosy-mesh/argosy/libs/flow/scope"
	"github.com/argosy-mesh/argosy/libs/flow/state"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// measureNode reports the metrics of a template for its node: those in real time when it begins, all when it has ended.
func (k *engine) measureNode(t v1alpha1.Template, sc scope.Scope, n v1alpha1.NodeStatus, begins bool) {
	if t.Metrics == nil || n.ID == "" || n.StartedAt == nil || !begins && !n.Phase.Fulfilled() {
		return
	}
	about := metric.Subject{Realtime: map[string]time.Time{"duration": n.StartedAt.Time,
		"workflow.duration": k.World.Run.StartedAt}}
	last := k.World.Now
	if n.Phase.Fulfilled() {
		if n.FinishedAt != nil {
			last = n.FinishedAt.Time
		}
		about.End = last
	}
	values := map[string]string{"status": string(n.Phase), "duration": seconds(last.Sub(n.StartedAt.Time)),
		"exitCode": "0"}
	if n.Type == v1alpha1.NodeTypeRetry {
		values["retries"] = strconv.Itoa(max(len(n.Children)-1, 0))
	}
	maps.Copy(values, k.resourceValues(*t.Metrics, n.ID))
	if out := n.Outputs; out != nil {
		if out.ExitCode != nil {
			values["exitCode"] = *out.ExitCode
		}
		if out.Result != nil {
			values["outputs.result"] = *out.Result
		}
		for _, p := range out.Parameters {
			if p.Value != nil {
				values["outputs.parameters."+p.Name] = p.Value.String()
			}
		}
	}
	k.Metrics = append(k.Metrics, metric.Resolve(t.Metrics.Prometheus, sc.With(values), about)...)
}

// measureRetry reports the metrics of a template for the node that holds its attempts. Source: Argo Workflows reports
// them for each attempt, and for all of them.
func (k *engine) measureRetry(c state.Call, t v1alpha1.Template, n v1alpha1.NodeStatus) {
	if t.Metrics == nil || !n.Phase.Fulfilled() {
		return
	}
	if sc, _, err := k.inputs(c, t); err == nil {
		k.measureNode(t, sc, k.Nodes.At(n.ID), false)
	}
}

// measureRun reports the metrics of the workflow: those in real time when it begins, all when it has ended.
func (k *engine) measureRun(change *flow.RunChange) {
	if k.World.Spec.Metrics == nil || change.StartedAt == nil && change.FinishedAt == nil {
		return
	}
	about := metric.Subject{Realtime: map[string]time.Time{"workflow.duration": k.World.Run.StartedAt}}
	if change.FinishedAt != nil {
		about.End = *change.FinishedAt
	}
	took := seconds(k.World.Now.Sub(k.World.Run.StartedAt))
	values := map[string]string{"workflow.status": string(change.Phase), "status": string(change.Phase),
		"workflow.duration": took, "duration": took}
	maps.Copy(values, k.resourceValues(*k.World.Spec.Metrics, k.Nodes.ID(k.World.Name)))
	sc := k.Globals.Inner(values)
	k.Metrics = append(k.Metrics, metric.Resolve(k.World.Spec.Metrics.Prometheus, sc, about)...)
}

// resourceValues are the variables of metrics about a node that used resources. They are looked up only for metrics
// that mention them: a node may hold many.
func (k *engine) resourceValues(m v1alpha1.Metrics, id string) map[string]string {
	text, err := json.Marshal(m)
	if err != nil || !strings.Contains(string(text), resourcesVariable) {
		return nil
	}
	out := map[string]string{resourcesVariable + "cpu": "0", resourcesVariable + "memory": "0"}
	for name, seconds := range nodes.ResourcesOf(k.Nodes.All(), id) {
		out[resourcesVariable+name] = strconv.FormatInt(seconds, 10)
	}
	return out
}

// resourcesVariable begins the names of variables of metrics.
const resourcesVariable = "resourcesDuration."

func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) }
