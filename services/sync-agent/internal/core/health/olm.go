package health

var olm = group{
	"Subscription": subscription, "ClusterServiceVersion": serviceVersion, "InstallPlan": installPlan,
	"CatalogSource": catalogSource, anyKind: usual,
}

func subscription(v view) Health {
	for _, kind := range []string{"CatalogSourcesUnhealthy", "InstallPlanFailed", "ResolutionFailed"} {
		if c := v.condition(kind); c.is("True") {
			return degraded(kind + ": " + c.because())
		}
	}
	state := v.text("status", "state")
	// An update that waits for a person leaves what is installed as it is.
	byHand := v.text("spec", "installPlanApproval") == "Manual" && v.text("status", "installedCSV") != ""
	switch {
	case state == "AtLatestKnown", state == "UpgradePending" && byHand, state == "UpgradeAvailable" && byHand:
		return healthy(state)
	case state == "UpgradeFailed":
		return degraded(state)
	}
	return progressing(state)
}

func serviceVersion(v view) Health {
	message := v.text("status", "message")
	switch v.text("status", "phase") {
	case "Succeeded":
		return healthy(message)
	case "Failed":
		return degraded(message)
	case "Unknown":
		return unknown(message)
	}
	return progressing(message)
}

func installPlan(v view) Health {
	message := v.text("status", "message")
	switch state := v.text("status", "phase"); state {
	case "Complete":
		return healthy(message)
	case "Failed":
		return degraded(message)
	case "RequiresApproval":
		return suspended("Waiting for approval")
	default:
		return progressing(state)
	}
}

func catalogSource(v view) Health {
	switch state := v.text("status", "connectionState", "lastObservedState"); state {
	case "READY":
		return healthy(state)
	case "TRANSIENT_FAILURE", "SHUTDOWN":
		return degraded(state)
	default:
		return progressing(state)
	}
}
