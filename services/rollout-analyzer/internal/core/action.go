package core

import (
	"time"

	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core/traffic"

	"github.com/argosy-mesh/argosy/schemas/events"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Action is one effect to perform. The set is sealed; adapters switch over all of it.
//
//sumtype:decl
type Action interface {
	// Key makes the effect happen once: performing the same key twice is a no-op.
	Key() string
	action()
}

// CreateReplicaSet creates the pods of a template, with no replicas yet. The name is derived from the template.
type CreateReplicaSet struct{ Object *appsv1.ReplicaSet }

// UpdateReplicaSet changes size and annotations of a ReplicaSet, if it still is the version that was looked at.
type UpdateReplicaSet struct {
	Name     string
	Version  string
	Replicas *int32
	Set      map[string]string
	Remove   []string
	// MinReady is set when the rollout's minReadySeconds has to be carried over.
	MinReady *int32
	// Metadata holds the labels and annotations of the pod template, when they change.
	Metadata *metav1.ObjectMeta
	// Affinity is that of the pod template, when SetAffinity says that it changes.
	Affinity    *corev1.Affinity
	SetAffinity bool
}

// DeleteReplicaSet removes an old revision, if it still is the version that was looked at.
type DeleteReplicaSet struct{ Name, Version string }

// SwitchService makes a service select the pods of one template. An empty hash gives the service back: it selects by
// its own labels again.
type SwitchService struct{ Service, Hash string }

// SetWeight shares the traffic of one object between the canary and the stable service.
type SetWeight struct {
	Route traffic.Ref
	// Field names the router: two may write to objects of the same kind.
	Field string
	Split traffic.Split
}

// EvictPod asks that a pod be replaced; a disruption budget may say no.
type EvictPod struct{ Name, UID string }

// PatchPod replaces labels and annotations of a live pod, if it still is the version that was looked at.
type PatchPod struct {
	Name, UID, Version  string
	Labels, Annotations map[string]string
}

// ScaleWorkload sets the size of the workload whose template a Rollout uses.
type ScaleWorkload struct {
	Kind, Name string
	Replicas   int32
}

// CreateAnalysisRun starts an analysis. The name is derived from rollout, template, revision and step.
type CreateAnalysisRun struct{ Object *v1alpha1.AnalysisRun }

// RetireAnalysisRun ends an analysis, if it still runs, and marks its verdict as spent.
type RetireAnalysisRun struct {
	Name string
	// Superseded says that the verdict must not be used again.
	Superseded bool
}

// DeleteAnalysisRun removes an old analysis.
type DeleteAnalysisRun struct{ Name string }

// CreateExperiment starts an experiment. The name is derived from rollout, template, revision and step.
type CreateExperiment struct{ Object *v1alpha1.Experiment }

// RetireExperiment ends an experiment, if it still runs, and marks its verdict as spent.
type RetireExperiment struct {
	Name string
	// Superseded says that the verdict must not be used again.
	Superseded bool
}

// DeleteExperiment removes an old experiment.
type DeleteExperiment struct{ Name string }

// PatchRollout writes the revision to the Rollout, and its size when the manifest is silent about it: a scaler can
// only work on a size that is there.
type PatchRollout struct {
	Revision string
	Replicas *int32
}

// PublishFact tells the mesh what happened.
type PublishFact struct {
	ID   string
	Body events.Body
}

// PatchStatus writes the status, last of all and at most once per pass.
type PatchStatus struct{ Status v1alpha1.RolloutStatus }

// RecordEvent tells people what happened.
type RecordEvent struct {
	Warning         bool
	Reason, Message string
}

// WakeAt asks to be looked at again, although nothing may happen until then.
type WakeAt struct{ At time.Time }

// Key is the name, which is derived from the template.
func (a CreateReplicaSet) Key() string { return "create-replicaset/" + a.Object.Name }

// Key is the version: a second attempt finds another one.
func (a UpdateReplicaSet) Key() string { return "update-replicaset/" + a.Name + "@" + a.Version }

// Key is the version.
func (a DeleteReplicaSet) Key() string { return "delete-replicaset/" + a.Name + "@" + a.Version }

// Key is the wanted state.
func (a SwitchService) Key() string { return "point-service/" + a.Service + "=" + a.Hash }

// Key is the wanted state.
func (a SetWeight) Key() string {
	return "set-weight/" + a.Field + "/" + a.Route.Kind + "/" + a.Route.Namespace + "/" + a.Route.Name + "=" + itoa(
		a.Split.CanaryWeight,
	)
}

// Key is the one pod.
func (a EvictPod) Key() string { return "evict-pod/" + a.Name + "@" + a.UID }

// Key is the version.
func (a PatchPod) Key() string { return "patch-pod/" + a.Name + "@" + a.Version }

// Key is the wanted state.
func (a ScaleWorkload) Key() string {
	return "scale-workload/" + a.Kind + "/" + a.Name + "=" + itoa(a.Replicas)
}

// Key is the name, which is derived from the causes.
func (a CreateAnalysisRun) Key() string { return "create-analysisrun/" + a.Object.Name }

// Key is the name.
func (a RetireAnalysisRun) Key() string { return "retire-analysisrun/" + a.Name }

// Key is the name.
func (a DeleteAnalysisRun) Key() string { return "delete-analysisrun/" + a.Name }

// Key is the name, which is derived from the causes.
func (a CreateExperiment) Key() string { return "create-experiment/" + a.Object.Name }

// Key is the name.
func (a RetireExperiment) Key() string { return "retire-experiment/" + a.Name }

// Key is the name.
func (a DeleteExperiment) Key() string { return "delete-experiment/" + a.Name }

// Key is the wanted state.
func (a PatchRollout) Key() string { return "amend-rollout/" + a.Revision }

// Key is the id of the fact.
func (a PublishFact) Key() string { return "publish/" + a.ID }

// Key names the kind; the write is guarded by the resource version.
func (a PatchStatus) Key() string { return "patch-status" }

// Key is the text.
func (a RecordEvent) Key() string { return "record/" + a.Reason + "/" + a.Message }

// Key is the time.
func (a WakeAt) Key() string { return "wake/" + a.At.UTC().Format(time.RFC3339Nano) }

func (CreateReplicaSet) action()  {}
func (UpdateReplicaSet) action()  {}
func (DeleteReplicaSet) action()  {}
func (SwitchService) action()     {}
func (SetWeight) action()         {}
func (EvictPod) action()          {}
func (PatchPod) action()          {}
func (ScaleWorkload) action()     {}
func (CreateAnalysisRun) action() {}
func (RetireAnalysisRun) action() {}
func (DeleteAnalysisRun) action() {}
func (CreateExperiment) action()  {}
func (RetireExperiment) action()  {}
func (DeleteExperiment) action()  {}
func (PatchRollout) action()      {}
func (PublishFact) action()       {}
func (PatchStatus) action()       {}
func (RecordEvent) action()       {}
func (WakeAt) action()            {}
