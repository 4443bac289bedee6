package sensor

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/kube/object"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Types of conditions. The two in the middle are those of Argo Events, by which other
// tools judge a Sensor.
const (
	conditionReady        = "Ready"
	conditionDependencies = "DependenciesProvided"
	conditionTriggers     = "TriggersProvided"
)

func condition(kind, status, reason, message string) v1alpha1.EventCondition {
	return v1alpha1.EventCondition{Type: kind, Status: status, Reason: reason, Message: message}
}

// malformed is the status of a Sensor that cannot be read.
func malformed(err error, warnings []v1alpha1.FieldWarning) []v1alpha1.EventCondition {
	return object.Warned(
		[]v1alpha1.EventCondition{condition(conditionReady, "False", "Malformed", err.Error())}, warnings,
	)
}

// confirmWait is how long the bus may take to confirm a Sensor's place before the status says that it has not:
// a status that is written twice within a blink tells nobody more.
const confirmWait = 2 * time.Second

// readiness is the condition Ready of a Sensor; not known means that the bus may answer at any moment.
func readiness(l *listening, now time.Time) (ready v1alpha1.EventCondition, known bool) {
	listens, refused := l.state()
	spec := &l.compiled.sensor.Spec
	switch {
	case refused != nil:
		return condition(conditionReady, "False", "Refused", refused.Error()), true
	case listens:
		return condition(
			conditionReady, "True", "Listening",
			fmt.Sprintf("%d trigger(s) wait for %d dependencies", len(spec.Triggers), len(spec.Dependencies)),
		), true
	}
	return condition(
		conditionReady,
		"False",
		"Connecting",
		"the bus has not confirmed the place in the stream yet",
	), now.Sub(l.since) >= confirmWait
}

// conditions is the status of a Sensor that can be read: with what of it cannot work.
func conditions(
	u *compiledSensor, ready v1alpha1.EventCondition, warnings []v1alpha1.FieldWarning,
) []v1alpha1.EventCondition {
	var dependencies, triggers []string
	for _, p := range u.problems {
		if p.Trigger < 0 {
			dependencies = append(dependencies, p.String())
		} else {
			triggers = append(triggers, p.String())
		}
	}
	for _, w := range u.warnings {
		warnings = append(warnings, v1alpha1.FieldWarning{Path: w.Path, Message: w.Err.Error()})
	}
	return object.Warned([]v1alpha1.EventCondition{
		ready,
		provided(conditionDependencies, "InvalidDependencies", dependencies),
		provided(conditionTriggers, "InvalidTriggers", triggers),
	}, warnings)
}

func provided(kind, reason string, problems []string) v1alpha1.EventCondition {
	if len(problems) == 0 {
		return condition(kind, "True", "Valid", "")
	}
	return condition(kind, "False", reason, strings.Join(problems, "; "))
}

// report writes the status when it says something new.
func (r *reconciler) report(
	ctx context.Context, raw *unstructured.Unstructured, fresh []v1alpha1.EventCondition,
) error {
	if !r.owns(raw.GetNamespace() + "/" + raw.GetName()) {
		return nil
	}
	_, err := object.ReportConditions(ctx, r.client, raw, fresh)
	return err
}
