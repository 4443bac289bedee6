package health

var batch = group{"Job": job}

func job(v view) Health {
	if failed, _, message := v.condition("Failed"); failed == "True" {
		return Health{Degraded, message}
	}
	if done, _, message := v.condition("Complete"); done == "True" {
		return Health{Healthy, message}
	}
	if v.flag("spec", "suspend") {
		return Health{Suspended, "Job is suspended"}
	}
	return progressing("Job is running")
}
