// Package analyzer wires the service: configuration, telemetry, connections, parts.
//
// Order of a stop: not ready, no new work, passes in flight end, facts that wait are sent, connections close.
package analyzer
