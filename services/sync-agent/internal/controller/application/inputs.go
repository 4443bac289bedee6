package application

import (
	"context"
	"reflect"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/push"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/source"
	"k8s.io/apimachinery/pkg/types"
)

// inputs are what the last render of an application read.
type inputs struct {
	project string
	sources []v1alpha1.ApplicationSource // of the spec then
	of      []source.Input
}

// noteInputs remembers what a render read, for pushes to be held against.
func (p *pass) noteInputs(found *source.Rendered) {
	of, ok := found.Inputs()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !ok || p.app.Operation != nil || p.pinned() {
		delete(p.inputs, p.raw.GetUID())
		return
	}
	p.inputs[p.raw.GetUID()] = inputs{project: p.app.Spec.Project, sources: p.sources, of: of}
}

// Unconcerned reports whether it is known here that a push leaves all that an application read as it was. sources are
// those of its spec now.
func (a *Reconciler) Unconcerned(
	ctx context.Context, uid types.UID, sources []v1alpha1.ApplicationSource, pushed push.Push,
) bool {
	a.mu.Lock()
	known, is := a.inputs[uid]
	a.mu.Unlock()
	if !is || !reflect.DeepEqual(known.sources, sources) {
		return false
	}
	next := known
	next.of = nil
	for _, in := range known.of {
		commit, follows := pushed.Concerns(in.Source)
		if follows {
			concerned, err := a.Sources.Concerned(ctx, known.project, in, commit)
			if concerned || err != nil {
				return false // its owner looks, and says what is wrong
			}
			in.Revision = commit
		}
		next.of = append(next.of, in)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if now, is := a.inputs[uid]; is && reflect.DeepEqual(now, known) {
		a.inputs[uid] = next
	}
	return true
}
