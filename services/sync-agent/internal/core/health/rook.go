package health

var (
	rookCassandra = group{"Cluster": cassandraCluster, anyKind: usual}
	rookCeph      = group{"CephCluster": cephCluster, anyKind: usual}
)

func cassandraCluster(v view) Health {
	racks := v.at("status", "racks")
	if len(racks.o) == 0 {
		return progressing("Waiting for racks")
	}
	for name := range racks.o {
		if racks.count(name, "readyMembers") < racks.count(name, "members") {
			return progressing("Not all members are ready")
		}
	}
	return healthy("")
}

func cephCluster(v view) Health {
	message := v.text("status", "message")
	switch state := v.text("status", "ceph", "health"); state {
	case "HEALTH_OK":
		return healthy(message)
	case "HEALTH_WARN", "HEALTH_ERR":
		return degraded(state + " " + message)
	}
	return usual(v)
}
