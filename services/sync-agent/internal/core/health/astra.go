package health

var astra = group{"ExecHook": execHook, "Schedule": astraSchedule, anyKind: usual}

func execHook(v view) Health {
	switch {
	case v.flag("spec", "enabled"):
		return healthy("The hook is enabled")
	case v.no("spec", "enabled"):
		return suspended("The hook is disabled")
	}
	return progressing("Waiting for a status")
}

func astraSchedule(v view) Health {
	if v.no("spec", "enabled") {
		return suspended("The schedule is disabled")
	}
	return healthy("")
}
