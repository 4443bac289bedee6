// Package task does the work of nodes that need no pod: http, resource and data templates, under the service account of
// the workflow.
//
// A job has a key, and the desk has each key once at a time. A process that dies takes its jobs with it; the next owner
// of the run begins them again under the same keys. What that repeats is harmless as far as its target allows: objects
// are made under names that follow from the key, or are known again by an annotation that holds it; a request carries
// the key as Idempotency-Key. ADR-0035.
package task
