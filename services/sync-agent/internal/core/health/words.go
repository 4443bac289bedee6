package health

import (
	"slices"
	"strings"
	"unicode"
)

// maxPhrase bounds the text that is read for its words.
const maxPhrase = 200

// words splits a name or a phrase: ProgressDeadlineExceeded, PENDING_RERUN and "Waiting for pods" alike.
func words(text string) []string {
	if len(text) > maxPhrase {
		text = text[:maxPhrase]
	}
	var out []string
	runes, start := []rune(text), 0
	flush := func(end int) {
		if end > start {
			out = append(out, strings.ToLower(string(runes[start:end])))
		}
	}
	for i, r := range runes {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			flush(i)
			start = i + 1
		case unicode.IsUpper(r) && i > start && (!unicode.IsUpper(runes[i-1]) ||
			i+1 < len(runes) && unicode.IsLower(runes[i+1])):
			flush(i)
			start = i
		}
	}
	flush(len(runes))
	return out
}

func set(list string) map[string]bool {
	out := map[string]bool{}
	for w := range strings.FieldsSeq(list) {
		out[w] = true
	}
	return out
}

// The vocabulary in which controllers name states. A word decides alone, wherever it stands: bad before unfinished
// before stopped before good.
var (
	badWords = set(`fail failed fails failure failures failing error errors err errored degraded invalid unhealthy
		rejected denied forbidden unauthorized conflict conflicts conflicted conflicting lost exceeded timeout timedout
		aborted abort crash crashed crashing backoff noncompliant canceled cancelled unreachable unavailable refused
		broken corrupt corrupted violation violations violated unsupported stalled unschedulable evicted killed oom red
		warning mismatch mismatched incorrect insufficient disconnected offline dead bad blocked expired misconfigured
		unable unresolved unsatisfied malformed unsuccessful missing unsafe critical fatal faulted faulty abnormal
		orphan orphaned stuck violating incompatible bogus`)
	unfinishedWords = set(`pending progress inprogress queued scheduled submitted wait yellow unfinished incomplete
		rollout initial init unready prepare requeued retry changed unsynced outofsync unknown
		undefined modified modifying`)
	stoppedWords = set(`paused pause suspended suspend stopped hibernated hibernation hibernate disabled halted inactive
		deactivated hold standby shutdown shelved dormant ignored skipped`)
	goodWords = set(`running ready available active succeeded success successful successfully completed complete completion bound
		healthy ok green deployed installed established created provisioned synced synchronized reconciled updated
		operational initialized accepted exists compliant finished done normal stable online up applied connected valid
		validated enabled promoted released reachable configured passed resolved admitted programmed issued
		registered serving attached uptodate insync associated delivered
		verified open inservice live alive discovered launched`)
	// These end in -ing and say nothing of work that goes on.
	notWork = set(`running missing failing warning conflicting serving listening existing string nothing something
		anything everything using following matching operating violating thing ring king`)
)

// isWork holds for words of something that goes on: creating, migrating.
func isWork(w string) bool { return strings.HasSuffix(w, "ing") && len(w) > 4 && !notWork[w] }

// stateOf tells what a word or a phrase says of the thing it names: a state of health, or "" when it says nothing.
func stateOf(text string) string {
	all := words(text)
	if len(all) == 1 && all[0] == "new" {
		return Progressing
	}
	bad, unfinished, stopped, good := false, false, false, false
	for i, w := range all {
		negated := i > 0 && (all[i-1] == "not" || all[i-1] == "non")
		none := i > 0 && (all[i-1] == "no" || all[i-1] == "without")
		switch {
		case (negated || none) && badWords[w]:
			good = true
		case none && goodWords[w]:
			bad = true
		case negated && (w == "found" || w == "exist" || w == "exists" || w == "compliant" || w == "allowed" ||
			w == "supported" || w == "permitted" || w == "accepted" || w == "healthy"):
			bad = true
		case negated && goodWords[w]:
			unfinished = true
		case negated && (unfinishedWords[w] || isWork(w)):
		case badWords[w]:
			bad = true
		case unfinishedWords[w], isWork(w):
			unfinished = true
		case stoppedWords[w]:
			stopped = true
		case goodWords[w]:
			good = true
		}
	}
	switch {
	case bad:
		return Degraded
	case unfinished:
		return Progressing
	case stopped:
		return Suspended
	case good:
		return Healthy
	}
	return ""
}

// severe words leave no doubt that something went wrong; others, such as missing, may be a matter of time.
var severe = set(`fail failed fails failure failures failing error errors err errored invalid rejected denied forbidden
	unauthorized aborted crash crashed crashing backoff exceeded timeout`)

func isSevere(text string) bool {
	return slices.ContainsFunc(words(text), func(w string) bool { return severe[w] })
}

// finite are ends of names of kinds whose objects are done some day: of them "running" is not the good end.
var finite = set(`job run task backup restore evaluation migration snapshot build execution experiment restoration
	command test request operation rerun taskrun pipelinerun`)

func isFinite(kind string) bool {
	all := words(kind)
	return len(all) > 0 && finite[all[len(all)-1]]
}
