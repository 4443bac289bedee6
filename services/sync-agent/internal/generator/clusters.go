package generator

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/appset"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Labels of the Secrets that describe clusters, in the control namespace.
const (
	SecretTypeLabel = "argocd.argoproj.io/secret-type" //nolint:gosec // the name of a label
	ClusterSecret   = "cluster"
)

// ownServer is the installation's own cluster, which needs no Secret.
const ownServer = "https://kubernetes.default.svc"

var clustersKind = answering("clusters", func(
	g *Generators, ctx context.Context, _ Asker, _ *v1alpha1.ClusterGenerator,
) ([]appset.Cluster, error) {
	return g.clusters(ctx)
})

// clusters are those of the installation, by name.
func (g *Generators) clusters(ctx context.Context) ([]appset.Cluster, error) {
	var secrets corev1.SecretList
	if err := g.Cached.List(
		ctx, &secrets, client.InNamespace(g.Control), client.MatchingLabels{SecretTypeLabel: ClusterSecret},
	); err != nil {
		return nil, fmt.Errorf("list the secrets of clusters in %s: %w", g.Control, err)
	}
	own := false
	var out []appset.Cluster
	for i := range secrets.Items {
		s := &secrets.Items[i]
		c := appset.Cluster{
			Name: string(s.Data["name"]), Server: strings.TrimRight(string(s.Data["server"]), "/"),
			Project: string(s.Data["project"]), Labels: s.Labels, Annotations: s.Annotations,
		}
		own = own || c.Server == ownServer
		out = append(out, c)
	}
	if !own {
		out = append(out, appset.Cluster{Name: "in-cluster", Server: ownServer, Implicit: true})
	}
	slices.SortStableFunc(out, func(a, b appset.Cluster) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Server, b.Server))
	})
	return out, nil
}
