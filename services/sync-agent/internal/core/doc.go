// Package core decides what a sync agent does: what differs, in which order to
// apply it, whether to apply it at all, how healthy it is, which push concerns
// whom and which image replaces which.
//
// A World goes in, a Plan comes out. Nothing here reads a clock, a file or the
// network, and no function fails: what cannot be understood becomes a reason in
// the plan.
package core
