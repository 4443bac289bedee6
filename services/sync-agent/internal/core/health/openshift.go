package health

var (
	openshiftOperator = group{"IngressController": ingressController, anyKind: usual}
	openshiftRoute    = group{"Route": openshiftRouteHealth, anyKind: usual}
)

func ingressController(v view) Health {
	available, scaled := v.condition("Available"), v.condition("DeploymentReplicasAllAvailable")
	if c := v.condition("Degraded"); c.is("True") {
		return degraded(c.because())
	}
	if c := v.condition("Progressing"); c.is("True") {
		return progressing(c.because())
	}
	switch {
	case scaled.is("False"):
		return progressing(scaled.because())
	case available.is("True"):
		return healthy(available.message)
	case available.is("False"):
		return degraded(available.because())
	}
	return progressing("Waiting for a status")
}

func openshiftRouteHealth(v view) Health {
	var out Health
	for _, ingress := range v.list("status", "ingress") {
		for _, c := range ingress.conditions("conditions") {
			switch {
			case c.kind != "Admitted":
			case c.is("True"):
				out = worst(out, healthy(""))
			case c.is("False"):
				out = worst(out, degraded(c.because()))
			default:
				out = worst(out, progressing("The route is being admitted"))
			}
		}
	}
	if out.Status == "" {
		return progressing("Waiting for a router to admit it")
	}
	return out
}
