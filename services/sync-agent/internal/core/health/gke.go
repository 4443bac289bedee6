package health

import "strings"

var (
	gke  = group{"ManagedCertificate": managedCertificate, anyKind: usual}
	cnrm = group{anyKind: configConnector}
)

func managedCertificate(v view) Health {
	for _, d := range v.list("status", "domainStatus") {
		if strings.HasPrefix(d.text("status"), "Failed") {
			return degraded(d.text("domain") + ": " + d.text("status"))
		}
	}
	if status := v.text("status", "certificateStatus"); status != "Active" {
		return progressing(status)
	}
	return healthy("")
}

// configConnector waits for what a resource depends on without doing anything.
func configConnector(v view) Health {
	if c := v.condition("Ready"); c.reason == "DependencyNotReady" && !v.outdated() {
		return suspended(c.because())
	}
	return usual(v)
}
