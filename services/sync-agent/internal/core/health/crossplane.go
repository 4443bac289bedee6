package health

// crossplane holds for all providers: a managed resource is Synced when it was written, Ready when it is there.
var crossplane = group{
	anyKind: managedResource, "ProviderConfig": configuration, "ClusterProviderConfig": configuration,
	"ProviderConfigUsage": configuration, "ClusterProviderConfigUsage": configuration, "Composition": configuration,
	"CompositionRevision": configuration, "DeploymentRuntimeConfig": configuration, "ControllerConfig": configuration,
	"EnvironmentConfig": configuration, "StoreConfig": configuration, "ImageConfig": configuration, "Usage": usual,
	"ManagedResourceActivationPolicy": usual,
}

// packages are what Crossplane installs.
var packages = group{
	"Provider": crossplanePackage, "Configuration": crossplanePackage, "Function": crossplanePackage,
	"DeploymentRuntimeConfig": configuration, "ControllerConfig": configuration, "ImageConfig": configuration,
	"Lock": configuration, anyKind: managedResource,
}

// configuration holds for objects in which nobody writes anything of interest.
func configuration(view) Health { return healthy("") }

func managedResource(v view) Health {
	if v.annotation("crossplane.io/paused") == "true" {
		return suspended("Reconciliation is paused")
	}
	ready := v.condition("Ready")
	for _, kind := range []string{"Synced", "LastAsyncOperation"} {
		switch c := v.condition(kind); {
		case c.reason == "ReconcilePaused":
			return suspended(c.because())
		case c.is("False"):
			return degraded(c.because())
		}
	}
	switch {
	case ready.is("False") && isSevere(ready.reason):
		return degraded(ready.because())
	case ready.is("False"), ready.kind == "" && v.condition("Synced").is("True"):
		return progressing(ready.because())
	}
	return usual(v)
}

func crossplanePackage(v view) Health {
	installed, sound := v.condition("Installed"), v.condition("Healthy")
	switch {
	case installed.is("True") && sound.is("True"):
		return healthy(installed.reason + " " + sound.reason)
	case installed.is("False") || sound.is("False"):
		return degraded(installed.because() + " " + sound.because())
	}
	return progressing("Waiting for the package to be installed")
}
