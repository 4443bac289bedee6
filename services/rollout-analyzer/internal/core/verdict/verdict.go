// Package verdict decides what an event means for a Rollout that asked for it. It is pure.
//
// A Rollout asks by annotations: argosy.dev/abort-on, argosy.dev/pause-on and argosy.dev/promote-on. Each is a list,
// one entry in a line: EVENTSOURCE/EVENT, and optionally "if" and a condition on result.type, result.source,
// result.id and result.data, in the language of the conditions of analyses. Events are those of the Rollout's own
// namespace.
package verdict

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"

	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core/analysis"
)

// The annotations by which a Rollout asks for events.
const (
	AnnotationAbortOn   = "argosy.dev/abort-on"
	AnnotationPauseOn   = "argosy.dev/pause-on"
	AnnotationPromoteOn = "argosy.dev/promote-on"
)

// Act is what an event does to a Rollout.
type Act string

// What events do.
const (
	Abort   Act = "abort"
	Pause   Act = "pause"
	Promote Act = "promote"
)

// acts are the annotations in the order in which they count: of two that an event meets, the first.
var acts = []struct {
	key string
	act Act
}{{AnnotationAbortOn, Abort}, {AnnotationPauseOn, Pause}, {AnnotationPromoteOn, Promote}}

// maxEntries bounds what one annotation may ask for.
const maxEntries = 32

// Wish is one thing that a Rollout asks for.
type Wish struct {
	Act Act
	// Subject is where the event is stored, in the namespace of the Rollout.
	Subject string
	// Condition is what it must meet, empty when any will do.
	Condition string
}

// Wishes reads the annotations of a Rollout. The error names what cannot be read; the rest is there all the same.
func Wishes(namespace string, annotations map[string]string) (out []Wish, err error) {
	for _, a := range acts {
		n := 0
		for line := range strings.Lines(annotations[a.key]) {
			line = strings.TrimSpace(line)
			if line == "" {
				continue
			}
			if n++; n > maxEntries {
				return out, fmt.Errorf("%s: more than %d entries", a.key, maxEntries)
			}
			name, condition, _ := strings.Cut(line, " if ")
			source, event, both := strings.Cut(strings.TrimSpace(name), "/")
			if !both || source == "" || event == "" || strings.ContainsAny(name, " *>") {
				err = fmt.Errorf("%s: %q is not EVENTSOURCE/EVENT, or that and \"if\" and a condition", a.key, line)
				continue
			}
			out = append(out, Wish{
				Act: a.act, Subject: events.EventSubject(namespace, source, event),
				Condition: strings.TrimSpace(condition),
			})
		}
	}
	return out, err
}

// Event is what is looked at of an event.
type Event struct {
	ID, Source, Type, Subject string
	// Stored is when the bus stored it.
	Stored time.Time
	// Data is its body; what is no JSON counts as text.
	Data []byte
}

// Decide returns what an event does to a Rollout, nothing for one that is not in progress, was decided by this event
// before, or began after the event was stored: what happened to an earlier version or try says nothing about this
// one.
func Decide(ro *v1alpha1.Rollout, e Event, now time.Time) (act Act, err error) {
	st := ro.Status
	if st.StableRS == "" || st.StableRS == st.CurrentPodHash || st.Abort || st.Duration == nil ||
		st.Duration.RolloutStartedAt == nil || e.Stored.Before(st.Duration.RolloutStartedAt.Time) {
		return "", nil
	}
	wishes, err := Wishes(ro.Namespace, ro.Annotations)
	for _, w := range wishes {
		if w.Subject != e.Subject {
			continue
		}
		holds, failed := meets(w.Condition, e, now)
		if failed != nil {
			err = fmt.Errorf("%s-on: %w", w.Act, failed)
			continue
		}
		if holds {
			// The cause of an abort is written before the abort: alone it says that somebody died in between.
			if w.Act != Abort && Decided(ro, e) {
				return "", nil
			}
			return w.Act, nil
		}
	}
	return "", err
}

// Decided reports whether this event was acted upon before: it may come twice.
func Decided(ro *v1alpha1.Rollout, e Event) bool {
	_, cause, _ := strings.Cut(ro.Annotations[AnnotationCause], " ")
	return cause == Cause(e)
}

// AnnotationCause holds the pods and the event by which a Rollout was decided last: the reason of an abort.
const AnnotationCause = "argosy.dev/decided-by"

// Cause names an event for people.
func Cause(e Event) string {
	_, name, _ := strings.Cut(strings.TrimPrefix(e.Subject, "events."), ".")
	return "event " + e.ID + " of " + strings.Replace(name, ".", "/", 1)
}

// meets evaluates a condition on an event.
func meets(condition string, e Event, now time.Time) (bool, error) {
	if condition == "" {
		return true, nil
	}
	var data any
	if json.Unmarshal(e.Data, &data) != nil {
		data = string(e.Data)
	}
	result := map[string]any{"id": e.ID, "source": e.Source, "type": e.Type, "data": data}
	phase, err := analysis.Judge(v1alpha1.Metric{SuccessCondition: condition}, result, now)
	return phase == v1alpha1.AnalysisSuccessful, err
}
