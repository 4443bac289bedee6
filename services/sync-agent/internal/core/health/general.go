package health

import (
	"maps"
	"slices"
	"strings"
)

// general judges an object of a kind that has no rule of its own, by what most kinds write alike. Zero means that
// nothing can be read.
func general(v view) Health {
	if h := paused(v); h.Status != "" {
		return h
	}
	if v.empty() {
		return Health{}
	}
	if v.outdated() {
		return progressing("Waiting for the new generation to be observed")
	}
	status := v.at("status")
	verdicts := []Health{
		judgeConditions(v.conditions("status", "conditions"), v.generation()), nested(v),
		phases(status, isFinite(v.kind())), complaints(status), flags(status),
	}
	if v.condition("Ready").kind == "" {
		// Nothing speaks for the whole: its parts do.
		verdicts = append(verdicts, listed(status))
	}
	said := resolve(verdicts...)
	if said.Status == "" {
		said = counts(v)
	}
	if said.Status == "" && unsaid(status) {
		return progressing("Waiting for a condition")
	}
	if said.Status == "" {
		return healthy("")
	}
	if said.Status == Healthy && isFinite(v.kind()) && v.condition("Running").is("True") && !ended(v) {
		return progressing(v.condition("Running").because())
	}
	return said
}

// final are conditions of what has nothing more to do.
var final = set("Succeeded Complete Completed Ready")

// ended reports whether a condition says that there is nothing more to be done.
func ended(v view) bool {
	return slices.ContainsFunc(v.conditions("status", "conditions"), func(c condition) bool {
		return c.is("True") && final[c.kind]
	})
}

// unsaid reports whether there is room for conditions, or for those that give them, and nothing in it.
func unsaid(status view) bool {
	for name, value := range status.o {
		if list, ok := value.([]any); ok && len(list) == 0 && givers[name] {
			return true
		}
		for _, item := range status.list(name) {
			if list, ok := item.o["conditions"].([]any); ok && len(list) == 0 && givers[name] {
				return true
			}
		}
	}
	return false
}

// givers are the lists in which conditions stand.
var givers = set("conditions ancestors parents ingress")

// paused reads the switches with which people stop controllers.
func paused(v view) Health {
	for _, name := range []string{"paused", "suspend", "suspended", "pause", "hibernate"} {
		if v.flag("spec", name) {
			return suspended("spec." + name + " is set")
		}
	}
	if v.no("spec", "enabled") {
		return suspended("spec.enabled is false")
	}
	for name, value := range v.at("metadata", "annotations").o {
		_, last, _ := strings.Cut(name, "/")
		if switchedOff[last] && (value == "true" || value == "disabled" && last == "reconcile") {
			return suspended("annotation " + name + " is set")
		}
	}
	return Health{}
}

var switchedOff = set("paused pause pause-reconciliation reconcile-paused suspend suspended hibernation")

// nested judges conditions that stand one level lower: of the parents of a route, of the ancestors of a policy.
func nested(v view) Health {
	status := v.at("status")
	var out Health
	for _, name := range slices.Sorted(maps.Keys(status.o)) {
		switch below := status.o[name].(type) {
		case map[string]any:
			out = resolve(out, judgeConditions(view{below}.conditions("conditions"), v.generation()))
		case []any:
			for _, item := range status.list(name) {
				out = resolve(out, judgeConditions(item.conditions("conditions"), v.generation()))
			}
		}
	}
	return out
}

// stateNames are fields that hold one word for the whole object.
var stateNames = set(`phase state status health healthstatus currentstate currentstatus currentphase overallstatus
	overallstate overallhealth result compliant compliance stage`)

// phases judges the words in fields of status that are named after a state.
func phases(status view, finite bool) Health {
	var out Health
	for _, name := range slices.Sorted(maps.Keys(status.o)) {
		text, ok := status.o[name].(string)
		if ok && namesState(name) {
			out = worst(out, phase(text, status.text("message"), finite))
		}
	}
	if out.Status != "" {
		return out
	}
	for _, name := range slices.Sorted(maps.Keys(status.o)) {
		for field, value := range status.at(name).o {
			if text, ok := value.(string); ok && stateNames[strings.ToLower(field)] && !past(name) {
				out = worst(out, phase(text, status.text(name, "message"), finite))
			}
		}
	}
	return out
}

