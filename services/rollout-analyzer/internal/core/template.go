package core

import (
	"encoding/json"
	"reflect"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// sameTemplate reports whether live is want after an API server filled in its defaults and a controller added the
// hash label. It lets ReplicaSets that another controller made be adopted without a new deployment. What a role put
// on them does not count.
func sameTemplate(want, live *corev1.PodTemplateSpec) bool {
	bare := live.DeepCopy()
	delete(bare.Labels, HashLabel)
	bare.Spec.Affinity = withoutSpread(bare.Spec.Affinity)
	a, b := tree(want), tree(bare)
	return covers(a, b)
}

// covers reports whether live holds everything of want and beyond it only defaults.
func covers(want, live any) bool {
	switch live := live.(type) {
	case map[string]any:
		want, _ := want.(map[string]any)
		for k, v := range want {
			if got, has := live[k]; !has && !empty(v) || has && !covers(v, got) {
				return false
			}
		}
		for k, v := range live {
			if _, has := want[k]; !has && !defaulted(k, v) {
				return false
			}
		}
		return true
	case []any:
		want, _ := want.([]any)
		if len(want) != len(live) {
			return false
		}
		for i := range live {
			if !covers(want[i], live[i]) {
				return false
			}
		}
		return true
	default:
		return reflect.DeepEqual(want, live)
	}
}

// defaults are what an API server fills in where a template is silent; nil accepts any value.
var defaults = map[string][]any{
	"terminationMessagePath": {"/dev/termination-log"}, "terminationMessagePolicy": {"File"}, "imagePullPolicy": nil,
	"dnsPolicy": {"ClusterFirst"}, "restartPolicy": {"Always"}, "schedulerName": {"default-scheduler"},
	"terminationGracePeriodSeconds": {float64(30)}, "protocol": {"TCP"}, "serviceAccount": nil,
	"defaultMode": {float64(420)}, "timeoutSeconds": {float64(1)}, "periodSeconds": {float64(10)},
	"successThreshold": {float64(1)}, "failureThreshold": {float64(3)}, "scheme": {"HTTP"}, "apiVersion": {"v1"},
	"type": {""}, "path": {"/"}, "divisor": {"0"}, "requests": nil,
}

func defaulted(key string, value any) bool {
	if empty(value) {
		return true
	}
	allowed, known := defaults[key]
	if !known {
		return false
	}
	if slices.Contains(allowed, value) {
		return true
	}
	return allowed == nil
}

func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case map[string]any:
		for _, inner := range v {
			if !empty(inner) {
				return false
			}
		}
		return true
	case []any:
		return len(v) == 0
	default:
		return reflect.ValueOf(v).IsZero()
	}
}

func tree(v any) any {
	text, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	var out any
	if err := json.Unmarshal(text, &out); err != nil {
		return nil
	}
	return out
}
