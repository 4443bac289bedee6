package appset

import (
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// World is all that a decision about an ApplicationSet depends on.
type World struct {
	Set *v1alpha1.ApplicationSet
	// Wanted are the Applications that were generated.
	Wanted []Application
	// Failed says that they could not be: nothing but the status changes then.
	Failed *GenerateError
	// Existing are the Applications of the namespace that belong to the set, and others of a wanted name.
	Existing []*track.Object
	Settings Settings
	Now      time.Time
}

// Decision is what is to be done.
type Decision struct {
	Create []*track.Object
	// Update are whole objects, as of the resource version that they were read at.
	Update []*track.Object
	Delete []*track.Object
	// Release are those that do not belong to the set any more, and stay.
	Release []*track.Object
	Status  v1alpha1.ApplicationSetStatus
	// Durable asks that the status is written before anything else: it says who is synchronised, so that a crash
	// repeats no synchronisation.
	Durable bool
	// Finalize asks for the finalizer, without which the set would go before its Applications.
	Finalize bool
	// Gone lets a set that is deleted go.
	Gone bool
}

// owner is the reference by which an Application belongs to the set.
func (w World) owner() metav1.OwnerReference {
	yes := true
	gvk := v1alpha1.Kind("ApplicationSet")
	return metav1.OwnerReference{
		APIVersion: gvk.GroupVersion().String(), Kind: gvk.Kind, Name: w.Set.Name, UID: w.Set.UID, Controller: &yes,
		BlockOwnerDeletion: &yes,
	}
}

// Owns reports whether an Application belongs to a set.
func Owns(set *v1alpha1.ApplicationSet, o *track.Object) bool {
	c := metav1.GetControllerOf(o)
	return c != nil && c.UID == set.UID
}

// rolling are the steps of the set; none without the strategy.
func (w World) rolling() []v1alpha1.ApplicationSetRollingSyncStep {
	s := w.Set.Spec.Strategy
	if s == nil || s.Type != "RollingSync" || s.RollingSync == nil {
		return nil
	}
	return s.RollingSync.Steps
}

// reversed reports whether the last step is deleted first.
func (w World) reversed() bool {
	return len(w.rolling()) > 0 && w.Set.Spec.Strategy.DeletionOrder == "Reverse"
}
