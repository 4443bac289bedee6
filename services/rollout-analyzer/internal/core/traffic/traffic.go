// Package traffic is what the core and the routers say to each other: which objects split the traffic, what they say,
// and what they should say. No kind of router stands here.
package traffic

import "github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"

// HashLabel marks the pods, ReplicaSets and service selectors of one template.
const HashLabel = "rollouts-pod-template-hash"

// AnnotationManagedBy holds the name of the Rollout that narrowed a Service or a DestinationRule down to its pods.
const AnnotationManagedBy = "argo-rollouts.argoproj.io/managed-by-rollouts"

// Ref names one object that splits traffic.
type Ref struct {
	// Group and Kind are its own, such as gateway.networking.k8s.io and HTTPRoute.
	Group, Kind string
	// Namespace and Name are its own.
	Namespace, Name string
}

// Route is one object that splits traffic, with those that are changed together with it, as they were read. Its
// methods are pure.
type Route interface {
	// Observed is what matters of it.
	Observed() Observed
	// Obeys reports whether it says exactly this, so that nothing would be written.
	Obeys(Split) bool
}

// Observed is what matters of one such object.
type Observed struct {
	Ref
	// Field is the place below spec.strategy.canary.trafficRouting that names it.
	Field string
	// Missing says that there is no such object.
	Missing bool
	// Problem says why it cannot be used, empty when it can.
	Problem string
	// CanaryWeight is the highest share of the canary that it says somewhere, of the total of a [Split].
	CanaryWeight int32
	// Pending says that whoever obeys the object was not yet seen to have read its newest version.
	Pending bool
}

// Destination is a further receiver of traffic: the pods of an experiment.
type Destination struct {
	// Service selects the pods of Hash.
	Service, Hash string
	// Weight is its share, of the total of the [Split]; the stable service has that much less.
	Weight int32
}

// Managed is a route that a step adds before the others and a later one takes away.
type Managed struct {
	// Name is the one of trafficRouting.managedRoutes.
	Name string
	// Headers sends the requests that match any of them to the canary, whatever the weights say.
	Headers []v1alpha1.HeaderRoutingMatch
	// Mirror copies the requests that match any of Matches to the canary; its answers are dropped.
	Mirror  bool
	Matches []v1alpha1.RouteMatch
	// Percentage is how many of them are copied.
	Percentage int32
}

// Split is how the traffic should be shared.
type Split struct {
	// Canary and Stable are the names of the services.
	Canary, Stable string
	// CanaryHash and StableHash name the pods, for routers that select them by labels.
	CanaryHash, StableHash string
	// CanaryWeight is the share of the canary, of Total.
	CanaryWeight int32
	// Total is what all shares add up to.
	Total int32
	// Additional are further receivers.
	Additional []Destination
	// Managed are the routes that steps added, first the one that is asked first.
	Managed []Managed
	// Names are all names that managed routes of this Rollout may have: those not in Managed are taken away.
	Names []string
}

// StableWeight is what the others leave to the stable service.
func (s Split) StableWeight() int32 {
	left := s.Total - s.CanaryWeight
	for _, d := range s.Additional {
		left -= d.Weight
	}
	return max(0, left)
}

// Problem is one reason why a configuration cannot be served.
type Problem struct {
	// Field is the place below trafficRouting.
	Field string
	// Reason says what is wrong with it.
	Reason string
}

// Routing is what the routers make of a configuration.
type Routing struct {
	// Refs are the objects it names, with the field that names them.
	Refs map[string][]Ref
	// Headers and Mirrors say that all named routers can send requests by header, and copy them.
	Headers, Mirrors bool
	// Weights says that experiments may have a share of the traffic.
	Weights bool
	// Problems say what cannot be served.
	Problems []Problem
}
