package remote

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

// Action is what an agent does to its copy of an Application.
type Action string

// The actions.
const (
	None    Action = ""
	Create  Action = "create"
	Update  Action = "update"
	Delete  Action = "delete"  // with the finalizers that Next has
	Refused Action = "refused" // there is an Application that is not the control cluster's
	Gone    Action = "gone"
)

// Step is the next step about a copy.
type Step struct {
	Action Action
	Next   *unstructured.Unstructured // of Create, Update and Delete
}

// Owned reports whether an object is one that an agent keeps for the control cluster.
func Owned(o *unstructured.Unstructured, agent string) bool {
	return agent != "" && o != nil && o.GetLabels()[Label] == agent
}

// ClusterName is how the control cluster names the cluster of a copy.
func ClusterName(o *unstructured.Unstructured) string { return o.GetAnnotations()[clusterAnnotation] }

// CopyUID is the uid of the Application that a copy is of.
func CopyUID(o *unstructured.Unstructured) string { return o.GetAnnotations()[uidAnnotation] }

// Copy decides what becomes of the copy of an Application: live is what is there, nil when nothing is, last is what was
// reported of it.
func Copy(agent string, name types.NamespacedName, a Assignment, live *unstructured.Unstructured, last *Report) Step {
	if last != nil && last.UID != a.UID {
		last = nil
	}
	leaves := a.Withdrawn || a.Delete != ""
	switch {
	case live == nil && leaves:
		return Step{Action: Gone}
	case live == nil:
		return Step{Action: Create, Next: fresh(agent, name, a, last)}
	case !Owned(live, agent) && a.Withdrawn:
		return Step{Action: Gone}
	case !Owned(live, agent):
		return Step{Action: Refused}
	case CopyUID(live) != "" && CopyUID(live) != a.UID, a.Withdrawn:
		return leave(live, "")
	case a.Delete != "":
		return leave(live, a.Delete)
	case live.GetDeletionTimestamp() != nil:
		return leave(live, "") // somebody else's doing; it is made again
	}
	next := live.DeepCopy()
	told := shape(agent, next, a, last)
	if !told && reflect.DeepEqual(next.Object, live.Object) {
		return Step{}
	}
	return Step{Action: Update, Next: next}
}

// leave has a copy go, with a finalizer that takes its objects along or without.
func leave(live *unstructured.Unstructured, finalizer string) Step {
	if live.GetDeletionTimestamp() != nil && finalizer != "" {
		return Step{} // it is under way
	}
	next := live.DeepCopy()
	next.SetFinalizers(nil)
	if finalizer != "" {
		next.SetFinalizers(append(slices.DeleteFunc(live.GetFinalizers(), notOfHooks), finalizer))
	}
	return Step{Action: Delete, Next: next}
}

// notOfHooks reports whether a finalizer is none of those that have the agent run the hooks of a deletion.
func notOfHooks(f string) bool {
	return !strings.HasPrefix(f, "pre-delete-finalizer.") && !strings.HasPrefix(f, "post-delete-finalizer.")
}

// fresh is a copy that is not there. What was reported of an earlier one is its past.
func fresh(agent string, name types.NamespacedName, a Assignment, last *Report) *unstructured.Unstructured {
	o := &unstructured.Unstructured{Object: map[string]any{}}
	o.SetGroupVersionKind(v1alpha1.Kind("Application"))
	o.SetNamespace(name.Namespace)
	o.SetName(name.Name)
	if last != nil {
		if status, err := Tree(last.Status); err == nil && last.Status.Sync.Status != "" {
			o.Object["status"] = status
		}
	}
	shape(agent, o, a, last)
	return o
}

// shape makes a copy what the assignment says; told reports that it asks for something.
func shape(agent string, o *unstructured.Unstructured, a Assignment, last *Report) (told bool) {
	had := o.GetAnnotations()
	labels := maps.Clone(a.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[Label] = agent
	o.SetLabels(labels)
	annotations := maps.Clone(a.Annotations)
	if annotations == nil {
		annotations = map[string]string{}
	}
	for _, name := range []string{takenAnnotation, refreshedAnnotation, refresh} {
		if v := had[name]; v != "" {
			annotations[name] = v
		}
	}
	annotations[uidAnnotation] = a.UID
	if a.Cluster != "" {
		annotations[clusterAnnotation] = a.Cluster
	}
	if taken := annotations[takenAnnotation]; taken == "" && last != nil && last.Taken != "" {
		annotations[takenAnnotation] = last.Taken
	}
	if a.Operation != nil && annotations[takenAnnotation] != a.Operation.ID {
		annotations[takenAnnotation] = a.Operation.ID
		o.Object["operation"] = runtimeCopy(a.Operation.Operation)
		told = true
	}
	if a.Refresh != nil && annotations[refreshedAnnotation] != a.Refresh.ID {
		annotations[refreshedAnnotation], annotations[refresh] = a.Refresh.ID, a.Refresh.Kind
	}
	o.SetAnnotations(annotations)
	o.Object["spec"] = runtimeCopy(a.Spec)
	if terminates(o, a.Terminate) {
		_ = unstructured.SetNestedField(
			o.Object, string(v1alpha1.OperationTerminating), "status", "operationState", "phase",
		)
	}
	return told
}

// terminates reports whether the operation that began then is at work.
func terminates(o *unstructured.Unstructured, began string) bool {
	at, _, _ := unstructured.NestedString(o.Object, "status", "operationState", "startedAt")
	phase, _, _ := unstructured.NestedString(o.Object, "status", "operationState", "phase")
	return began != "" && at == began && phase == string(v1alpha1.OperationRunning)
}

func runtimeCopy(tree map[string]any) map[string]any {
	return (&unstructured.Unstructured{Object: tree}).DeepCopy().Object
}

// ReportOf is what is said of a copy.
func ReportOf(copied *unstructured.Unstructured) Report {
	app, _, _ := v1alpha1.DecodeTolerant[v1alpha1.Application](map[string]any{"status": copied.Object["status"]})
	return Report{
		UID: CopyUID(copied), Taken: copied.GetAnnotations()[takenAnnotation], Status: app.Status,
	}
}

// WithPast keeps what was taken of an earlier copy of the same Application.
func (r Report) WithPast(last *Report) Report {
	if last != nil && last.UID == r.UID && r.Taken == "" {
		r.Taken = last.Taken
	}
	return r
}
