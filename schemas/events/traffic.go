package events

import "time"

// TrafficCounted says how many requests one version of an application has served since the sender counted last. Who
// carries traffic publishes it about once a second for each version that had any, with an id that a repetition keeps.
// It is the contract [TypeTrafficCounted], on [TrafficSubject].
type TrafficCounted struct {
	// Namespace is that of the pods.
	Namespace string `json:"namespace"`
	// Hash is the label rollouts-pod-template-hash of the pods.
	Hash string `json:"hash"`
	// Requests were answered, or given up, in this time. Errors are those among them that failed.
	Requests int64 `json:"requests"`
	Errors   int64 `json:"errors"`
	// From and Until are the time that was counted, by the sender's clock.
	From  time.Time `json:"from"`
	Until time.Time `json:"until"`
}
