package core

import (
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Health is the state of one object or of an application. The zero value means
// that the kind has no notion of health, which is not the same as healthy.
type Health struct {
	Status  string
	Message string
}

// The states of health, from best to worst.
const (
	Healthy     = "Healthy"
	Suspended   = "Suspended"
	Progressing = "Progressing"
	Missing     = "Missing"
	Degraded    = "Degraded"
	Unknown     = "Unknown"
)

var healthRank = map[string]int{"": 0, Healthy: 0, Suspended: 1, Progressing: 2, Missing: 3, Degraded: 4, Unknown: 5}

// Assess tells the health of a live object.
func Assess(o *Object) Health {
	if o.GetDeletionTimestamp() != nil {
		return Health{Progressing, "Pending deletion"}
	}
	gk := o.GroupVersionKind().GroupKind()
	if assess, ok := assessors[gk]; ok {
		return assess(view{o.Object})
	}
	return Health{}
}

var assessors = map[schema.GroupKind]func(view) Health{
	{Group: "apps", Kind: "Deployment"}:                               deployment,
	{Group: "apps", Kind: "ReplicaSet"}:                               replicaSet,
	{Group: "apps", Kind: "StatefulSet"}:                              statefulSet,
	{Group: "apps", Kind: "DaemonSet"}:                                daemonSet,
	{Kind: "Pod"}:                                                     pod,
	{Kind: "Service"}:                                                 service,
	{Kind: "PersistentVolumeClaim"}:                                   claim,
	{Group: "batch", Kind: "Job"}:                                     job,
	{Group: "networking.k8s.io", Kind: "Ingress"}:                     loadBalanced,
	{Group: "argoproj.io", Kind: "Rollout"}:                           rollout,
	{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}: definition,
	{Group: "argoproj.io", Kind: "Workflow"}:                          workflow,
}

// view reads fields without errors: what is missing or of another type is zero.
type view struct{ o map[string]any }

func (v view) text(fields ...string) string {
	s, _, _ := unstructured.NestedString(v.o, fields...)
	return s
}

func (v view) flag(fields ...string) bool {
	b, _, _ := unstructured.NestedBool(v.o, fields...)
	return b
}

func (v view) count(fields ...string) int64 {
	value, _, _ := unstructured.NestedFieldNoCopy(v.o, fields...)
	n, _ := number(value)
	return int64(n)
}

func (v view) has(fields ...string) bool {
	_, found, err := unstructured.NestedFieldNoCopy(v.o, fields...)
	return found && err == nil
}

func (v view) list(fields ...string) []view {
	items, _, _ := unstructured.NestedFieldNoCopy(v.o, fields...)
	list, _ := items.([]any)
	var out []view
	for _, item := range list {
		if m, ok := item.(map[string]any); ok {
			out = append(out, view{m})
		}
	}
	return out
}

func (v view) condition(kind string) (status, reason, message string) {
	for _, c := range v.list("status", "conditions") {
		if c.text("type") == kind {
			return c.text("status"), c.text("reason"), c.text("message")
		}
	}
	return "", "", ""
}

func (v view) replicas() int64 {
	if v.has("spec", "replicas") {
		return v.count("spec", "replicas")
	}
	return 1
}

func (v view) stale() bool {
	return v.count("metadata", "generation") > v.count("status", "observedGeneration")
}

func progressing(message string) Health { return Health{Progressing, message} }

func deployment(v view) Health {
	if v.flag("spec", "paused") {
		return Health{Suspended, "Deployment is paused"}
	}
	if v.stale() {
		return progressing("Waiting for rollout to finish: observed deployment generation less than desired generation")
	}
	if _, reason, _ := v.condition("Progressing"); reason == "ProgressDeadlineExceeded" {
		return Health{Degraded, "Deployment exceeded its progress deadline"}
	}
	updated, replicas := v.count("status", "updatedReplicas"), v.count("status", "replicas")
	switch {
	case updated < v.replicas():
		return progressing("Waiting for rollout to finish: not all replicas are updated")
	case replicas > updated:
		return progressing("Waiting for rollout to finish: old replicas are pending termination")
	case v.count("status", "availableReplicas") < updated:
		return progressing("Waiting for rollout to finish: not all updated replicas are available")
	}
	return Health{Status: Healthy}
}

func replicaSet(v view) Health {
	if v.stale() {
		return progressing("Waiting for rollout to finish: observed replica set generation less than desired generation")
	}
	if status, _, message := v.condition("ReplicaFailure"); status == "True" {
		return Health{Degraded, message}
	}
	if v.count("status", "availableReplicas") < v.replicas() {
		return progressing("Waiting for rollout to finish: not all replicas are available")
	}
	return Health{Status: Healthy}
}

func statefulSet(v view) Health {
	if v.stale() {
		return progressing("Waiting for statefulset spec update to be observed")
	}
	if v.count("status", "readyReplicas") < v.replicas() {
		return progressing("Waiting for all replicas to be ready")
	}
	if v.text("spec", "updateStrategy", "type") == "OnDelete" {
		return Health{Status: Healthy}
	}
	if v.has("spec", "updateStrategy", "rollingUpdate") {
		if v.count("status", "updatedReplicas") < v.replicas()-v.count("spec", "updateStrategy", "rollingUpdate", "partition") {
			return progressing("Waiting for partitioned roll out to finish")
		}
		return Health{Status: Healthy}
	}
	if v.text("status", "updateRevision") != v.text("status", "currentRevision") {
		return progressing("Waiting for statefulset rolling update to complete")
	}
	return Health{Status: Healthy}
}

func daemonSet(v view) Health {
	if v.stale() {
		return progressing("Waiting for rollout to finish: observed daemon set generation less than desired generation")
	}
	if v.text("spec", "updateStrategy", "type") == "OnDelete" {
		return Health{Status: Healthy}
	}
	want := v.count("status", "desiredNumberScheduled")
	if v.count("status", "updatedNumberScheduled") < want || v.count("status", "numberAvailable") < want {
		return progressing("Waiting for daemon set rollout to finish: not all pods are updated and available")
	}
	return Health{Status: Healthy}
}

var badWaiting = regexp.MustCompile(`^Err|Error$|BackOff$`)

func pod(v view) Health {
	if v.text("spec", "restartPolicy") == "Always" || !v.has("spec", "restartPolicy") {
		for _, c := range v.list("status", "containerStatuses") {
			if reason := c.text("state", "waiting", "reason"); badWaiting.MatchString(reason) {
				return Health{Degraded, c.text("state", "waiting", "message")}
			}
		}
	}
	switch v.text("status", "phase") {
	case "Succeeded":
		return Health{Healthy, v.text("status", "message")}
	case "Failed":
		return Health{Degraded, v.text("status", "message")}
	case "Running":
		if ready, _, _ := v.condition("Ready"); ready == "True" && v.text("spec", "restartPolicy") != "Never" && v.text("spec", "restartPolicy") != "OnFailure" {
			return Health{Status: Healthy}
		}
	}
	return progressing(v.text("status", "message"))
}

func service(v view) Health {
	if v.text("spec", "type") != "LoadBalancer" {
		return Health{Status: Healthy}
	}
	return loadBalanced(v)
}

func loadBalanced(v view) Health {
	if len(v.list("status", "loadBalancer", "ingress")) > 0 {
		return Health{Status: Healthy}
	}
	return Health{Status: Progressing}
}

func claim(v view) Health {
	switch v.text("status", "phase") {
	case "Bound":
		return Health{Status: Healthy}
	case "Lost":
		return Health{Status: Degraded}
	case "Pending":
		return Health{Status: Progressing}
	}
	return Health{Status: Unknown}
}

func job(v view) Health {
	if failed, _, message := v.condition("Failed"); failed == "True" {
		return Health{Degraded, message}
	}
	if done, _, message := v.condition("Complete"); done == "True" {
		return Health{Healthy, message}
	}
	if v.flag("spec", "suspend") {
		return Health{Suspended, "Job is suspended"}
	}
	return progressing("Job is running")
}

func rollout(v view) Health {
	switch phase := v.text("status", "phase"); phase {
	case Healthy, Degraded, Progressing:
		return Health{phase, v.text("status", "message")}
	case "Paused":
		return Health{Suspended, v.text("status", "message")}
	}
	return progressing("Waiting for the rollout to be looked at")
}

func workflow(v view) Health {
	switch v.text("status", "phase") {
	case "Succeeded":
		return Health{Healthy, v.text("status", "message")}
	case "Failed", "Error":
		return Health{Degraded, v.text("status", "message")}
	}
	return progressing(v.text("status", "message"))
}

func definition(v view) Health {
	if established, _, _ := v.condition("Established"); established == "True" {
		return Health{Status: Healthy}
	}
	return progressing("Waiting for the definition to be established")
}

// Worst is the health of an application: that of its worst object. Objects
// without health, hooks and those that ask to be ignored do not count; missing
// ones only if all are.
func Worst(items []Item) Health {
	worst := Health{Status: Healthy}
	missing, counted := 0, 0
	for _, i := range items {
		if i.Desired == nil || i.Desired.GetAnnotations()[IgnoreHealth] == "true" {
			continue
		}
		counted++
		if i.Health.Status == Missing {
			missing++
			continue
		}
		if healthRank[i.Health.Status] > healthRank[worst.Status] {
			worst = Health{i.Health.Status, strings.TrimSpace(i.Key.String() + ": " + i.Health.Message)}
		}
	}
	if counted > 0 && missing == counted {
		return Health{Status: Missing}
	}
	return worst
}
