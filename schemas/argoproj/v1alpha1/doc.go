// Package v1alpha1 holds the Go types of every kind of the group argoproj.io that Argosy serves, in the shape that
// existing manifests have.
//
// Promise: what a manifest says is kept when it is decoded and encoded again, and a manifest that is wrong in one
// place can still be read in all others (see [DecodeTolerant]).
// Non-goals: defaulting and validation, which belong to the service that owns the kind.
// Where two families of kinds use one name for two shapes, the workflow family keeps the plain name and the events
// family carries the prefix Event or Trigger.
//
// +kubebuilder:object:generate=true
// +groupName=argoproj.io
package v1alpha1
