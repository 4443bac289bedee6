package health

var flink = group{"FlinkDeployment": flinkDeployment, anyKind: usual}

func flinkDeployment(v view) Health {
	manager, job := v.text("status", "jobManagerDeploymentStatus"), v.text("status", "jobStatus", "state")
	switch {
	case manager == "ERROR":
		text := v.text("status", "reconciliationStatus", "error")
		if text == "" {
			text = v.text("status", "error")
		}
		return degraded(text)
	case manager == "READY" && job != "FAILED" && job != "FAILING", manager == "MISSING" && job == "SUSPENDED":
		return healthy(job)
	case manager == "READY", manager == "MISSING" && job == "FAILED":
		return degraded(job)
	}
	return progressing(manager)
}
