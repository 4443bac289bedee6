package health

import "slices"

// polarity is what the truth of a condition means.
type polarity int

const (
	neutral  polarity = iota
	positive          // Ready, ResourcesApplied
	negative          // Failed, HasErrors, NotReady
	working           // Reconciling, RollingUpdate
	stopping          // Paused, Stopped
)

// polarityOf reads the meaning of a condition from its name.
func polarityOf(kind string) polarity {
	all := words(kind)
	if len(all) == 0 || all[len(all)-1] == "warning" || all[len(all)-1] == "warnings" {
		return neutral // warnings are for people to read
	}
	last := all[len(all)-1]
	if slices.ContainsFunc(all, func(w string) bool { return badWords[w] }) || all[0] == "not" || all[0] == "non" ||
		all[0] == "has" && last == "issues" {
		return negative
	}
	switch stateOf(kind) {
	case Suspended:
		return stopping
	case Progressing:
		if slices.ContainsFunc(all, func(w string) bool { return work[w] }) {
			return working
		}
		return neutral
	case Healthy:
		return positive
	}
	if passive[last] || passive[all[0]] {
		return positive
	}
	return neutral
}

// work are the words of conditions that hold while the object is being changed.
var work = set(`progressing reconciling updating rolling issuing creating provisioning initializing scaling upgrading
	deploying deleting terminating pending installing restarting migrating waiting restoring configuring modifying
	resizing pausing starting applying syncing importing building`)

// passive are names of conditions that ask for something that was done, beyond the vocabulary of states.
var passive = set(`generated date discoverable adopted advertised allowed synced bootstrapped scheduled scaled loaded
	bootstrap sync health readiness defined signed built pushed imported published configured reconcile`)

// judgeConditions tells what a list of conditions says; zero when it says nothing.
//
// A condition Ready speaks for all that went well: others count beside it only where they say what is wrong or still
// at work. Without one, the worst of them counts.
func judgeConditions(all []condition, generation int64) Health {
	ready := slices.IndexFunc(all, func(c condition) bool { return c.kind == "Ready" })
	verdicts := make([]Health, len(all))
	for i, c := range all {
		if i == ready {
			verdicts[i] = judgeReady(c, generation)
		} else {
			verdicts[i] = judgeBeside(c, ready >= 0, generation)
		}
	}
	if sure, doubt := split(verdicts); doubt.Status != "" && rank[sure.Status] <= rank[Healthy] {
		return doubt
	} else if sure.Status != "" || len(all) == 0 {
		return sure
	}
	return judgeNeutral(all)
}

// doubtful is the state, within this package only, of what is not as it ought to be without a word why: Degraded,
// unless something else says that it is being worked at.
const doubtful = "doubtful"

// resolve is the worst of verdicts, with doubts decided.
func resolve(all ...Health) Health {
	sure, doubt := split(all)
	if doubt.Status == "" || rank[sure.Status] > rank[Healthy] {
		return sure
	}
	return degraded(doubt.Message)
}

// split takes the doubt out of verdicts, and the worst of the others.
func split(all []Health) (sure, doubt Health) {
	for _, h := range all {
		if h.Status == doubtful {
			doubt = h
			continue
		}
		sure = worst(sure, h)
	}
	return sure, doubt
}

func isBad(reason string) bool { return stateOf(reason) == Degraded }

func judgeReady(c condition, generation int64) Health {
	if c.generation != 0 && c.generation < generation {
		return progressing("Waiting for the new generation to be observed")
	}
	return judgePositive(c)
}

// judgePositive tells what a condition says that ought to be true.
func judgePositive(c condition) Health {
	why := stateOf(c.reason)
	switch {
	case c.is("True"):
		if last := words(c.kind); why == Degraded && slices.Contains([]string{"complete", "completed", "finished"},
			last[len(last)-1]) {
			return degraded(c.because())
		}
		return healthy(c.because())
	case c.is("Unknown") && !isSevere(c.reason):
		return progressing(c.because())
	case why == Degraded:
		return degraded(c.because())
	case why == Suspended:
		return suspended(c.because())
	case c.is("False") && complains(c.message):
		return degraded(c.because())
	case c.is("False") && c.reason+c.message != "" && (why != Progressing || circular(c)):
		if c.severity == "Info" || c.severity == "Warning" {
			return progressing(c.because())
		}
		return Health{doubtful, c.because()}
	}
	return progressing(c.because())
}

// complains holds for messages that begin with what went wrong: "failed to ...", "Error: ...".
func complains(message string) bool {
	all := words(message)
	return len(all) > 0 && severe[all[0]]
}

// circular holds for reasons that only say that something is not ready, and not that it is being done.
func circular(c condition) bool {
	all := words(c.reason)
	work := slices.ContainsFunc(all, func(w string) bool { return isWork(w) || unfinishedWords[w] })
	return slices.Contains(all, "not") && !work
}

// judgeBeside tells what one condition adds. With a condition Ready, other positive ones count only for their errors.
func judgeBeside(c condition, ready bool, generation int64) Health {
	why := stateOf(c.reason)
	if c.kind == "Running" && c.is("True") && c.reason == "Running" {
		// So do operators made with Ansible say that a run of theirs is on its way.
		return progressing(c.because())
	}
	switch polarityOf(c.kind) {
	case negative:
		if !c.is("True") {
			return Health{}
		}
		if why == Progressing {
			return progressing(c.because())
		}
		return degraded(c.because())
	case stopping:
		if c.is("True") {
			return suspended(c.because())
		}
	case working:
		switch {
		case c.is("False") && why == Degraded:
			return degraded(c.because())
		case !c.is("True") && why == Suspended:
			return suspended(c.because())
		case c.is("True") && why != Degraded && why != Healthy && !retrying(c):
			return progressing(c.because())
		}
	case positive:
		h := judgeReady(c, generation)
		if !ready {
			return h
		}
		if c.severity == "Error" && (h.Status == Degraded || h.Status == doubtful) {
			return degraded(h.Message)
		}
		if strong[c.kind] && (h.Status == Suspended || h.Status == Degraded && why == Degraded) {
			return h
		}
	}
	return Health{}
}

// retrying holds for work that goes on only because it failed before.
func retrying(c condition) bool { return slices.Contains(words(c.reason), "retry") }

// strong are conditions whose errors count although the object is Ready: it serves what was, not what is asked for.
var strong = map[string]bool{
	"Synced": true, "Accepted": true, "ResolvedRefs": true, "Valid": true, "Healthy": true, "Reconciled": true,
	"Succeeded": true, "Programmed": true, "LastAsyncOperation": true,
}

// judgeNeutral judges conditions whose names say nothing.
func judgeNeutral(all []condition) Health {
	out := healthy("")
	for _, c := range all {
		switch {
		case !c.is("True") && stateOf(c.reason) == Degraded:
			return degraded(c.because())
		case c.is("Unknown"):
			out = worst(out, progressing(c.because()))
		}
	}
	return out
}
