package workflow

import (
	"context"
	"maps"
	"strings"
	"sync"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/object"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// podEvents collects which pods something happened to since the last look at their workflow, so that a look at one of
// many thousand pods need not look at the others.
type podEvents struct {
	mu sync.Mutex
	// by namespace/name of a workflow that is followed: ids of nodes by the names of their pods
	pods map[string]map[string]string
}

func newSightings() *podEvents { return &podEvents{pods: map[string]map[string]string{}} }

// follow begins to collect for a workflow. What happened before must be found by looking at all of its pods afterwards.
func (s *podEvents) follow(workflow string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pods[workflow] = map[string]string{}
}

// drop ends it, and says whether it was followed.
func (s *podEvents) drop(workflow string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, followed := s.pods[workflow]
	delete(s.pods, workflow)
	return followed
}

func (s *podEvents) add(workflow string, pod client.Object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if followed, is := s.pods[workflow]; is {
		followed[pod.GetName()] = pod.GetAnnotations()[object.AnnotationNodeID]
	}
}

// take returns what was collected, and begins anew.
func (s *podEvents) take(workflow string) map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	followed := s.pods[workflow]
	taken := maps.Clone(followed)
	clear(followed)
	return taken
}

// handler asks for a look at the workflow of a pod that something happened to, if it is owned. It is collected for
// those that are not, too: one may be ours again before it was forgotten.
func (s *podEvents) handler(owns func(workflow string) bool) handler.EventHandler {
	see := func(o client.Object, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
		owner := metav1.GetControllerOf(o)
		if owner == nil || owner.Kind != "Workflow" ||
			!strings.HasPrefix(owner.APIVersion, v1alpha1.GroupVersion.Group+"/") {
			return
		}
		name := types.NamespacedName{Namespace: o.GetNamespace(), Name: owner.Name}
		s.add(name.String(), o)
		if owns(name.String()) {
			queue.Add(reconcile.Request{NamespacedName: name})
		}
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent,
			q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			see(e.Object, q)
		},
		UpdateFunc: func(_ context.Context, e event.UpdateEvent,
			q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			see(e.ObjectNew, q)
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent,
			q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			see(e.Object, q)
		},
	}
}
