package health

import "strings"

var pods = group{
	"Pod": pod, "Service": service, "PersistentVolumeClaim": claim, "ReplicationController": replicaSet,
}

func pod(v view) Health {
	if h := waiting(v); h.Status != "" {
		return h
	}
	message := v.text("status", "message")
	switch v.text("status", "phase") {
	case "Pending":
		return progressing(message)
	case "Succeeded":
		return healthy(message)
	case "Failed":
		return podFailed(v)
	case "Running":
		return podRunning(v)
	}
	return unknown(message)
}

// endless reports whether the containers are to run for ever.
func endless(v view) bool {
	policy := v.text("spec", "restartPolicy")
	return policy == "Always" || policy == ""
}

// waiting tells that a container cannot start, in pods that are to run for ever, or ask for it. In others it would
// end a hook before its time.
func waiting(v view) Health {
	if !endless(v) && v.annotation("argocd.argoproj.io/ignore-restart-policy") == "" {
		return Health{}
	}
	var messages []string
	bad := false
	for _, list := range []string{"initContainerStatuses", "containerStatuses"} {
		for _, c := range v.list("status", list) {
			if badWaiting(c.text("state", "waiting", "reason")) {
				bad = true
				messages = append(messages, c.text("state", "waiting", "message"))
			}
		}
	}
	if !bad {
		return Health{}
	}
	return degraded(strings.Trim(strings.Join(messages, ", "), ", "))
}

func badWaiting(reason string) bool {
	return strings.HasPrefix(reason, "Err") || strings.HasSuffix(reason, "Error") ||
		strings.HasSuffix(reason, "BackOff")
}

func podFailed(v view) Health {
	if message := v.text("status", "message"); message != "" {
		return degraded(message)
	}
	for _, list := range []string{"initContainerStatuses", "containerStatuses"} {
		for _, c := range v.list("status", list) {
			ended := c.at("state", "terminated")
			if text := ended.text("message"); text != "" {
				return degraded(text)
			}
			if ended.text("reason") == "OOMKilled" || ended.count("exitCode") != 0 {
				return degraded("container " + c.text("name") + " failed: " + ended.text("reason"))
			}
		}
	}
	return degraded("")
}

func podRunning(v view) Health {
	message := v.text("status", "message")
	if !endless(v) {
		// A pod that is to end is at work: hooks wait for it.
		return progressing(message)
	}
	if v.condition("Ready").is("True") {
		return healthy(message)
	}
	for _, c := range v.list("status", "containerStatuses") {
		if c.has("lastState", "terminated") {
			return degraded(message)
		}
	}
	return progressing(message)
}

func service(v view) Health {
	if v.text("spec", "type") != "LoadBalancer" {
		return healthy("")
	}
	return loadBalanced(v)
}

func claim(v view) Health {
	switch v.text("status", "phase") {
	case "Bound":
		return healthy("")
	case "Lost":
		return degraded("")
	case "Pending":
		return progressing("")
	}
	return unknown("")
}
