package application

import (
	"context"
	"errors"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/cluster"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/operation"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/render"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/source"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/source/git"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// request says what is to be rendered for the application.
func (p *pass) request(want git.Want) (source.Request, error) {
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
		Permits:       p.project.Permits(),
		Verifications: p.project.Verifications,
	}
	if len(q.Sources) == 0 {
		q.Sources, q.Revisions = []v1alpha1.ApplicationSource{p.target.Source}, []string{p.target.Revision}
	}
	if p.cluster.Own {
		return q, nil // the sources know it themselves
	}
	var err error
	q.Destination.KubeVersion, q.Destination.APIVersions, err = p.versionsOf(p.cluster).Get()
	return q, err
}

// Destination is what is known of where an application goes for rendering it: the cluster has to be there.
func (a *Reconciler) Destination(
	ctx context.Context, raw *unstructured.Unstructured, d v1alpha1.ApplicationDestination,
) (render.Destination, error) {
	out := render.Destination{Namespace: d.Namespace}
	if err := checkDestination(d); err != nil {
		return out, err
	}
	c, err := a.clusterOf(ctx, raw, d)
	if err != nil || c.Own || c.Discovery == nil {
		return out, err
	}
	out.KubeVersion, out.APIVersions, err = a.versionsOf(c).Get()
	return out, err
}

// versionsOf remembers what a cluster serves as long as the connection to it lasts.
func (a *Reconciler) versionsOf(c *cluster.Cluster) *source.Versions {
	a.mu.Lock()
	defer a.mu.Unlock()
	if known := a.versions[c.Server]; known.of == c {
		return known.versions
	}
	made := source.NewVersions(c.Discovery)
	a.versions[c.Server] = served{of: c, versions: made}
	return made
}

// served are the versions of a connected cluster.
type served struct {
	of       *cluster.Cluster
	versions *source.Versions
}
