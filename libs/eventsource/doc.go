// Package eventsource says what a manifest of an EventSource means: when its clocks
// fire, which paths its endpoints take, which objects and events its filters keep,
// and what of it cannot work. The service serves what is read here, and lint says
// what the service would say.
//
// It is pure: no clock, no network, no cluster.
package eventsource
