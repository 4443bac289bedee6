package health

var apiextensions = group{"CustomResourceDefinition": definition}

func definition(v view) Health {
	established := v.condition("Established")
	names, loose := v.condition("NamesAccepted"), v.condition("NonStructuralSchema")
	switch {
	case v.deleting() || v.condition("Terminating").is("True"):
		return progressing("The definition is being deleted")
	case names.is("False"):
		return degraded("The names are not accepted: " + names.message)
	case loose.is("True"):
		return degraded("The schema is not structural: " + loose.message)
	case established.is("True"):
		return healthy("")
	case established.is("False") && established.reason != "Installing":
		return degraded("The definition is not established: " + established.message)
	}
	return progressing("Waiting for the definition to be established")
}
