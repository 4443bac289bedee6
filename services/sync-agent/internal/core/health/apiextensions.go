package health

var apiextensions = group{"CustomResourceDefinition": definition}

func definition(v view) Health {
	if established, _, _ := v.condition("Established"); established == "True" {
		return Health{Status: Healthy}
	}
	return progressing("Waiting for the definition to be established")
}
