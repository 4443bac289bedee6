package health

import (
	"strconv"
	"strings"
)

var opentelemetry = group{"OpenTelemetryCollector": collector, anyKind: usual}

func collector(v view) Health {
	if v.text("spec", "mode") == "sidecar" {
		return healthy("The collector runs beside others")
	}
	have, want, told := strings.Cut(v.text("status", "scale", "statusReplicas"), "/")
	ready, bad := strconv.Atoi(have)
	wanted, worse := strconv.Atoi(want)
	switch {
	case !told || bad != nil || worse != nil:
		return progressing("Waiting for a status")
	case ready >= wanted:
		return healthy(have + "/" + want)
	case ready == 0:
		return degraded("No replica is ready")
	}
	return progressing(have + "/" + want)
}
