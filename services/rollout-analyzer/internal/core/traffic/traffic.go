// Package traffic is what the core and the routers say to each other: which objects split the traffic, what they say,
// and what they should say. No kind of router stands here.
package traffic

// Ref names one object that splits traffic.
type Ref struct {
	// Kind is its kind, such as HTTPRoute.
	Kind string
	// Namespace and Name are its own.
	Namespace, Name string
}

// Observed is what matters of one such object.
type Observed struct {
	Ref
	// Field is the place below spec.strategy.canary.trafficRouting that names it.
	Field string
	// Missing says that there is no such object.
	Missing bool
	// CanaryWeight and StableWeight are what its first rule with both services says, of 100.
	CanaryWeight, StableWeight int32
	// Uniform says that all rules with both services say the same.
	Uniform bool
	// Paired says that at least one rule has both services.
	Paired bool
	// InProgress says that it is marked as one that a canary changes.
	InProgress bool
}

// Split is how the traffic should be shared between two services.
type Split struct {
	// Canary and Stable are the names of the services.
	Canary, Stable string
	// CanaryWeight is the share of the canary, of 100.
	CanaryWeight int32
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
	// Problems say what cannot be served.
	Problems []Problem
}
