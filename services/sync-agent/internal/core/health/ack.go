package health

// ack holds for AWS Controllers for Kubernetes.
var ack = group{"FieldExport": usual, anyKind: ackResource}

func ackResource(v view) Health {
	for _, kind := range []string{"ACK.Terminal", "ACK.Recoverable"} {
		if c := v.condition(kind); c.is("True") {
			return degraded(c.because())
		}
	}
	synced := v.condition("ACK.ResourceSynced")
	switch {
	case synced.is("True"):
		return healthy(synced.message)
	case synced.kind != "":
		return progressing(synced.because())
	}
	return usual(v)
}
