package appset

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// States of an Application in a rolling sync. Source: Argo CD.
//
//	Waiting --its step's turn--> Pending --sync began--> Progressing --synced and healthy--> Healthy
//	   ^                                                                                       |
//	   +--------------------------- something new is to be deployed ---------------------------+
const (
	StateWaiting     = "Waiting"
	StatePending     = "Pending"
	StateProgressing = "Progressing"
	StateHealthy     = "Healthy"
)

// stepOf is the first step that selects labels, -1 when none does.
func stepOf(steps []v1alpha1.ApplicationSetRollingSyncStep, labels map[string]string) int {
	for i, s := range steps {
		if !slices.ContainsFunc(s.MatchExpressions, func(e v1alpha1.ApplicationMatchExpression) bool {
			value, there := labels[e.Key]
			switch e.Operator {
			case "In":
				return !there || !slices.Contains(e.Values, value)
			case "NotIn":
				return there && slices.Contains(e.Values, value)
			}
			return true // what cannot be read selects nothing
		}) {
			return i
		}
	}
	return -1
}

// maxUpdate is how many of n Applications of a step may be synchronised at once. A share is rounded down, and is one
// unless it is 0%. Source: Argo CD.
func maxUpdate(limit *intstr.IntOrString, n int) (int, error) {
	if limit == nil {
		return n, nil
	}
	most, err := intstr.GetScaledValueFromIntOrPercent(limit, n, false)
	if err != nil {
		return 0, err
	}
	if limit.Type == intstr.String && limit.StrVal != "0%" {
		return max(most, 1), nil
	}
	return most, nil
}

// roll moves the Applications of a rolling sync on. It returns nothing without the strategy.
func (w World) roll(members []member) []v1alpha1.ApplicationSetApplicationStatus {
	steps := w.rolling()
	if len(steps) == 0 {
		return nil
	}
	before := map[string]v1alpha1.ApplicationSetApplicationStatus{}
	for _, s := range w.Set.Status.ApplicationStatus {
		before[s.Application] = s
	}
	places := make([]int, len(members))
	out := make([]v1alpha1.ApplicationSetApplicationStatus, len(members))
	for i, m := range members {
		places[i] = stepOf(steps, m.wanted.GetLabels())
		known, is := before[m.wanted.GetName()]
		if !is {
			known = v1alpha1.ApplicationSetApplicationStatus{
				Application: m.wanted.GetName(), Status: StateWaiting, Message: "Waits for its step.",
			}
		}
		out[i] = w.observed(known, m)
		out[i].Step = "-1"
		if places[i] >= 0 {
			out[i].Step = strconv.Itoa(places[i] + 1)
		} else if out[i].Status == StateWaiting {
			out[i].Message = "No step selects it: it is not synchronised."
		}
	}
	w.admit(steps, places, out)
	for i := range out {
		was := before[out[i].Application]
		if out[i].Status != was.Status || was.LastTransitionTime == nil {
			out[i].LastTransitionTime = new(metav1.NewTime(w.Now.Truncate(time.Second)))
		}
	}
	return out
}

// observed is the state of an Application as far as it shows in the Application itself.
func (w World) observed(
	s v1alpha1.ApplicationSetApplicationStatus, m member,
) v1alpha1.ApplicationSetApplicationStatus {
	if m.live == nil {
		s.Status, s.Message = StateWaiting, "Waits for its step."
		return s
	}
	a := look(m.live)
	outdated := m.changed || a.sync == "OutOfSync" || !a.compared
	// What was synchronised and failed is not tried again until there is something new.
	news := m.changed || len(s.TargetRevisions) > 0 && !slices.Equal(s.TargetRevisions, a.revisions)
	s.TargetRevisions = a.revisions
	if outdated && (s.Status == StateHealthy || s.Status == StateProgressing && news) {
		s.Status, s.Message = StateWaiting, "There is something new to deploy."
	}
	if s.Status == StatePending && !a.started.IsZero() && !a.started.Before(since(s)) {
		switch a.phase {
		case "Running", "Terminating", "Succeeded":
			s.Status, s.Message = StateProgressing, "Its synchronisation began."
		case "Failed", "Error":
			s.Status, s.Message = StateProgressing, "Its synchronisation failed: "+a.message
		}
	}
	if s.Status != StateHealthy && !outdated && a.health == "Healthy" && (a.phase == "Succeeded" || a.phase == "") {
		if s.Status != StatePending || a.phase == "" || !a.started.Before(since(s)) {
			s.Status, s.Message = StateHealthy, "It is synchronised and healthy."
		}
	}
	return s
}

