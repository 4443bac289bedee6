package workflowtest

import (
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/flow"
)

// PlayShuffled is like [Transcript.Play], but pods start and end side by side, in an order that seed decides; some of
// what happens to them is seen twice, and some of what lies between never. It returns the tree of nodes alone. Each
// decision is compared with that of a [flow.Plan], which sees one event after the other.
func (t Transcript) PlayShuffled(seed uint64) (string, error) {
	p, err := newPlay(t)
	if err != nil {
		return "", err
	}
	p.chance, p.twin = rand.New(rand.NewPCG(seed, 0)), &twin{}
	text, err := p.run()
	return Tree(text), err
}

// Tree returns what [Transcript.Play] prints, from the line of the workflow on.
func Tree(played string) string {
	if at := strings.Index("\n"+played, "\nworkflow "); at >= 0 {
		return played[at:]
	}
	return played
}

// opening is a pod that is not at its end.
type opening struct {
	id, node string
	seen     flow.PodPhase
}

// actByChance lets something happen to one of the pods that are at work; false means there is none.
func (p *play) actByChance(d flow.Decision) bool {
	for _, a := range d.Actions {
		if p.actWithoutPod(a) {
			return true
		}
		create, ok := a.(flow.CreatePod)
		_, known := p.w.Pods[create.NodeID]
		if !ok || known || slices.ContainsFunc(p.open, func(o opening) bool { return o.id == create.NodeID }) {
			continue
		}
		p.open = append(p.open, opening{id: create.NodeID, node: create.NodeName})
	}
	if len(p.open) == 0 {
		return false
	}
	p.w.Now = p.w.Now.Add(time.Second)
	at := p.chance.IntN(len(p.open))
	o := &p.open[at]
	next := []flow.PodPhase{flow.PodPending, flow.PodRunning, flow.PodSucceeded}
	from := max(slices.Index(next, o.seen), 0) // again what was seen, or any later one
	o.seen = next[from+p.chance.IntN(len(next)-from)]
	if end := p.outcome(o.node); end.Phase != flow.PodPending && o.seen != flow.PodSucceeded {
		p.w.Pods[o.id] = flow.Pod{Phase: o.seen}
		return true
	}
	p.w.Pods[o.id] = p.outcome(o.node)
	p.open = slices.Delete(p.open, at, at+1)
	return true
}
