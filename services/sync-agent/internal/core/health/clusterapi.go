package health

var clusterAPI = group{"MachinePool": machinePool, anyKind: usual}

// machinePool is good while it is being scaled: it serves with what it has.
func machinePool(v view) Health {
	status := v.text("status", "phase")
	if h := paused(v); h.Status != "" {
		return h
	}
	switch status {
	case "Failed":
		return degraded(status)
	case "Running", "Scaling", "ScalingUp", "ScalingDown":
		if c := v.condition("Ready"); c.is("False") {
			return progressing(c.because())
		}
		return healthy(status)
	}
	return progressing(status)
}