// since is when an Application came into its state.
func since(s v1alpha1.ApplicationSetApplicationStatus) time.Time {
	if s.LastTransitionTime == nil {
		return time.Time{}
	}
	return s.LastTransitionTime.Time
}

// admit has the Applications of the first step that is not done take their turns.
func (w World) admit(
	steps []v1alpha1.ApplicationSetRollingSyncStep, places []int, all []v1alpha1.ApplicationSetApplicationStatus,
) {
	for step, s := range steps {
		total, busy, done := 0, 0, true
		for i, place := range places {
			if place != step {
				continue
			}
			total++
			done = done && all[i].Status == StateHealthy
			if all[i].Status == StatePending || all[i].Status == StateProgressing {
				busy++
			}
		}
		if done {
			continue
		}
		most, err := maxUpdate(s.MaxUpdate, total)
		for i, place := range places {
			switch {
			case place != step || all[i].Status != StateWaiting:
			case err != nil:
				all[i].Message = fmt.Sprintf("spec.strategy.rollingSync.steps[%d].maxUpdate: %v", step, err)
			case most == 0:
				all[i].Message = "Its step has maxUpdate 0: synchronise it by hand."
			case busy < most:
				busy++
				all[i].Status, all[i].Message = StatePending, "It is its turn: its synchronisation was asked for."
			}
		}
		return
	}
}

// manual takes from an Application of a rolling sync that it synchronises itself.
func (w World) manual(o *track.Object) {
	spec, _ := o.Object["spec"].(map[string]any)
	policy, _ := spec["syncPolicy"].(map[string]any)
	automated, ok := policy["automated"].(map[string]any)
	if ok && len(w.rolling()) > 0 {
		automated["enabled"] = false
	}
}

// startSyncs asks for the synchronisation of the Applications whose turn it is. It reports whether it asked for one.
func (w World) startSyncs(members []member, all []v1alpha1.ApplicationSetApplicationStatus) bool {
	asked := false
	for i, s := range all {
		m := members[i]
		if s.Status != StatePending || m.next.Object["operation"] != nil {
			continue
		}
		if m.live != nil {
			a := look(m.live)
			if a.phase == "Running" || a.phase == "Terminating" || !a.started.IsZero() && !a.started.Before(since(s)) {
				continue
			}
		}
		m.next.Object["operation"] = operationOf(m.wanted)
		asked = true
	}
	return asked
}

// operationOf is the synchronisation of an Application, as its own policy says. Source: Argo CD.
func operationOf(o *track.Object) map[string]any {
	spec, _ := o.Object["spec"].(map[string]any)
	policy, _ := spec["syncPolicy"].(map[string]any)
	automated, _ := policy["automated"].(map[string]any)
	prune, _ := automated["prune"].(bool)
	sync := map[string]any{"prune": prune}
	if options, ok := policy["syncOptions"].([]any); ok {
		sync["syncOptions"] = runtime.DeepCopyJSONValue(options)
	}
	retry, ok := policy["retry"].(map[string]any)
	if !ok {
		retry = map[string]any{"limit": int64(5)}
	}
	return map[string]any{
		"initiatedBy": map[string]any{"username": "applicationset-controller", "automated": true},
		"info": []any{map[string]any{
			"name": "Reason", "value": "ApplicationSet RollingSync triggered a sync of this Application resource",
		}},
		"sync": sync, "retry": maps.Clone(retry),
	}
}

// appearance is what an Application shows of itself.
type appearance struct {
	sync, health, phase, message string
	revisions                    []string
	started                      time.Time
	compared                     bool // its status is about its present spec
}

func look(o *track.Object) appearance {
	app, _, _ := v1alpha1.DecodeTolerant[v1alpha1.Application](o.Object) // what cannot be read is not there
	a := appearance{
		sync: app.Status.Sync.Status, health: app.Status.Health.Status, revisions: app.Status.Sync.Revisions,
	}
	if len(a.revisions) == 0 && app.Status.Sync.Revision != "" {
		a.revisions = []string{app.Status.Sync.Revision}
	}
	if s := app.Status.OperationState; s != nil {
		a.phase, a.message = string(s.Phase), s.Message
		if s.StartedAt != nil {
			a.started = s.StartedAt.Time
		}
	}
	to, spec := app.Status.Sync.ComparedTo, app.Spec
	a.compared = app.Status.Sync.Status != "" && same(to.Destination, spec.Destination) &&
		same(to.Sources, spec.Sources) && (spec.Source == nil && to.Source.RepoURL == "" ||
		spec.Source != nil && same(to.Source, *spec.Source))
	return a
}
