package health

import "strings"

var cnpg = group{"Cluster": postgresCluster, anyKind: usual}

func postgresCluster(v view) Health {
	if v.annotation("cnpg.io/reconciliationLoop") == "disabled" {
		return suspended("Reconciliation is disabled")
	}
	if c := v.condition("cnpg.io/hibernation"); c.is("True") {
		return suspended(c.because())
	}
	state, why := v.text("status", "phase"), v.text("status", "phaseReason")
	if why == "" {
		why = state
	}
	text := strings.ToLower(state)
	switch {
	case text == "cluster in healthy state":
		return healthy(why)
	case strings.Contains(text, "waiting for user action"):
		return suspended(why)
	case strings.Contains(text, "failing over"), strings.Contains(text, "unrecoverable"),
		strings.Contains(text, "not enough"), strings.Contains(text, "unable"), stateOf(state) == Degraded:
		return degraded(why)
	}
	return progressing(why)
}
