// Package flow is what a workflow run and its engine say to each other: the World that a decision may look at, the
// Decision that comes out, and the Run, which is the fold of what was recorded. Package engine decides.
//
// Names, ids, phases and the roll-up of phases follow Argo Workflows 4.1, since
// tools read them from status.nodes.
package flow
