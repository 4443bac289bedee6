package appset

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Conditions of an ApplicationSet. Source: Argo CD.
const (
	ErrorOccurred       = "ErrorOccurred"
	ParametersGenerated = "ParametersGenerated"
	ResourcesUpToDate   = "ResourcesUpToDate"
	RolloutProgressing  = "RolloutProgressing"
)

// maxResources is how many Applications the status lists: an object has at most 1.5 MiB. Source: Argo CD.
const maxResources = 5000

// maxMessage bounds the message of a condition, in bytes: thousands of Applications may have one problem each.
const maxMessage = 4 << 10

// status is what the set shows.
func (w World) status(
	rolling []v1alpha1.ApplicationSetApplicationStatus, problems []error,
) v1alpha1.ApplicationSetStatus {
	s := v1alpha1.ApplicationSetStatus{ApplicationStatus: rolling, Conditions: w.Set.Status.Conditions}
	if w.Failed != nil {
		s.ApplicationStatus = w.Set.Status.ApplicationStatus
	}
	err := problemOf(problems)
	reason := ReasonValidation
	if w.Failed != nil {
		reason = w.Failed.Reason
	}
	s.Conditions = w.conditions(err, reason, rolling)
	var all []v1alpha1.ResourceStatus
	for _, o := range w.Existing {
		if Owns(w.Set, o) {
			all = append(all, resource(o))
		}
	}
	slices.SortFunc(all, func(a, b v1alpha1.ResourceStatus) int { return strings.Compare(a.Name, b.Name) })
	s.ResourcesCount = int64(len(all))
	s.Resources = all[:min(len(all), maxResources)]
	s.Health = health(s.Conditions)
	if h := w.Set.Status.Health; h != nil && h.Status == s.Health.Status {
		s.Health.LastTransitionTime = h.LastTransitionTime
	}
	if s.Health.LastTransitionTime == nil {
		s.Health.LastTransitionTime = new(metav1.NewTime(w.Now.Truncate(time.Second)))
	}
	return s
}

// Failing is a status that says that something was not done.
func Failing(s v1alpha1.ApplicationSetStatus, reason string, err error, now time.Time) v1alpha1.ApplicationSetStatus {
	w := World{Set: &v1alpha1.ApplicationSet{Status: s}, Now: now}
	s.Conditions = w.conditions(err, reason, nil)
	s.Health = health(s.Conditions)
	s.Health.LastTransitionTime = new(metav1.NewTime(now.Truncate(time.Second)))
	return s
}

func (w World) conditions(
	err error, reason string, rolling []v1alpha1.ApplicationSetApplicationStatus,
) []v1alpha1.ApplicationSetCondition {
	generated := v1alpha1.ApplicationSetCondition{
		Type: ParametersGenerated, Status: "True", Reason: "ParametersGenerated",
		Message: "The parameters of all applications are generated.",
	}
	failed := v1alpha1.ApplicationSetCondition{
		Type: ErrorOccurred, Status: "False", Reason: "ApplicationSetUpToDate",
		Message: "All applications are up to date.",
	}
	current := v1alpha1.ApplicationSetCondition{
		Type: ResourcesUpToDate, Status: "True", Reason: "ApplicationSetUpToDate",
		Message: "All applications are up to date.",
	}
	if err != nil {
		message := err.Error()
		if len(message) > maxMessage {
			message = message[:maxMessage] + " ..."
		}
		failed.Status, failed.Reason, failed.Message = "True", reason, message
		current.Status, current.Reason, current.Message = "False", reason, message
		if w.Failed != nil {
			generated.Status, generated.Reason, generated.Message = "False", "ErrorOccurred", message
		}
	}
	next := []v1alpha1.ApplicationSetCondition{failed, generated, current}
	if len(rolling) > 0 {
		next = append(next, rollout(rolling))
	}
	for _, old := range w.Set.Status.Conditions {
		i := slices.IndexFunc(next, func(c v1alpha1.ApplicationSetCondition) bool { return c.Type == old.Type })
		switch {
		case i < 0 && (old.Type != RolloutProgressing || rolling == nil && (w.Failed != nil || w.Set.Name == "")):
			next = append(next, old)
		case i >= 0 && old.Status == next[i].Status && old.Reason == next[i].Reason && old.Message == next[i].Message:
			next[i].LastTransitionTime = old.LastTransitionTime
		}
	}
	for i := range next {
		if next[i].LastTransitionTime == nil {
			next[i].LastTransitionTime = new(metav1.NewTime(w.Now.Truncate(time.Second)))
		}
	}
	return next
}

func rollout(rolling []v1alpha1.ApplicationSetApplicationStatus) v1alpha1.ApplicationSetCondition {
	healthy, selected := 0, 0
	for _, s := range rolling {
		if s.Step == "-1" {
			continue
		}
		selected++
		if s.Status == StateHealthy {
			healthy++
		}
	}
	if healthy == selected {
		return v1alpha1.ApplicationSetCondition{
			Type: RolloutProgressing, Status: "False", Reason: "ApplicationSetRolloutComplete",
			Message: "All applications of all steps are healthy.",
		}
	}
	return v1alpha1.ApplicationSetCondition{
		Type: RolloutProgressing, Status: "True", Reason: "ApplicationSetModified",
		Message: fmt.Sprintf("%d of %d applications are healthy.", healthy, selected),
	}
}

func resource(o *track.Object) v1alpha1.ResourceStatus {
	app, _, _ := v1alpha1.DecodeTolerant[v1alpha1.Application](o.Object) // what cannot be read is not shown
	gvk := v1alpha1.Kind("Application")
	r := v1alpha1.ResourceStatus{
		Group: gvk.Group, Version: gvk.Version, Kind: gvk.Kind, Namespace: o.GetNamespace(), Name: o.GetName(),
		Status: app.Status.Sync.Status,
	}
	if h := app.Status.Health; h.Status != "" {
		r.Health = &v1alpha1.HealthStatus{
			Status: h.Status, Message: h.Message, LastTransitionTime: h.LastTransitionTime,
		}
	}
	return r
}

// health is what the conditions mean. Source: Argo CD.
func health(conditions []v1alpha1.ApplicationSetCondition) *v1alpha1.HealthStatus {
	is := map[string]v1alpha1.ApplicationSetCondition{}
	for _, c := range conditions {
		if c.Status == "True" {
			is[c.Type] = c
		}
	}
	if c, failed := is[ErrorOccurred]; failed {
		return &v1alpha1.HealthStatus{Status: "Degraded", Message: c.Message}
	}
	if c, rolls := is[RolloutProgressing]; rolls {
		return &v1alpha1.HealthStatus{Status: "Progressing", Message: c.Message}
	}
	if c, current := is[ResourcesUpToDate]; current {
		return &v1alpha1.HealthStatus{Status: "Healthy", Message: c.Message}
	}
	return &v1alpha1.HealthStatus{Status: "Unknown"}
}
