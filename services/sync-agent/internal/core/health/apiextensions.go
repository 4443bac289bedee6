package health

var apiextensions = group{"CustomResourceDefinition": definition}

func definition(v view) Health {
	if v.condition("Established").is("True") {
		return Health{Status: Healthy}
	}
	return progressing("Waiting for the definition to be established")
}
