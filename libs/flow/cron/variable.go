package cron

import (
	"encoding/json"
	"maps"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"k8s.io/apimachinery/pkg/types"
)

func uid(text string) types.UID { return types.UID(text) }

// variables are what when and stopStrategy may look at. Source: Argo Workflows, variables of cron workflows.
func variables(w World, s v1alpha1.CronWorkflowStatus) map[string]any {
	// As nil the time of the last run compares with nil, as upstream's examples do.
	var last any
	if s.LastScheduledTime != nil {
		last = s.LastScheduledTime.Time
	}
	about := map[string]any{
		"name": w.Name, "namespace": w.Namespace, "failed": s.Failed, "succeeded": s.Succeeded,
		"lastScheduledTime": last,
		"labels":            texts(w.Labels), "annotations": texts(w.Annotations),
	}
	now := w.Now
	return map[string]any{"cronworkflow": about, "failed": s.Failed, "succeeded": s.Succeeded,
		"now": func() time.Time { return now }}
}

// texts are labels or annotations by their names, and all of them as JSON.
func texts(from map[string]string) map[string]any {
	out := map[string]any{"json": "{}"}
	if raw, err := json.Marshal(from); err == nil && from != nil {
		out["json"] = string(raw)
	}
	for name, value := range maps.All(from) {
		out[name] = value
	}
	return out
}
