package application

import (
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/operation"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/render"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/source"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/source/git"
)

// request says what is to be rendered for the application.
func (p *pass) request(s v1alpha1.ApplicationSource, want git.Want) source.Request {
	return source.Request{
		App: render.App{
			Name:      track.Instance(p.app.Namespace, p.app.Name, p.Control),
			Namespace: p.app.Spec.Destination.Namespace,
			Project:   p.app.Spec.Project,
		},
		Sources:     []v1alpha1.ApplicationSource{s},
		Want:        want,
		Destination: render.Destination{Namespace: p.app.Spec.Destination.Namespace},
		Fresh:       p.app.Annotations[operation.RefreshAnnotation] == "hard",
	}
}
