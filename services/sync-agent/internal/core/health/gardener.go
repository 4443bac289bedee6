package health

var gardener = group{"Shoot": shoot, anyKind: usual}

// shoot is as its label says, which Gardener makes of operation, conditions and constraints.
func shoot(v view) Health {
	switch label := v.text("metadata", "labels", "shoot.gardener.cloud/status"); label {
	case "healthy":
		return healthy(label)
	case "progressing":
		return progressing(label)
	case "unhealthy":
		return degraded(label)
	case "unknown":
		return unknown(label)
	}
	return progressing("Waiting for a status")
}
