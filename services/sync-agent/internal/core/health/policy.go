package health

var policy = group{"PodDisruptionBudget": disruptionBudget}

// disruptionBudget is good whatever it allows: a budget that forbids disruptions now does what it is for.
func disruptionBudget(v view) Health {
	found := false
	message := ""
	for _, c := range v.conditions("status", "conditions") {
		if c.kind != "DisruptionAllowed" {
			continue
		}
		if c.reason == "SyncFailed" {
			return degraded(c.because())
		}
		found, message = true, c.because()
	}
	if !found {
		return progressing("Waiting for a status")
	}
	return healthy(message)
}
