// Package health tells how an object is.
//
// An [Engine] asks in this order: is the object being deleted; what says a customization of the installation, in Lua
// or CEL; what says the rule of its kind, one file for each API group; what say conditions, phases and generations,
// which most kinds write alike. What has nothing to say has no health, which is not the same as being healthy.
package health

import "github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track"

// Health is the state of one object or of an application. The zero value means
// that there is no notion of health.
type Health struct {
	Status  string
	Message string
}

// The states of health, from best to worst.
const (
	Healthy     = "Healthy"
	Suspended   = "Suspended"
	Progressing = "Progressing"
	Missing     = "Missing"
	Degraded    = "Degraded"
	Unknown     = "Unknown"
)

var rank = map[string]int{
	"": 0, Healthy: 1, Suspended: 2, Progressing: 3, Missing: 4, doubtful: 5, Degraded: 6, Unknown: 7,
}

// Worse reports whether h is worse than other. No health is as good as any.
func (h Health) Worse(other Health) bool {
	return rank[h.Status] > max(rank[other.Status], rank[Healthy])
}

// builtin are the rules alone, without customizations.
var builtin = &Engine{}

// Assess tells the health of a live object by the rules that are built in; zero when it has none.
func Assess(o *track.Object) Health {
	if h := builtin.Assess(o); h != nil {
		return *h
	}
	return Health{}
}

func healthy(message string) Health     { return Health{Healthy, message} }
func suspended(message string) Health   { return Health{Suspended, message} }
func progressing(message string) Health { return Health{Progressing, message} }
func degraded(message string) Health    { return Health{Degraded, message} }
func unknown(message string) Health     { return Health{Unknown, message} }

// worst is the worst of some verdicts; those without health do not count.
func worst(all ...Health) Health {
	var out Health
	for _, h := range all {
		if rank[h.Status] > rank[out.Status] {
			out = h
		}
	}
	return out
}
