// Package core decides what happens to a Rollout next. It is a pure function of a [World]: no I/O, no clock, no
// context, no log.
//
// Promise: [Decide] is total, and a world in which its actions were performed and nothing else happened asks for no
// further action, except to be looked at again later. Actions are performed in the order given, the status last, so a
// crash between two of them repeats harmless ones.
//
// Invariants, each of which a test holds:
//   - traffic moves only to pods that are available;
//   - pods that may still receive traffic are not removed: weights move first, pods go later;
//   - an abort ends with weight 0 for the canary, whatever happened before;
//   - one bad object costs only itself: it is marked, nothing is scaled.
//
// The way of a canary:
//
//	                 ┌────────── retry ───────────┐
//	                 v                            │
//	new template → step 0 → step 1 → … → all steps done → stable = new → old pods go
//	                 │        │                   ^
//	                 └─ abort ┴→ weight 0, Degraded, canary pods go after a delay
//	                                              │
//	                                 promoteFull ─┘
package core
