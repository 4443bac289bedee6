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
	// Warnings say what the Rollout says without effect.
	Warnings []string
	// ReplicaSets are those the Rollout owns.
	ReplicaSets []*appsv1.ReplicaSet
	// Services are those the Rollout names, by name; a missing one is absent.
	Services map[string]*corev1.Service
	// Routing is what the routers make of the Rollout.
	Routing traffic.Routing
	// Routes are the objects that split its traffic; a missing one has Missing set.
	Routes []traffic.Observed
	// Runs are the analysis runs the Rollout owns.
	Runs []*v1alpha1.AnalysisRun
	// Templates are the analysis templates that can be reached from the Rollout; a missing one is absent.
	Templates map[v1alpha1.AnalysisTemplateRef]v1alpha1.AnalysisTemplateSpec
}

// Problem is one reason why a Rollout cannot be served.
type Problem struct {
	// Field is the path of the field.
	Field string
	// Reason says what is wrong with it.
	Reason string
}
