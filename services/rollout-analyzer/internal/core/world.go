package core

import (
	"time"

	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core/traffic"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// World is everything that may be looked at.
type World struct {
	// Now is the time of looking.
	Now time.Time
	// Rollout is the object to decide about; it is not changed.
	Rollout *v1alpha1.Rollout
	// Unreadable holds the fields of the Rollout that could not be read.
	Unreadable []Problem
	// Partial says that what is not there may be elsewhere: nothing that is missing is a problem.
	Partial bool
	// Warnings say what the Rollout says without effect.
	Warnings []string
	// ReplicaSets are those the Rollout owns.
	ReplicaSets []*appsv1.ReplicaSet
	// Pods are the pods of each ReplicaSet, by its name; only read when [NeedsPods] says so.
	Pods map[string][]*corev1.Pod
	// Workload is the object whose template the Rollout uses, nil when it has its own.
	Workload *Workload
	// Services are those the Rollout names or narrowed down before, by name; a missing one is absent.
	Services map[string]*corev1.Service
	// Routing is what the routers make of the Rollout.
	Routing traffic.Routing
	// Routes are the objects that split its traffic; a missing one has Missing set.
	Routes []traffic.Route
	// Runs are the analysis runs the Rollout owns.
	Runs []*v1alpha1.AnalysisRun
	// Experiments are those that it owns.
	Experiments []*v1alpha1.Experiment
	// Templates are the analysis templates that can be reached from the Rollout; a missing one is absent.
	Templates map[v1alpha1.AnalysisTemplateRef]v1alpha1.AnalysisTemplateSpec
}

// Workload is an object whose pod template a Rollout uses in place of its own. Its template and selector stand in the
// Rollout of the World as if they were its own; they are never written there.
type Workload struct {
	Kind, Name string
	// Generation is the version of its spec.
	Generation int64
	// Replicas and Available are its wanted size and how many of its pods are available.
	Replicas, Available int32
	// Missing says that there is no such object, Inline that the Rollout has a template of its own beside it.
	Missing, Inline bool
}

// Problem is one reason why a Rollout cannot be served.
type Problem struct {
	// Field is the path of the field.
	Field string
	// Reason says what is wrong with it.
	Reason string
}
