package health

var (
	kubevirt = group{"VirtualMachineInstance": machineInstance, "VirtualMachine": virtualMachine, anyKind: usual}
	cdi      = group{"DataVolume": dataVolume, anyKind: usual}
)

func machineInstance(v view) Health {
	if c := v.condition("Paused"); c.is("True") {
		return suspended(c.because())
	}
	ready := v.condition("Ready")
	switch phase := v.text("status", "phase"); phase {
	case "Running":
		if ready.is("False") {
			return degraded(ready.because())
		}
		return healthy(phase)
	case "Succeeded":
		return suspended(phase)
	case "Failed":
		return degraded(ready.because())
	case "Unknown":
		return unknown(phase)
	default:
		return progressing(phase)
	}
}

func virtualMachine(v view) Health {
	for _, kind := range []string{"Failure", "Paused"} {
		if c := v.condition(kind); c.is("True") {
			return Health{map[string]string{"Failure": Degraded, "Paused": Suspended}[kind], c.because()}
		}
	}
	status := v.text("status", "printableStatus")
	if h := phase(status, "", false); h.Status != "" && status != "Running" {
		return h
	}
	switch ready := v.condition("Ready"); {
	case ready.is("True"):
		return healthy(status)
	case ready.is("False") && isBad(ready.reason):
		return degraded(ready.because())
	}
	return progressing(status)
}

func dataVolume(v view) Health {
	status := v.text("status", "phase")
	switch status {
	case "Succeeded":
		return healthy(status)
	case "Failed", "Unknown":
		return degraded(status)
	case "Paused":
		return suspended(status)
	}
	if c := v.condition("Running"); c.is("False") && c.reason == "Error" {
		return degraded(c.because())
	}
	return progressing(status)
}
