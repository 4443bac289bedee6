package health

var rabbitmq = group{anyKind: topologyObject, "RabbitmqCluster": rabbitCluster}

// topologyObject judges what the topology operator makes in a broker. It writes the generation only when the broker
// was asked anew, so that it is not compared.
func topologyObject(v view) Health {
	c := v.condition("Ready")
	switch {
	case v.empty() || c.kind == "":
		return unknown("There is no status")
	case c.is("True"):
		return healthy(c.because())
	case c.is("False"):
		return degraded(c.because())
	}
	return unknown(c.because())
}

func rabbitCluster(v view) Health {
	available, all := v.condition("ClusterAvailable"), v.condition("AllReplicasReady")
	written := v.condition("ReconcileSuccess")
	switch {
	case written.is("False"):
		return degraded(written.because())
	case available.is("False") && !isSevere(available.reason) && !all.is("True"):
		return progressing(available.because())
	case available.is("False"):
		return degraded(available.because())
	case available.is("True") && !all.is("False"):
		return healthy("")
	}
	return progressing("Waiting for all replicas")
}
