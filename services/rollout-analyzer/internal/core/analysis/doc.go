// Package analysis decides about one AnalysisRun: what to measure next, and what the measurements mean.
//
// Promise: pure. Time comes in as an argument, measurements come in as values. The verdict on a run is a function of
// the measurements alone; the order in which metrics were measured within a tick does not matter.
//
//	Pending → Running → Successful | Failed | Error | Inconclusive
package analysis
