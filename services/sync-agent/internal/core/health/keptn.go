package health

var keptnMetrics = group{"KeptnMetric": keptnMetric, anyKind: usual}

func keptnMetric(v view) Health {
	if text := v.text("status", "errMsg"); text != "" {
		return degraded(text)
	}
	if v.has("status", "value") && v.value("status", "value") != "" {
		return healthy("")
	}
	return progressing("Waiting for a value")
}
