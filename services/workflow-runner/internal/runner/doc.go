// Package runner is the shell around the core: it gathers a run's world from its
// journal and its pods, records what the core decides, acts on it and reports.
//
// Order at every step: append to the journal (expected last sequence), then act,
// then project. A crash after the append leaves actions undone: the next look at
// the run decides them again, since the core asks for a pod until it is seen. A
// crash after acting leaves a projection behind: the next look writes it.
package runner
