package health

import "strings"

var batch = group{"Job": job, "CronJob": cronJob}

func job(v view) Health {
	if c := v.condition("Failed"); c.is("True") {
		return degraded(c.message)
	}
	if c := v.condition("Complete"); c.is("True") {
		return healthy(c.message)
	}
	if v.flag("spec", "suspend") || v.condition("Suspended").is("True") {
		return suspended("Job is suspended")
	}
	return progressing("Job is running")
}

// cronJob is about whether runs go on being started: a run that is late or fails is the Job's matter, but for the
// latest when the newest of all has not succeeded.
func cronJob(v view) Health {
	if v.flag("spec", "suspend") {
		return suspended("CronJob is suspended")
	}
	last, good := v.text("status", "lastScheduleTime"), v.text("status", "lastSuccessfulTime")
	switch {
	case len(v.list("status", "active")) > 0:
		return progressing("A run is active")
	case last == "":
		return healthy("Nothing has been scheduled yet")
	case good == "" || strings.Compare(last, good) > 0:
		return degraded("The latest run did not succeed")
	}
	return healthy("The latest run succeeded")
}
