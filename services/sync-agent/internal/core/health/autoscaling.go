package health

import (
	"encoding/json"
	"slices"
)

var autoscaling = group{"HorizontalPodAutoscaler": autoscaler}

// scalingFailures are reasons for which an autoscaler does not scale.
var scalingFailures = []string{
	"FailedGetScale", "FailedUpdateScale", "FailedGetResourceMetric", "FailedGetExternalMetric",
	"FailedGetObjectMetric", "FailedGetPodsMetric", "FailedGetContainerResourceMetric", "InvalidSelector",
}

func autoscaler(v view) Health {
	conditions := v.conditions("status", "conditions")
	if text := v.annotation("autoscaling.alpha.kubernetes.io/conditions"); text != "" && len(conditions) == 0 {
		// Version 1 has no room for conditions but there.
		var list []any
		if json.Unmarshal([]byte(text), &list) == nil {
			conditions = view{map[string]any{"list": list}}.conditions("list")
		}
	}
	for _, c := range conditions {
		if slices.Contains(scalingFailures, c.reason) {
			return degraded(c.because())
		}
	}
	for _, c := range conditions {
		if (c.kind == "AbleToScale" || c.kind == "ScalingLimited") && c.is("True") {
			return healthy(c.message)
		}
	}
	return progressing("Waiting to scale")
}
