package health

import "slices"

var mariadb = group{anyKind: mariadbKind}

func mariadbKind(v view) Health {
	for _, c := range v.conditions("status", "conditions") {
		switch {
		case c.kind == "Complete" && c.message == "Failed":
			return degraded(c.reason)
		case c.kind == "Complete" && c.reason == "CronJobScheduled":
			return healthy(c.because())
		case c.kind == "Ready" && c.is("False") && unfinishedReasons(c.reason):
			return progressing(c.because())
		}
	}
	return usual(v)
}

// unfinishedReasons are those that name what is not there yet: StatefulSetNotReady, RestoreNotComplete.
func unfinishedReasons(reason string) bool {
	return slices.Contains(words(reason), "not") && !isSevere(reason)
}
