// Package sensor is the shell around the core: one durable consumer per Sensor,
// windows in a key-value bucket, effects under the firing's key.
//
// For one event the order is: evaluate, perform the effects of what fired, save or
// forget windows, acknowledge. A crash at any point repeats the event; the same
// evaluation then finds the same firing, whose effects are no-ops by their key.
package sensor
