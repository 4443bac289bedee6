package application

import (
	"errors"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/operation"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/render"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/source"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/source/git"
)

// request says what is to be rendered for the application.
func (p *pass) request(want git.Want) source.Request {
	q := source.Request{
		App: render.App{
			Name:      track.Instance(p.app.Namespace, p.app.Name, p.Control),
			Namespace: p.app.Spec.Destination.Namespace,
			Project:   p.app.Spec.Project,
		},
		Sources:     p.target.Sources,
		Revisions:   p.target.Revisions,
		Want:        want,
		Destination: render.Destination{Namespace: p.app.Spec.Destination.Namespace},
		Fresh:       p.app.Annotations[operation.RefreshAnnotation] == "hard",
		Permitted: func(repository string) error {
			if reason := p.project.Source(repository); reason != "" {
				return errors.New(reason)
			}
			return nil
		},
	}
	if len(q.Sources) == 0 {
		q.Sources, q.Revisions = []v1alpha1.ApplicationSource{p.target.Source}, []string{p.target.Revision}
	}
	return q
}
