package health

var (
	strimzi = group{anyKind: strimziKind}
	banzai  = group{"KafkaCluster": banzaiCluster, anyKind: usual}
)

// strimziKind does not compare generations: the operator writes them only where it had something to do.
func strimziKind(v view) Health {
	for _, c := range v.conditions("status", "conditions") {
		switch {
		case !c.is("True"):
		case c.kind == "ReconciliationPaused":
			return suspended("Reconciliation is paused")
		case c.kind == "NotReady" && c.reason == "Creating":
			return progressing(c.because())
		case c.kind == "NotReady":
			return degraded(c.because())
		case c.kind == "Ready":
			return healthy(c.message)
		}
	}
	return progressing("Waiting for a status")
}

func banzaiCluster(v view) Health {
	state, cruise := v.text("status", "state"), v.text("status", "cruiseControlTopicStatus")
	if state != "ClusterRunning" || cruise != "CruiseControlTopicReady" {
		return progressing(state + " " + cruise)
	}
	brokers := v.at("status", "brokersState")
	for name := range brokers.o {
		if brokers.text(name, "configurationState") != "ConfigInSync" {
			return degraded("The configuration of a broker is out of sync")
		}
	}
	return healthy("")
}
