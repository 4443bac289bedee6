package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// ApplicationSetSpec says which Applications there are: one for each set of parameters that the generators find.
type ApplicationSetSpec struct {
	GoTemplate                   bool                              `json:"goTemplate,omitempty"`
	GoTemplateOptions            []string                          `json:"goTemplateOptions,omitempty"`
	Generators                   []ApplicationSetGenerator         `json:"generators"`
	Template                     ApplicationSetTemplate            `json:"template"`
	TemplatePatch                *string                           `json:"templatePatch,omitempty"`
	SyncPolicy                   *ApplicationSetSyncPolicy         `json:"syncPolicy,omitempty"`
	Strategy                     *ApplicationSetStrategy           `json:"strategy,omitempty"`
	PreservedFields              *ApplicationPreservedFields       `json:"preservedFields,omitempty"`
	IgnoreApplicationDifferences []ApplicationSetIgnoreDifferences `json:"ignoreApplicationDifferences,omitempty"`
	ApplyNestedSelectors         bool                              `json:"applyNestedSelectors,omitempty"`
}

// ApplicationSetTemplate is an Application with holes.
type ApplicationSetTemplate struct {
	Metadata ApplicationSetTemplateMeta `json:"metadata"`
	Spec     ApplicationSpec            `json:"spec"`
}

// ApplicationSetTemplateMeta is what of its metadata an Application takes from a template.
type ApplicationSetTemplateMeta struct {
	Name        string            `json:"name,omitempty"`
	Namespace   string            `json:"namespace,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Finalizers  []string          `json:"finalizers,omitempty"`
}

// ApplicationSetSyncPolicy says what may be done to Applications that are there.
type ApplicationSetSyncPolicy struct {
	PreserveResourcesOnDeletion bool   `json:"preserveResourcesOnDeletion,omitempty"`
	ApplicationsSync            string `json:"applicationsSync,omitempty"`
}

// ApplicationSetStrategy says in which order Applications are synchronised and deleted.
type ApplicationSetStrategy struct {
	Type          string                     `json:"type,omitempty"`
	RollingSync   *ApplicationSetRollingSync `json:"rollingSync,omitempty"`
	DeletionOrder string                     `json:"deletionOrder,omitempty"`
}

// ApplicationSetRollingSync is an order of steps.
type ApplicationSetRollingSync struct {
	Steps []ApplicationSetRollingSyncStep `json:"steps,omitempty"`
}

// ApplicationSetRollingSyncStep is the Applications of one step, and how many of them are updated at once.
type ApplicationSetRollingSyncStep struct {
	MatchExpressions []ApplicationMatchExpression `json:"matchExpressions,omitempty"`
	MaxUpdate        *intstr.IntOrString          `json:"maxUpdate,omitempty"`
}

// ApplicationMatchExpression is a condition on a label of an Application.
type ApplicationMatchExpression struct {
	Key      string   `json:"key,omitempty"`
	Operator string   `json:"operator,omitempty"`
	Values   []string `json:"values,omitempty"`
}

// ApplicationPreservedFields are metadata of Applications that others may set.
type ApplicationPreservedFields struct {
	Annotations []string `json:"annotations,omitempty"`
	Labels      []string `json:"labels,omitempty"`
}

// ApplicationSetIgnoreDifferences names fields of Applications that others may set.
type ApplicationSetIgnoreDifferences struct {
	Name              string   `json:"name,omitempty"`
	JSONPointers      []string `json:"jsonPointers,omitempty"`
	JQPathExpressions []string `json:"jqPathExpressions,omitempty"`
}

// ApplicationSetStatus is what was last seen of an ApplicationSet.
type ApplicationSetStatus struct {
	Conditions        []ApplicationSetCondition         `json:"conditions,omitempty"`
	ApplicationStatus []ApplicationSetApplicationStatus `json:"applicationStatus,omitempty"`
	Resources         []ResourceStatus                  `json:"resources,omitempty"`
	ResourcesCount    int64                             `json:"resourcesCount,omitempty"`
	Health            *HealthStatus                     `json:"health,omitempty"`
}

// ApplicationSetCondition is one aspect of an ApplicationSet.
type ApplicationSetCondition struct {
	Type               string       `json:"type"`
	Status             string       `json:"status"`
	Reason             string       `json:"reason"`
	Message            string       `json:"message"`
	LastTransitionTime *metav1.Time `json:"lastTransitionTime,omitempty"`
}

// ApplicationSetApplicationStatus is the place of one Application in a rolling sync.
type ApplicationSetApplicationStatus struct {
	Application        string       `json:"application"`
	Status             string       `json:"status"`
	Message            string       `json:"message"`
	Step               string       `json:"step"`
	TargetRevisions    []string     `json:"targetRevisions,omitempty"`
	LastTransitionTime *metav1.Time `json:"lastTransitionTime,omitempty"`
}
