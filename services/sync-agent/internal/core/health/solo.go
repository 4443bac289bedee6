package health

import (
	"maps"
	"slices"
)

// solo holds for Gloo: a state by name or number, for the object or for each namespace that a controller watches.
var solo = group{anyKind: glooState}

func glooState(v view) Health {
	reports := []view{v.at("status")}
	statuses := v.at("status", "statuses")
	for _, name := range slices.Sorted(maps.Keys(statuses.o)) {
		reports = append(reports, statuses.at(name))
	}
	var out Health
	for _, r := range reports {
		out = worst(out, glooReport(r))
	}
	if out.Status == "" {
		return progressing("Waiting for a status")
	}
	return out
}

func glooReport(r view) Health {
	name := r.text("state")
	if n, ok := r.number("state"); ok && n >= 0 && n < 4 {
		name = []string{"Pending", "Accepted", "Rejected", "Warning"}[n]
	}
	switch name {
	case "Pending":
		return suspended("Not validated yet")
	case "Accepted":
		return healthy("")
	case "Rejected", "Warning":
		return degraded(r.text("reason"))
	}
	return Health{}
}
