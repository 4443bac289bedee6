package health

var kserve = group{"InferenceService": inferenceService, anyKind: usual}

func inferenceService(v view) Health {
	if c := v.condition("Stopped"); c.is("True") {
		return suspended("The service is stopped")
	}
	switch state := v.text("status", "modelStatus", "transitionStatus"); state {
	case "BlockedByFailedLoad", "InvalidSpec":
		return degraded(state)
	case "InProgress":
		return progressing(state)
	}
	return usual(v)
}