// otherTimes begin names of what was, or ought to be; records stand anywhere in names of what was.
var (
	otherTimes = set("previous desired expected target")
	records    = set("history transition transitions")
)

func namesState(field string) bool {
	if stateNames[strings.ToLower(field)] {
		return true
	}
	all := words(field)
	return len(all) > 1 && !past(field) && slices.Contains(partStates, all[len(all)-1])
}

// partStates are the words that end names of states, and that name those of parts.
var partStates = []string{"status", "state", "phase", "health"}

// past holds for fields that tell what was, not what is.
func past(field string) bool {
	all := words(field)
	return len(all) > 0 && otherTimes[all[0]] || slices.ContainsFunc(all, func(w string) bool { return records[w] })
}

func phase(text, message string, finite bool) Health {
	state := stateOf(text)
	switch strings.Join(words(text), " ") {
	case "not found":
		state = Missing
	case "unknown":
		state = Unknown
	case "running", "active", "started", "initialized", "created":
		if finite {
			state = Progressing
		}
	}
	if state == "" {
		return Health{}
	}
	if message == "" {
		message = text
	}
	return Health{state, message}
}

// complaints reads fields that only hold what went wrong.
func complaints(status view) Health {
	for _, name := range []string{
		"error", "errMsg", "errorMessage", "failureMessage", "failureReason", "errors", "errorReason",
	} {
		if text := status.text(name); text != "" {
			return degraded(text)
		}
		if text := status.text(name, "message"); text != "" {
			return degraded(text)
		}
	}
	return Health{}
}

// flags reads what is said with true and false.
func flags(status view) Health {
	out := Health{}
	for _, name := range slices.Sorted(maps.Keys(status.o)) {
		yes, ok := status.o[name].(bool)
		if !ok {
			continue
		}
		switch strings.ToLower(name) {
		case "ready", "readytouse", "available", "synced", "deployed", "provisioned", "initialized", "succeeded",
			"bound":
			out = worst(out, either(yes, name, Progressing))
		case "healthy", "valid":
			out = worst(out, either(yes, name, Degraded))
		case "failed", "degraded":
			if yes {
				out = worst(out, degraded(name))
			}
		case "paused", "suspended":
			if yes {
				out = worst(out, suspended(name))
			}
		}
	}
	return out
}

func either(yes bool, name, otherwise string) Health {
	if yes {
		return healthy(name)
	}
	return Health{otherwise, "not " + name}
}

// counts compares how many there are with how many there ought to be.
func counts(v view) Health {
	for _, pair := range [][2]string{
		{"replicas", "readyReplicas"}, {"replicas", "availableReplicas"}, {"instances", "readyInstances"},
		{"expectedNodes", "availableNodes"}, {"nodes", "readyNodes"}, {"members", "readyMembers"},
		{"desiredNumberScheduled", "numberReady"}, {"size", "readySize"},
	} {
		want, asked := v.number("spec", pair[0])
		if !asked {
			want, asked = v.number("status", pair[0])
		}
		have, told := v.number("status", pair[1])
		switch {
		case !asked || !told:
		case have < want:
			return progressing("not all " + pair[0] + " are ready")
		default:
			return healthy("all " + pair[0] + " are ready")
		}
	}
	return Health{}
}

// listed reads the states of parts, in lists and in maps, where nothing speaks for the whole.
func listed(status view) Health {
	var out Health
	for _, name := range slices.Sorted(maps.Keys(status.o)) {
		if past(name) || name == "conditions" {
			continue
		}
		parts := status.list(name)
		below := status.at(name)
		for _, key := range slices.Sorted(maps.Keys(below.o)) {
			parts = append(parts, below.at(key))
		}
		for _, part := range parts {
			for _, field := range partStates {
				out = worst(out, phase(part.text(field), part.text("message"), false))
			}
		}
	}
	return out
}

// usual judges an object of a kind that writes as most do, and always writes a status.
func usual(v view) Health {
	if h := general(v); h.Status != "" {
		return h
	}
	return progressing("Waiting for a status")
}

// byReady judges by the condition Ready alone: True is good, False is bad, all else is on its way.
func byReady(v view) Health {
	c := v.condition("Ready")
	switch c.status {
	case "True":
		return healthy(c.because())
	case "False":
		return degraded(c.because())
	}
	return progressing("Waiting to be ready")
}
