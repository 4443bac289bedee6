package health

var ocmPolicy = group{"Policy": clusterPolicy, anyKind: usual}

func clusterPolicy(v view) Health {
	switch compliant := v.text("status", "compliant"); {
	case v.flag("spec", "disabled"):
		return healthy("The policy is disabled")
	case compliant == "Compliant":
		return healthy(compliant)
	case compliant == "NonCompliant":
		return degraded(compliant)
	case v.empty() || compliant != "" || len(v.list("status", "placement")) == 0:
		return progressing("Waiting for clusters to comply")
	}
	return healthy("No cluster is concerned")
}
