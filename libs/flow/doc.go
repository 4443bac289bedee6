// Package flow decides what a workflow run does next. It does no I/O and knows
// no clock: a World goes in, a Decision comes out.
//
// State is the set of nodes, a fold of the run's journal. Decide walks the tree
// from the entrypoint, makes the nodes that may start, takes in what became of
// pods, and rolls results up. The same world always gives the same decision, and
// a decision whose nodes were recorded gives no further changes until the world
// moves: that makes every crash between recording and acting harmless.
//
// Names, ids, phases and the roll-up of phases follow Argo Workflows 4.1, since
// tools read them from status.nodes.
package flow
