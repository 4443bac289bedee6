// Package health tells how an object is, by rules that stand in one file for each API group.
package health

import "github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track"

// Health is the state of one object or of an application. The zero value means
// that the kind has no notion of health, which is not the same as healthy.
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

var rank = map[string]int{"": 0, Healthy: 0, Suspended: 1, Progressing: 2, Missing: 3, Degraded: 4, Unknown: 5}

// Worse reports whether h is worse than other.
func (h Health) Worse(other Health) bool { return rank[h.Status] > rank[other.Status] }

// Assess tells the health of a live object.
func Assess(o *track.Object) Health {
	if o.GetDeletionTimestamp() != nil {
		return Health{Progressing, "Pending deletion"}
	}
	gk := o.GroupVersionKind().GroupKind()
	if assess, ok := groups[gk.Group][gk.Kind]; ok {
		return assess(view{o.Object})
	}
	return Health{}
}

// group is what is known of the kinds of an API group: by kind, what tells the health of one.
type group map[string]func(view) Health

// groups are the rules that are built in, one file for each API group.
var groups = map[string]group{
	"":                     pods,
	"apiextensions.k8s.io": apiextensions,
	"apps":                 apps,
	"argoproj.io":          argoproj,
	"batch":                batch,
	"networking.k8s.io":    networking,
}

func progressing(message string) Health { return Health{Progressing, message} }
