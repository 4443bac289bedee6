// Package events holds what crosses a service boundary: the data of events, their types and subjects, and the names
// under which causality travels.
//
// Promise: additive only. A field is never renamed or removed within a type's version; a breaking change is a new
// type beside the old one. The JSON Schema of each type is in schema/, an example that producers and consumers both
// assert is in examples/.
package events

import "embed"

// Schemas holds the JSON Schema of each event data type, named as the type in kebab case.
//
//go:embed schema/*.json
var Schemas embed.FS

// Examples holds one example of each event data type, named as its schema.
//
//go:embed examples/*.json
var Examples embed.FS
