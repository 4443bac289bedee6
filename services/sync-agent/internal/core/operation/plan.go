// Package operation is the machine of a sync: what to apply and prune now, in which order, when to begin by itself,
// when to try again, and when it is over.
package operation

// Decide makes the plan of one application. The second plan of a world in which nothing happened meanwhile equals the
// first one.
func Decide(w World) Plan {
	var p Plan
	p.survey(w)
	p.Synced, p.Health = synced(p.Items), Worst(p.Items)
	if len(p.Ask) > 0 {
		return p
	}
	p.gate(w)
	if p.Operation != nil {
		p.advance(w)
	}
	return p
}
