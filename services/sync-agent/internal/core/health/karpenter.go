package health

var karpenter = group{"NodeClaim": nodeClaim, anyKind: usual}

func nodeClaim(v view) Health {
	if c := v.condition("Disrupting"); c.is("True") {
		return suspended(c.because())
	}
	ready := v.condition("Ready")
	switch {
	case ready.is("True"):
		return healthy(ready.message)
	case ready.is("False") && v.condition("Initialized").is("True"):
		return degraded(ready.because())
	}
	for _, step := range []string{"Launched", "Registered", "Initialized"} {
		c := v.condition(step)
		if c.is("False") && isSevere(c.reason) {
			return degraded(c.because())
		}
		if !c.is("True") {
			return progressing("Waiting for " + step)
		}
	}
	return progressing("Waiting for Ready")
}
