package health

import "strings"

var minio = group{"Tenant": minioTenant, anyKind: usual}

// minioTenant is a sentence of the operator: what is wrong with the tenant, or what is being done.
func minioTenant(v view) Health {
	state := v.text("status", "currentState")
	if state == "Initialized" {
		return healthy(state)
	}
	text := strings.ToLower(state)
	for _, bad := range []string{
		"not controlled", "already exists", "not set properly", "different versions", "not allowed", "failed",
		"unhealthy", "invalid", "error",
	} {
		if strings.Contains(text, bad) {
			return degraded(state)
		}
	}
	return progressing(state)
}
