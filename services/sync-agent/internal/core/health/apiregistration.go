package health

var apiregistration = group{"APIService": apiService}

func apiService(v view) Health {
	c := v.condition("Available")
	switch c.status {
	case "True":
		return healthy(c.because())
	case "False":
		return progressing(c.because())
	}
	return progressing("Waiting to be processed")
}
