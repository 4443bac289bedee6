// Package bus is the only way services talk: CloudEvents over NATS JetStream.
//
// It owns the topology (streams, consumers, buckets), the encoding (CloudEvents
// NATS binding, binary mode; structured mode is read too), deduplication by
// message id, consumption with error classes and dead letters, the claim check
// for large bodies, journals with optimistic concurrency, key-value buckets and
// objects. No other package imports nats.go.
//
// Promises: Publish returns only after the server has stored the event. A
// handler's outputs are published before its input is acknowledged, so a crash
// in between repeats the handler; message ids make the repeated outputs vanish.
// All operations survive a restart of the server: they wait or return an error
// of class retry, never panic, never lose what was acknowledged.
package bus
