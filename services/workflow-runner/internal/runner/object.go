package runner

import (
	"encoding/json"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/lineage"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Labels and annotations that tools know from upstream.
const (
	labelWorkflow      = "workflows.argoproj.io/workflow"
	labelCompleted     = "workflows.argoproj.io/completed"
	labelPhase         = "workflows.argoproj.io/phase"
	annotationNodeID   = "workflows.argoproj.io/node-id"
	annotationNodeName = "workflows.argoproj.io/node-name"
	annotationExecutor = "argosy.dev/executor" // set where the executor wraps main
	annotationRun      = "argosy.dev/run"      // uid of the workflow
	annotationScript   = "argosy.dev/script"   // source of a script template
)

func workflow() *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(v1alpha1.Kind("Workflow"))
	return u
}

func workflowList() *unstructured.UnstructuredList {
	l := &unstructured.UnstructuredList{}
	l.SetGroupVersionKind(v1alpha1.Kind("WorkflowList"))
	return l
}

// mustJSON encodes our own types, which cannot fail.
func mustJSON(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		return []byte("null")
	}
	return text
}

func ownedBy(pod *corev1.Pod, wf *v1alpha1.Workflow) bool {
	for _, o := range pod.OwnerReferences {
		if o.UID == wf.UID {
			return true
		}
	}
	return false
}

func ownerOf(wf *v1alpha1.Workflow) *metav1.OwnerReference {
	return metav1.NewControllerRef(wf, v1alpha1.Kind("Workflow"))
}

// chain is the causal record of a run: what its object carries, or a new chain
// that starts with the run itself.
func chain(wf *v1alpha1.Workflow) lineage.Lineage {
	l := lineage.FromAnnotations(wf.Annotations)
	if l.Correlation == "" {
		l.Correlation = string(wf.UID)
	}
	l.Causation = startedID(string(wf.UID))
	return l
}

func startedID(uid string) string { return bus.Key(uid, "started") }
