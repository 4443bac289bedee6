// Package sensor is the shell around the core in libs/sensing: one reader of the stream
// for all Sensors of a replica, windows in a key-value bucket, effects under the firing's
// key. A Sensor that is new, behind or failing has a durable consumer of its own until it
// has caught up; see [bus.Shared] and ADR-0050.
//
// A Sensor none of whose triggers wait is evaluated by many goroutines at once, and its
// effects are performed on the spot. What fails is put on the work queue as a
// [events.FireTrigger] of its own, so that one bad trigger holds nobody up.
//
// A Sensor with a trigger that waits for several events takes its events one at a
// time in the order of the stream, whatever replica holds it: which events make a firing does
// not depend on how fast they come. What to remember and what fires is written in one
// compare-and-set, the firing is put on the queue, the event is acknowledged. ADR-0016
// says what a crash between any two of these leaves behind.
package sensor
