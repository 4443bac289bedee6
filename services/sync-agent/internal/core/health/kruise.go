package health

var (
	kruiseApps = group{
		"CloneSet": kruiseReplicas, "StatefulSet": kruiseReplicas, "DaemonSet": kruiseDaemons, "SidecarSet": sidecarSet,
		anyKind: usual,
	}
	kruiseRollouts = group{"Rollout": kruiseRollout, anyKind: usual}
	kruiseGame     = group{"GameServer": gameServer, anyKind: usual}
)

// held tells that a workload waits for a person: it is paused, or its partition keeps pods back.
func held(v view, updated, wanted int64) Health {
	strategy := v.at("spec", "updateStrategy")
	for _, at := range []view{strategy, strategy.at("rollingUpdate")} {
		if at.flag("paused") {
			return suspended("The update is paused")
		}
		if partition, ok := at.number("partition"); ok && partition > 0 && updated >= wanted-partition {
			return suspended("A partition keeps pods at the old revision")
		}
	}
	return Health{}
}

func kruiseReplicas(v view) Health {
	if v.empty() || v.outdated() {
		return progressing("Waiting for initialization")
	}
	replicas := v.count("status", "replicas")
	if h := held(v, v.count("status", "updatedReplicas"), replicas); h.Status != "" {
		return h
	}
	ready, available := v.count("status", "updatedReadyReplicas"), v.count("status", "updatedAvailableReplicas")
	if ready < replicas || available < replicas {
		return degraded("Some replicas are not ready or available")
	}
	return healthy("")
}

func kruiseDaemons(v view) Health {
	if v.empty() || v.outdated() {
		return progressing("Waiting for initialization")
	}
	wanted := v.count("status", "desiredNumberScheduled")
	if h := held(v, v.count("status", "updatedNumberScheduled"), wanted); h.Status != "" {
		return h
	}
	available, told := v.number("status", "numberAvailable")
	switch {
	case v.count("status", "numberUnavailable") > 0 || told && available < wanted:
		return degraded("Some pods are not ready or available")
	case !told || v.count("status", "updatedNumberScheduled") < wanted:
		return progressing("Waiting for pods")
	}
	return healthy("")
}

func kruiseRollout(v view) Health {
	message := v.text("status", "message")
	if v.empty() || v.outdated() {
		return progressing("Waiting for the new generation to be observed")
	}
	step := v.text("status", "canaryStatus", "currentStepState")
	if step == "" {
		step = v.text("status", "blueGreenStatus", "currentStepState")
	}
	switch v.text("status", "phase") {
	case "Disabled", "Terminating", "Disabling":
		return degraded(message)
	case "Healthy":
		return healthy(message)
	}
	if step == "StepPaused" {
		return suspended(message)
	}
	return progressing(message)
}

func gameServer(v view) Health {
	if v.empty() {
		return unknown("Waiting for a status")
	}
	for _, c := range v.conditions("status", "podStatus", "conditions") {
		if c.is("False") {
			return degraded("The pod is not ready: " + c.kind)
		}
	}
	if state := v.text("status", "currentState"); state != v.text("status", "desiredState") {
		return progressing("The state is " + state)
	}
	return healthy("")
}

func sidecarSet(v view) Health {
	if v.empty() || v.outdated() {
		return progressing("Waiting for initialization")
	}
	matched, updated := v.count("status", "matchedPods"), v.count("status", "updatedPods")
	if h := held(v, updated, matched); h.Status != "" {
		return h
	}
	switch {
	case updated < matched:
		return progressing("Not all pods are updated")
	case v.count("status", "readyPods") < matched:
		return degraded("Some pods are not ready")
	}
	return healthy("")
}
