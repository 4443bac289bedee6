package health

var proclaim = group{"DNSSDServiceInstance": serviceInstance, anyKind: usual}

func serviceInstance(v view) Health {
	for _, kind := range []string{"Adopted", "Advertised"} {
		if c := v.condition(kind); c.is("False") {
			return degraded(c.because())
		}
	}
	c := v.condition("Discoverable")
	switch {
	case c.is("True"):
		return healthy(c.because())
	case c.is("Unknown") && isSevere(c.reason):
		return unknown(c.because())
	}
	return progressing(c.because())
}
