package health

var argoproj = group{"Rollout": rollout, "Workflow": workflow}

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
