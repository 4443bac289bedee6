package health

import "strings"

var (
	numaflow  = group{anyKind: pipelines}
	numaplane = group{anyKind: numaRollout}
)

// pipelines judges what Numaflow runs; its rollouts mark what did not pass an upgrade.
func pipelines(v view) Health {
	if v.text("metadata", "labels", "numaplane.numaproj.io/progressive-result-state") == "failed" {
		return degraded("The progressive upgrade failed")
	}
	switch v.text("status", "phase") {
	case "Paused":
		return healthy("paused")
	case "Pausing":
		return progressing("pausing")
	case "Deleting":
		return progressing("deleting")
	}
	return usual(v)
}

func numaRollout(v view) Health {
	if v.empty() || v.outdated() {
		return progressing("Not yet reconciled")
	}
	switch v.text("status", "phase") {
	case "Failed":
		return degraded(v.text("status", "message"))
	case "Pending":
		return progressing("An update is in progress")
	}
	if c := v.condition("ProgressiveUpgradeSucceeded"); c.is("False") {
		return degraded(c.because())
	}
	for _, c := range v.conditions("status", "conditions") {
		if strings.HasSuffix(c.kind, "PausingOrPaused") && c.is("True") {
			return healthy(c.because())
		}
	}
	return usual(v)
}
