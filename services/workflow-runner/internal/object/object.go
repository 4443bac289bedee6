// Package object has what the parts of the runner know of objects in the Kubernetes API: kinds, labels, annotations,
// owners, and what of them is cached.
package object

import (
	"encoding/json"
	"fmt"

	"github.com/argosy-mesh/argosy/libs/kube/object"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/lineage"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// Labels and annotations that tools know from upstream.
const (
	LabelWorkflow      = "workflows.argoproj.io/workflow"
	LabelCompleted     = "workflows.argoproj.io/completed"
	LabelPhase         = "workflows.argoproj.io/phase"
	AnnotationNodeID   = "workflows.argoproj.io/node-id"
	AnnotationNodeName = "workflows.argoproj.io/node-name"
	AnnotationExecutor = "argosy.dev/executor" // set where the executor wraps main
	AnnotationRun      = "argosy.dev/run"      // uid of the workflow
	AnnotationScript   = "argosy.dev/script"   // source of a script template
)

// Workflow is a Workflow to be read into.
func Workflow() *unstructured.Unstructured {
	return object.New("Workflow")
}

// WorkflowList is a list of them.
func WorkflowList() *unstructured.UnstructuredList {
	return object.NewList("Workflow")
}

// JSON encodes our own types, which cannot fail.
func JSON(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		return []byte("null")
	}
	return text
}

// OwnedBy reports whether a pod is of a workflow, and of no earlier one of its name.
func OwnedBy(pod *corev1.Pod, wf *v1alpha1.Workflow) bool {
	for _, o := range pod.OwnerReferences {
		if o.UID == wf.UID {
			return true
		}
	}
	return false
}

// OwnerOf is the reference by which objects are a workflow's.
func OwnerOf(wf *v1alpha1.Workflow) *metav1.OwnerReference {
	return metav1.NewControllerRef(wf, v1alpha1.Kind("Workflow"))
}

// Chain is the causal record of a run: what its object carries, or a new chain
// that starts with the run itself.
func Chain(wf *v1alpha1.Workflow) lineage.Lineage {
	l := lineage.FromAnnotations(wf.Annotations)
	if l.Correlation == "" {
		l.Correlation = string(wf.UID)
	}
	l.Causation = StartedID(string(wf.UID))
	return l
}

// StartedID is the id of the fact that a run began.
func StartedID(uid string) string { return bus.Key(uid, "started") }

// UserOperation is something that a person asks of a run.
type UserOperation struct {
	Operation  string            `json:"operation"`            // resume, set, or retry
	Selector   string            `json:"selector,omitempty"`   // such as displayName=approve
	Outputs    map[string]string `json:"outputs,omitempty"`    // values of supplied outputs
	Parameters map[string]string `json:"parameters,omitempty"` // of retry: arguments that replace those of the workflow
	// Successful is of retry: selected nodes are done again although they succeeded.
	Successful bool   `json:"successful,omitempty"`
	Phase      string `json:"phase,omitempty"`   // of set
	Message    string `json:"message,omitempty"` // of set
	By         string `json:"by,omitempty"`
}

// OrderPrefix begins the annotations that hold orders to a run; the rest is the order's key. Whoever owns the run
// carries an order out, records its key, and takes the annotation away.
const OrderPrefix = "order.argosy.dev/"

// RefusedAnnotation says on a workflow which orders were not carried out, and why.
const RefusedAnnotation = "argosy.dev/refused-orders"

// UnstructuredOf is a value as the tree of an object has it.
func UnstructuredOf(v any) (map[string]any, error) {
	out, err := runtime.DefaultUnstructuredConverter.ToUnstructured(v)
	if err != nil {
		return nil, fmt.Errorf("encode status: %w", err)
	}
	return out, nil
}
