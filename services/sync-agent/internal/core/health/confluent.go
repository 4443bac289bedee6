package health

var confluent = group{anyKind: confluentKind}

// confluentKind goes by the words that the operator writes: its conditions speak of parts.
func confluentKind(v view) Health {
	if v.count("status", "failedTasksCount") > 0 || len(v.at("status", "failedTasks").o) > 0 {
		return degraded("There are failed tasks")
	}
	var out Health
	for _, name := range []string{"phase", "state", "connectorState"} {
		out = worst(out, phase(v.text("status", name), "", false))
	}
	for _, c := range v.conditions("status", "conditions") {
		if c.is("False") && isSevere(c.reason) {
			out = worst(out, degraded(c.because()))
		}
	}
	if out.Status == "" {
		return usual(v)
	}
	return out
}
