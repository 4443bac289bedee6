// Package core decides what an event means to a Sensor: which dependencies it
// satisfies, which triggers fire, and with what. It does no I/O and knows no clock.
//
// A firing has an identity made of the sensor, the trigger and the contributing
// events. The same events always make the same firing, whoever evaluates them and
// how often; the identity is the key of the effect.
package core
