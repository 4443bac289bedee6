package health

var apps = group{"Deployment": deployment, "ReplicaSet": replicaSet, "StatefulSet": statefulSet, "DaemonSet": daemonSet}

func deployment(v view) Health {
	if v.flag("spec", "paused") {
		return Health{Suspended, "Deployment is paused"}
	}
	if v.stale() {
		return progressing("Waiting for rollout to finish: observed deployment generation less than desired generation")
	}
	if v.condition("Progressing").reason == "ProgressDeadlineExceeded" {
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
		return progressing(
			"Waiting for rollout to finish: observed replica set generation less than desired generation",
		)
	}
	if c := v.condition("ReplicaFailure"); c.is("True") {
		return degraded(c.message)
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
		if v.count("status", "updatedReplicas") < v.replicas()-v.count(
			"spec", "updateStrategy", "rollingUpdate", "partition",
		) {
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
