package health

import (
	"regexp"
)

var pods = group{"Pod": pod, "Service": service, "PersistentVolumeClaim": claim}

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
		if ready, _, _ := v.condition("Ready"); ready == "True" && v.text("spec", "restartPolicy") != "Never" &&
			v.text("spec", "restartPolicy") != "OnFailure" {
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
