// Package sensing decides what an event means to a Sensor: which dependencies it
// satisfies, which triggers fire, and with what. It does no I/O and knows no clock;
// the service sensor and the command line both decide with it, which is why what is
// simulated is what happens.
//
// A Sensor is compiled once ([Compile]); what cannot be compiled is a [Problem] of
// the dependency or trigger that it stands in, and the others work on. A [Program]
// may be used by many goroutines.
//
// A firing has an identity made of the sensor, the trigger and the contributing
// events. The same events always make the same firing, whoever evaluates them and
// how often; the identity is the key of the effect.
//
// Rules are those of Argo Events, defects that manifests rely on included; options
// ([Options]) correct them.
package sensing
