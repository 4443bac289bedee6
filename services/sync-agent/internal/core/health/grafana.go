package health

var grafana = group{"Grafana": grafanaInstance, anyKind: usual}

func grafanaInstance(v view) Health {
	stage, result := v.text("status", "stage"), v.text("status", "stageStatus")
	switch {
	case result == "failed":
		return degraded("Stage " + stage + " failed")
	case stage == "complete" && result == "success":
		return healthy("")
	}
	return progressing(stage)
}
