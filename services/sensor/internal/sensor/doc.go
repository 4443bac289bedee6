// Package sensor is the shell around the core in libs/sensing: one durable consumer
// per Sensor, windows in a key-value bucket, effects under the firing's key.
//
// A Sensor none of whose triggers wait is evaluated by many goroutines of all
// replicas at once, and its effects are performed on the spot. What fails is put on
// the work queue as a [events.FireTrigger] of its own, so that one bad trigger holds
// nobody up.
//
// A Sensor with a trigger that waits for several events takes its events one at a
// time in the order of the stream, over all replicas: which events make a firing does
// not depend on how fast they come. What to remember and what fires is written in one
// compare-and-set, the firing is put on the queue, the event is acknowledged. ADR-0016
// says what a crash between any two of these leaves behind.
package sensor
