package health

var keda = group{"ScaledObject": scaled, "ScaledJob": scaled, anyKind: usual}

func scaled(v view) Health {
	if c := v.condition("Fallback"); c.is("True") && !v.condition("Paused").is("True") {
		return degraded(c.because())
	}
	return usual(v)
}
